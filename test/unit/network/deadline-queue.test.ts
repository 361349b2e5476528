import { describe, expect, it } from 'vitest';
import { DeadlineQueue } from '../../../src/network/reqresp/deadline-queue.ts';
import { ManualClock } from '../../support/stream-harness.ts';

describe('a deadline queue', () => {
  it('expires each deadline at its time, and none that was met', () => {
    const clock = new ManualClock();
    const queue = new DeadlineQueue(clock);
    const expired: string[] = [];
    queue.add(100, () => expired.push('a'));
    clock.advance(50);
    const met = queue.add(100, () => expired.push('b'));
    queue.add(100, () => expired.push('c'));
    queue.add(20, () => expired.push('short'));
    met[Symbol.dispose]();
    clock.advance(20);
    expect(expired).toEqual(['short']);
    clock.advance(30);
    expect(expired).toEqual(['short', 'a']);
    clock.advance(50);
    expect(expired).toEqual(['short', 'a', 'c']);
    expect(clock.pending).toBe(0);
  });

  it('needs one timer for many deadlines of one length', () => {
    const clock = new ManualClock();
    const queue = new DeadlineQueue(clock);
    for (let round = 0; round < 1000; round++) queue.add(100, () => undefined)[Symbol.dispose]();
    expect(clock.pending).toBe(1);
    clock.advance(100);
    expect(clock.pending).toBe(0);
  });

  it('keeps a bounded number of lengths', () => {
    const clock = new ManualClock();
    const queue = new DeadlineQueue(clock);
    let expired = 0;
    for (let timeoutMs = 1; timeoutMs <= 500; timeoutMs++) queue.add(timeoutMs, () => (expired += 1));
    for (let round = 0; round < 500; round++) clock.advance(1);
    expect(expired).toBe(500);
  });

  it('expires nothing after it was stopped', () => {
    const clock = new ManualClock();
    const queue = new DeadlineQueue(clock);
    queue.add(10, () => expect.unreachable());
    queue.stop();
    clock.advance(10);
    expect(clock.pending).toBe(0);
  });
});
