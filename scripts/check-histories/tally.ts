import type { InvariantResult, StatedMissing, Violation } from './interface.ts';
import { INVARIANT_IDS, INVARIANTS, type InvariantId } from './invariants.ts';

/** Violations of one invariant that are kept in words; further ones are counted with the last of them. */
const MAX_VIOLATIONS = 1_000;

/** What is looked at: the name of a node, and an entry of its database or a path. */
export interface Subject {
  readonly node: string;
  readonly key: string;
}

export type Rule = readonly [holds: boolean, problem: string];

interface Count {
  checked: number;
  unchecked: number;
  dropped: number;
  readonly violations: Violation[];
}

/** Counts what was checked, and keeps what was found. */
export class Tally {
  readonly #counts = new Map<InvariantId, Count>(
    INVARIANT_IDS.map((id) => [id, { checked: 0, unchecked: 0, dropped: 0, violations: [] }]),
  );
  readonly #missing: StatedMissing[] = [];

  /** One object was looked at; every rule that does not hold is a violation. True if all hold. */
  check(invariant: InvariantId, subject: Subject, rules: readonly Rule[]): boolean {
    const count = this.#count(invariant);
    count.checked += 1;
    const broken = rules.filter(([holds]) => !holds);
    for (const [, problem] of broken) {
      if (count.violations.length >= MAX_VIOLATIONS) count.dropped += 1;
      else count.violations.push({ invariant, ...subject, problem });
    }
    return broken.length === 0;
  }

  /** One object was looked at and is wrong. */
  blame(invariant: InvariantId, subject: Subject, problem: string): void {
    this.check(invariant, subject, [[false, problem]]);
  }

  /** One object could not be judged, and that is no fault. */
  skip(invariant: InvariantId): void {
    this.#count(invariant).unchecked += 1;
  }

  state(missing: StatedMissing): void {
    this.#missing.push(missing);
  }

  get missing(): readonly StatedMissing[] {
    return this.#missing;
  }

  results(): readonly InvariantResult[] {
    return INVARIANT_IDS.map((id) => {
      const { checked, unchecked, violations, dropped } = this.#count(id);
      const more = dropped === 0 ? [] : [{ invariant: id, node: '', key: '', problem: `and ${dropped} more` }];
      return { id, title: INVARIANTS[id], checked, unchecked, violations: [...violations, ...more] };
    });
  }

  #count(invariant: InvariantId): Count {
    const count = this.#counts.get(invariant);
    if (count === undefined) throw new TypeError(`no invariant ${invariant}`);
    return count;
  }
}
