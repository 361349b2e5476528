import { describe, expect, it } from 'vitest';
import { Slots } from '../../../src/sandbox/executors/slots.ts';

const NEVER = new AbortController().signal;

describe('Slots', () => {
  it('lets so many in and the rest in order', async () => {
    const slots = new Slots(1);
    const order: number[] = [];
    await slots.take(NEVER);
    const waiting = [1, 2].map((id) => slots.take(NEVER).then(() => order.push(id)));
    expect(order).toEqual([]);
    slots.give();
    await waiting[0];
    slots.give();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2]);
  });

  it('forgets who gave up and loses no slot', async () => {
    const slots = new Slots(1);
    await slots.take(NEVER);
    const controller = new AbortController();
    const impatient = slots.take(controller.signal);
    controller.abort(new DOMException('enough', 'AbortError'));
    await expect(impatient).rejects.toThrow('enough');
    slots.give();
    await slots.take(NEVER);
    await expect(slots.take(AbortSignal.abort())).rejects.toThrow();
  });
});
