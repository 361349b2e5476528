import type { DiskObserver, WriteObserver } from '../../src/storage/interface.ts';
import { nameCommit, nameEffect } from './point-names.ts';

export const SIDES = ['before', 'after'] as const;
export type Side = (typeof SIDES)[number];

/** Where a process dies: the `nth` time that it comes to one side of a point. The name `*` is any point. */
export interface Arm {
  readonly point: string;
  readonly side: Side;
  readonly nth: number;
}

export function formatArm({ point, side, nth }: Arm): string {
  return `${point}:${side}:${nth}`;
}

/** Such as `jobs=new:after:3`. @throws TypeError */
export function parseArm(text: string): Arm {
  const [, point, side, nth] = /^(.+):(before|after):([1-9][0-9]{0,5})$/.exec(text) ?? [];
  const known = SIDES.find((candidate) => candidate === side);
  if (point === undefined || known === undefined) throw new TypeError(`expected POINT:before|after:N, not ${text}`);
  return { point, side: known, nth: Number(nth) };
}

export interface CrashPointModules {
  /** Ends the process at all of these, which one commit passes; does not return where it is real. */
  readonly die: (at: readonly Arm[]) => void;
  /** Told of each point the first time that this process comes to it. */
  readonly onPoint: (name: string) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Watches what a daemon writes: records the points, delays commits, and dies where it is armed. */
export class CrashPoints {
  readonly #modules: CrashPointModules;
  readonly #known = new Set<string>();
  #arms: readonly { readonly arm: Arm; passed: number }[] = [];
  #delayMs = 0;

  constructor(modules: CrashPointModules) {
    this.#modules = modules;
  }

  /** In place of those before; one that stays goes on counting. */
  arm(arms: readonly Arm[]): void {
    const passed = new Map(this.#arms.map((armed) => [formatArm(armed.arm), armed.passed]));
    this.#arms = arms.map((arm) => ({ arm, passed: passed.get(formatArm(arm)) ?? 0 }));
  }

  /** Each commit waits this long first: a slow disk. */
  delayWrites(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  readonly writes: WriteObserver = {
    before: async (operations) => {
      if (this.#delayMs > 0) await this.#modules.sleep(this.#delayMs);
      this.#pass(nameCommit(operations), 'before');
    },
    after: (operations) => this.#pass(nameCommit(operations), 'after'),
  };

  readonly disk: DiskObserver = {
    before: (effect) => this.#pass([nameEffect(effect)], 'before'),
    after: (effect) => this.#pass([nameEffect(effect)], 'after'),
  };

  #pass(names: readonly string[], side: Side): void {
    for (const name of names) {
      if (this.#known.has(name)) continue;
      this.#known.add(name);
      this.#modules.onPoint(name);
    }
    const reached: Arm[] = [];
    for (const armed of this.#arms) {
      const { point, nth } = armed.arm;
      if (armed.arm.side !== side || (point !== '*' && !names.includes(point))) continue;
      armed.passed += 1;
      if (armed.passed === nth) reached.push({ ...armed.arm, point: point === '*' ? (names[0] ?? point) : point });
    }
    if (reached.length > 0) this.#modules.die(reached);
  }
}
