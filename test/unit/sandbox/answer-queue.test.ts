import { describe, expect, it } from 'vitest';
import { AnswerQueue } from '../../../src/sandbox/executors/wasm/answer-queue.ts';
import { settleTasks } from '../../support/manual-clock.ts';

class Rig {
  readonly handled: number[] = [];
  readonly failures: unknown[] = [];
  readonly flow: string[] = [];
  readonly gates: PromiseWithResolvers<void>[] = [];
  /** Frames of these first bytes take time. */
  readonly slow = new Set<number>();
  readonly queue = new AnswerQueue({
    pipe: { pause: () => this.flow.push('pause'), resume: () => this.flow.push('resume') },
    handle: (frame) => this.#handle(frame),
    fail: (error) => this.failures.push(error),
  });

  #handle(frame: Uint8Array): Promise<void> | null {
    const [id = 0] = frame;
    this.handled.push(id);
    if (id === 255) throw new TypeError('garbage');
    if (!this.slow.has(id)) return null;
    const gate = Promise.withResolvers<void>();
    this.gates.push(gate);
    return gate.promise;
  }

  push(...ids: readonly number[]): void {
    for (const id of ids) this.queue.push(Uint8Array.of(id));
  }
}

describe('AnswerQueue', () => {
  it('deals with frames in order, each after the one before', async () => {
    const rig = new Rig();
    rig.slow.add(1).add(3);
    rig.push(0, 1, 2, 3, 4);
    expect(rig.handled).toEqual([0, 1]);
    rig.gates[0]?.resolve();
    await settleTasks();
    expect(rig.handled).toEqual([0, 1, 2, 3]);
    rig.gates[1]?.resolve();
    await settleTasks();
    rig.push(5);
    expect(rig.handled).toEqual([0, 1, 2, 3, 4, 5]);
    expect(rig.flow).toEqual([]);
  });

  it('keeps the order of thousands that wait', async () => {
    const rig = new Rig();
    rig.slow.add(1);
    rig.push(1, ...Array.from({ length: 3000 }, (_, index) => 2 + (index % 200)));
    rig.gates[0]?.resolve();
    await settleTasks();
    expect(rig.handled.slice(1)).toEqual(Array.from({ length: 3000 }, (_, index) => 2 + (index % 200)));
  });

  it('stops the pipe while too much waits, small frames too', async () => {
    for (const size of [1, 65_536]) {
      const rig = new Rig();
      rig.slow.add(1).add(2);
      rig.push(1);
      let count = 0;
      while (rig.flow.length === 0 && count < 20_000) {
        rig.queue.push(new Uint8Array(size).fill(count % 10 === 0 ? 2 : 3));
        count += 1;
      }
      expect(rig.flow).toEqual(['pause']);
      expect(count * size).toBeLessThanOrEqual(1024 * 1024);
      for (let index = 0; rig.handled.length < count + 1; index += 1) {
        rig.gates[index]?.resolve();
        await settleTasks(1);
      }
      expect(rig.flow).toEqual(['pause', 'resume']);
    }
  });

  it('forgets what waits once it is closed, and lets the pipe run dry', async () => {
    const rig = new Rig();
    rig.slow.add(1);
    rig.push(1, 2, 3);
    rig.queue.close();
    rig.push(4);
    rig.gates[0]?.resolve();
    await settleTasks();
    expect(rig.handled).toEqual([1]);
    expect(rig.flow).toEqual(['resume']);
  });

  it('tells of what goes wrong, at once or later', async () => {
    const rig = new Rig();
    rig.slow.add(1);
    rig.push(255, 1, 2);
    rig.gates[0]?.reject(new RangeError('late'));
    await settleTasks();
    expect(rig.failures.map(String)).toEqual(['TypeError: garbage', 'RangeError: late']);
    expect(rig.handled).toEqual([255, 1]);
  });
});
