import { describe, expect, it } from 'vitest';
import { SealedEvents } from '../../../../../src/scheduler/provider/confidential/sealed-events.ts';
import type { PlainEvent, SealedEvent } from '../../../../../src/tee/interface.ts';

function line(text: string): PlainEvent {
  return { kind: 'log', stream: 'log', text };
}

/** Seals when it is told to, in any order. */
class HeldSealer {
  readonly waiting: PromiseWithResolvers<SealedEvent>[] = [];

  seal(): Promise<SealedEvent> {
    const held = Promise.withResolvers<SealedEvent>();
    this.waiting.push(held);
    return held.promise;
  }

  finish(index: number): void {
    this.waiting[index]?.resolve({ kind: 'sealed', index: index + 1, bytes: new Uint8Array() });
  }
}

describe('sealed events', () => {
  it('are handed on in their order, whichever is sealed first', async () => {
    const sealer = new HeldSealer();
    const events = new SealedEvents(sealer);
    const told: number[] = [];
    for (const text of ['one', 'two', 'three']) events.seal(line(text), ({ index }) => told.push(index));
    for (const index of [2, 0, 1]) sealer.finish(index);
    await events.settle();
    events.assertSealed();
    expect(told).toEqual([1, 2, 3]);
  });

  it('end with the first that cannot be sealed, which is told', async () => {
    const sealer = new HeldSealer();
    const events = new SealedEvents(sealer);
    const told: number[] = [];
    for (const text of ['one', 'two', 'three']) events.seal(line(text), ({ index }) => told.push(index));
    sealer.finish(0);
    sealer.waiting[1]?.reject(new TypeError('no key'));
    sealer.finish(2);
    await events.settle();
    expect(told).toEqual([1]);
    expect(() => events.assertSealed()).toThrow('no key');
  });
});
