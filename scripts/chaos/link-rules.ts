import type { HarmLedger } from './harm.ts';

/** How the network between two nodes is; the same in both directions. */
export interface LinkRules {
  /** Nothing passes: what is sent waits, as behind a cable that was cut. */
  readonly isCut: boolean;
  readonly delayMs: number;
  /** Null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
  /**
   * A piece of a stream is lost with this probability. The system below repeats what is lost, so all that a program sees
   * of it is that the stream stands still for a while: `repeatAfterMs`.
   */
  readonly lossProbability: number;
  readonly repeatAfterMs: number;
  /** A bit of a piece is flipped with this probability. */
  readonly flipProbability: number;
  /** A connection is reset in the middle of a piece with this probability. */
  readonly resetProbability: number;
}

export const GOOD_LINK: LinkRules = {
  isCut: false,
  delayMs: 0,
  bytesPerSecond: null,
  lossProbability: 0,
  repeatAfterMs: 200,
  flipProbability: 0,
  resetProbability: 0,
};

/** The rules of each pair of nodes, and who is to be told when they change. */
export class LinkTable {
  readonly #rules = new Map<string, LinkRules>();
  readonly #listeners = new Set<() => void>();
  readonly #harms: HarmLedger | undefined;

  /** @param harms where it is noted which links were not good, and when */
  constructor(harms?: HarmLedger) {
    this.#harms = harms;
  }

  between(one: string, other: string): LinkRules {
    return this.#rules.get(pairOf(one, other)) ?? GOOD_LINK;
  }

  set(one: string, other: string, rules: LinkRules): void {
    this.#rules.set(pairOf(one, other), rules);
    const [first, second] = one < other ? [one, other] : [other, one];
    if (rules === GOOD_LINK) this.#harms?.end('network', first, second);
    else this.#harms?.begin('network', first, second);
    this.#tell();
  }

  heal(): void {
    this.#rules.clear();
    this.#harms?.endAll('network');
    this.#tell();
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function pairOf(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
