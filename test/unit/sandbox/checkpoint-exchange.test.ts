import { beforeEach, describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/sandbox/errors.ts';
import { CheckpointExchange, SinkRejection } from '../../../src/sandbox/executors/wasm/checkpoint-exchange.ts';
import type { CheckpointOrder, StateCheckpoint } from '../../../src/sandbox/interface.ts';
import type { CheckpointAnswer } from '../../../src/sandbox/protocol/answers.ts';
import type { OrderRequest } from '../../../src/sandbox/protocol/requests.ts';
import { GO_ON } from '../../support/sandbox.ts';
import { buildMemoryState, fillPage, type MemoryParts } from '../../support/states.ts';

const OPTIONS = { maxPages: 4, fuel: 1000, outputBytes: 100_000, logBytes: 100, startStep: 0, tellsEnd: true };
type Answered = Partial<CheckpointAnswer> & { readonly parts?: MemoryParts };

function answer({ parts = {}, ...given }: Answered): CheckpointAnswer {
  const { place = 'middle', step = 0, fuel = 0 } = given;
  const state = buildMemoryState({ ...parts, host: { steps: step, fuel, isDone: place === 'end', ...parts.host } });
  return {
    ...{ place, step, fuel, ordinal: 0, stateRoot: new Uint8Array(32).fill(1), state },
    metricsHash: state.host.slice(76),
    ...given,
  };
}

describe('CheckpointExchange', () => {
  let orders: OrderRequest[];
  let seen: StateCheckpoint[];
  let reply: CheckpointOrder;
  let exchange: CheckpointExchange;
  const create = (options: Partial<typeof OPTIONS> = {}): CheckpointExchange =>
    new CheckpointExchange(
      {
        sendOrder: (order) => orders.push(order),
        sink: {
          checkpoint: (checkpoint) => {
            seen.push(checkpoint);
            return Promise.resolve(reply);
          },
        },
      },
      { ...OPTIONS, ...options },
    );
  const tell = async (...told: readonly Answered[]): Promise<void> => {
    for (const one of told) await exchange.take(answer(one), one.ordinal ?? 0);
  };
  beforeEach(() => {
    orders = [];
    seen = [];
    reply = GO_ON;
    exchange = create();
  });

  it('tells what the program is at and sends the order back', async () => {
    await tell(
      { place: 'start' },
      { step: 2, fuel: 10, parts: { pages: [1, 0, 2, 1] } },
      { place: 'end', step: 3, fuel: 11 },
    );
    expect(orders).toEqual(new Array(3).fill({ next: 'continue', wanted: [] }));
    expect(seen.map(({ place, step, fuel }) => [place, step, fuel])).toEqual([
      ['start', 0, 0],
      ['middle', 2, 10],
      ['end', 3, 11],
    ]);
    expect(Object.keys(seen[1] ?? {})).not.toContain('kind');
    const { pages } = seen[1]?.state.kind === 'memory' ? seen[1].state : { pages: new Uint8Array(0) };
    // The page of zeros is not a piece, and a page that is there twice is one.
    expect(seen[1]?.pieces).toEqual(new Uint8Array(Buffer.concat([pages.subarray(0, 32), pages.subarray(64, 96)])));
    expect(() => exchange.assertEnd({ kind: 'completed' })).not.toThrow();
  });

  it.each<[string, Answered[]]>([
    ['its place', [{ place: 'middle', step: 1 }]],
    ['its place', [{ place: 'start' }, { place: 'start' }]],
    ['it does not start where it should', [{ place: 'start', step: 1 }]],
    ['its step', [{ place: 'start' }, { step: 0 }]],
    ['it goes back', [{ place: 'start' }, { step: 1, fuel: 5 }, { step: 2, fuel: 4 }]],
    ['it goes back', [{ place: 'start' }, { step: 5 }, { place: 'end', step: 4 }]],
    ['it comes after the end', [{ place: 'start' }, { place: 'end', step: 1 }, { step: 2 }]],
    ['more fuel than the job has', [{ place: 'start', fuel: 1001 }]],
    [
      'its count of logs and metrics',
      [
        { place: 'start', parts: {} },
        { step: 1, ordinal: 0 },
      ],
    ],
    ['its state is of another step', [{ place: 'start', parts: { host: { steps: 1 } } }]],
    ['its state is of another step', [{ place: 'start', parts: { host: { fuel: 1 } } }]],
    ['its metrics hash', [{ place: 'start', metricsHash: new Uint8Array(32) }]],
    ['whether it is the end', [{ place: 'start' }, { step: 1, parts: { host: { isDone: true } } }]],
    ['whether it is the end', [{ place: 'start' }, { place: 'end', step: 1, parts: { host: { isDone: false } } }]],
    ['pages are more than', [{ place: 'start', parts: { pages: [1, 1, 1, 1, 1] } }]],
    ['does not list every page', [{ place: 'start', parts: { pages: [1], host: { pages: 2 } } }]],
    ['more output', [{ place: 'start', parts: { output: new Uint8Array(100_001) } }]],
    ['more logs', [{ place: 'start', parts: { host: { logBytes: 101 } } }]],
  ])('does not believe a child: %s', async (reason, told) => {
    const last = told.at(-1) ?? {};
    await tell(...told.slice(0, -1));
    const ordinal = reason.includes('count') ? 1 : 0;
    const taken = exchange.take(answer(last), ordinal);
    await expect(taken).rejects.toThrow(reason);
    await expect(taken).rejects.toBeInstanceOf(SandboxError);
  });

  it('takes as many checkpoints as a chain has links, and two', async () => {
    const { state } = answer({ place: 'start' });
    await tell({ place: 'start' });
    const files: CheckpointAnswer['state'] = { kind: 'files', files: [] };
    const next = (step: number): Promise<void> => exchange.take({ ...answer({ step }), state: files }, 0);
    for (let step = 1; step < 65_538; step += 1) await next(step);
    await expect(next(65_538)).rejects.toThrow('too many checkpoints');
    expect(state.kind).toBe('memory');
  });

  describe('with an order that wants pieces', () => {
    const received: [number, number][] = [];
    let completed = 0;
    const order = (parts: Partial<CheckpointOrder> = {}): CheckpointOrder => ({
      wanted: [0, 2],
      receive: (place, bytes) => {
        received.push([place, bytes.length]);
        return Promise.resolve();
      },
      complete: () => {
        completed += 1;
        return Promise.resolve();
      },
      then: 'continue',
      ...parts,
    });
    const parts = { pages: [1, 2], output: new Uint8Array(65_537).fill(3) };
    beforeEach(() => {
      received.length = 0;
      completed = 0;
      reply = order();
    });

    it('gives each in order, then says that all were given', async () => {
      await tell({ place: 'start', parts: { ...parts, output: new Uint8Array(65_537).fill(2) } });
      expect(exchange.isWaiting).toBe(true);
      await exchange.takePiece(0, fillPage(1));
      expect(completed).toBe(0);
      await exchange.takePiece(2, Uint8Array.of(2));
      expect(received).toEqual([
        [0, 65_536],
        [2, 1],
      ]);
      expect([completed, exchange.isWaiting]).toEqual([1, false]);
      await expect(exchange.takePiece(2, Uint8Array.of(2))).rejects.toThrow('was not ordered');
    });

    it.each<[string, number, Uint8Array]>([
      ['out of turn', 2, fillPage(3)],
      ['out of turn', 1, fillPage(2)],
      ['out of turn', 99, fillPage(2)],
      ['a wrong size', 0, new Uint8Array(65_535)],
      ['a wrong size', 0, new Uint8Array(0)],
    ])('refuses a piece %s', async (reason, place, bytes) => {
      await tell({ place: 'start', parts });
      await expect(exchange.takePiece(place, bytes)).rejects.toThrow(reason);
      expect([received.length, completed]).toEqual([0, 0]);
    });

    it('refuses anything else before the last piece', async () => {
      await tell({ place: 'start', parts });
      await exchange.takePiece(0, fillPage(1));
      expect(() => exchange.assertMayAnswer()).toThrow('before the pieces that were ordered');
      expect(() => exchange.assertEnd({ kind: 'completed' })).toThrow('before the pieces that were ordered');
      await expect(tell({ step: 1 })).rejects.toThrow('before the pieces that were ordered');
    });

    it('refuses a state that gives one digest to pieces of two sizes', async () => {
      const state = buildMemoryState(parts);
      const twice = {
        ...state,
        output: new Uint8Array([...state.output.subarray(0, 32), ...state.output.subarray(0, 32)]),
      };
      reply = order({ wanted: [1] });
      await expect(exchange.take({ ...answer({ place: 'start', parts }), state: twice }, 0)).rejects.toThrow(
        'two sizes',
      );
    });

    it.each([[[1, 0]], [[0, 0]], [[-1]], [[0.5]], [[4]]])('does not send an order for %j', async (wanted) => {
      reply = order({ wanted });
      await expect(tell({ place: 'start', parts })).rejects.toBeInstanceOf(SinkRejection);
      expect(orders).toEqual([]);
    });

    it('passes on what its receiver throws, and completes nothing then', async () => {
      const cause = new TypeError('the disk is full');
      reply = order({ receive: () => Promise.reject(cause) });
      await tell({ place: 'start', parts });
      await expect(exchange.takePiece(0, fillPage(1))).rejects.toMatchObject({ name: 'SinkRejection', cause });
      expect(completed).toBe(0);
    });

    it('calls nothing once it is stopped', async () => {
      const gate = Promise.withResolvers<void>();
      reply = order({ wanted: [0], receive: () => gate.promise });
      await tell({ place: 'start', parts });
      const taken = exchange.takePiece(0, fillPage(1));
      exchange.stop();
      gate.resolve();
      await taken;
      expect(completed).toBe(0);
    });

    it('halts once the pieces were given', async () => {
      reply = order({ then: 'halt', wanted: [0] });
      await tell({ place: 'start', parts });
      await exchange.takePiece(0, fillPage(1));
      expect(orders).toEqual([{ next: 'halt', wanted: [0] }]);
      expect(() => exchange.assertMayAnswer()).toThrow('was halted');
      expect(() => exchange.assertEnd({ kind: 'completed' })).toThrow('was halted');
      expect(() => exchange.assertEnd({ kind: 'attempt-failed', code: 'PAUSED', detail: '' })).not.toThrow();
    });
  });

  it('sends no order once it is stopped', async () => {
    const gate = Promise.withResolvers<CheckpointOrder>();
    const waiting = new CheckpointExchange(
      { sendOrder: (order) => orders.push(order), sink: { checkpoint: () => gate.promise } },
      OPTIONS,
    );
    const taken = waiting.take(answer({ place: 'start' }), 0);
    expect(waiting.isWaiting).toBe(true);
    expect(() => waiting.assertNotAsking()).toThrow(SandboxError);
    waiting.stop();
    gate.resolve(GO_ON);
    await taken;
    expect(orders).toEqual([]);
  });

  it('refuses an end that does not fit', async () => {
    await tell({ place: 'start' });
    expect(() => exchange.assertEnd({ kind: 'completed' })).toThrow('without its checkpoint');
    expect(() => exchange.assertEnd({ kind: 'attempt-failed', code: 'PAUSED', detail: '' })).toThrow('nobody ordered');
    expect(() => exchange.assertEnd({ kind: 'program-failed', code: 'TRAP', detail: '' })).not.toThrow();
  });

  it('lets a program that was done when it was resumed end without another checkpoint', async () => {
    exchange = create({ startStep: 7 });
    await tell({ place: 'start', step: 7, parts: { host: { isDone: true } } });
    expect(() => exchange.assertEnd({ kind: 'completed' })).not.toThrow();
  });
});
