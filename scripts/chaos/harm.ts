/** What was done to which node, and when. Only that may excuse a job that ended without its result. */

/** What may cost a node its attempts, or keep others from it. */
export type Harm = 'died' | 'frozen' | 'network' | 'clock' | 'slow disk' | 'full disk';

/** A job as the harness saw it: from before it was submitted until its end was seen, by the clock of the harness, ms. */
export interface JobLife {
  readonly requester: string;
  /** Names of those that had an attempt. */
  readonly providers: readonly string[];
  readonly fromMs: number;
  readonly untilMs: number;
}

interface Entry {
  readonly harm: Harm;
  readonly node: string;
  /** At the other end, where a link was harmed. */
  readonly other: string | null;
  readonly fromMs: number;
  untilMs: number;
}

/** A lease of the harness's network (fleet.ts): what a fault began may come to light so long after it. */
export const AFTERMATH_MS = 3_000;

export class HarmLedger {
  readonly #nowMs: () => number;
  readonly #entries: Entry[] = [];

  constructor(nowMs: () => number = () => Date.now()) {
    this.#nowMs = nowMs;
  }

  /** From now on; of no effect where it has begun already. */
  begin(harm: Harm, node: string, other: string | null = null): void {
    if (this.#open(harm, node, other) !== undefined) return;
    this.#entries.push({ harm, node, other, fromMs: this.#nowMs(), untilMs: Number.POSITIVE_INFINITY });
  }

  end(harm: Harm, node: string, other: string | null = null): void {
    const entry = this.#open(harm, node, other);
    if (entry !== undefined) entry.untilMs = this.#nowMs();
  }

  set(harm: Harm, node: string, isHarmed: boolean): void {
    if (isHarmed) this.begin(harm, node);
    else this.end(harm, node);
  }

  endAll(harm: Harm): void {
    for (const entry of this.#entries) {
      if (entry.harm === harm) entry.untilMs = Math.min(entry.untilMs, this.#nowMs());
    }
  }

  /** What was done to the parties of the job while it lived: of a link, only one between two of them. */
  during(life: JobLife): readonly { readonly harm: Harm; readonly node: string }[] {
    const parties = new Set([life.requester, ...life.providers]);
    return this.#entries
      .filter(({ node, other }) => parties.has(node) && (other === null || parties.has(other)))
      .filter(({ fromMs, untilMs }) => fromMs <= life.untilMs && untilMs + AFTERMATH_MS >= life.fromMs)
      .map(({ harm, node }) => ({ harm, node }));
  }

  /** How often a node has died since. */
  countDeaths(node: string, sinceMs: number): number {
    return this.#entries.filter((entry) => {
      return entry.harm === 'died' && entry.node === node && entry.fromMs >= sinceMs;
    }).length;
  }

  #open(harm: Harm, node: string, other: string | null): Entry | undefined {
    return this.#entries.find((entry) => {
      return entry.harm === harm && entry.node === node && entry.other === other && !Number.isFinite(entry.untilMs);
    });
  }
}
