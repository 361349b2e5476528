import { raceSignal } from '../../lib/abort.ts';

/** Lets so many hold a slot at a time; others wait in order. */
export class Slots {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(count: number) {
    this.free = count;
  }

  /** Resolves with a slot in hand. @throws the signal's reason if it aborts first */
  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.free > 0) {
      this.free--;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.push(resolve);
    try {
      await raceSignal(promise, signal);
    } catch (error) {
      const index = this.waiting.indexOf(resolve);
      if (index === -1) this.give();
      else this.waiting.splice(index, 1);
      throw error;
    }
  }

  give(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free++;
    else next();
  }
}
