import { afterAll, beforeAll, expect, it } from 'vitest';
import type { IsolationLevel } from '../../src/domain/capability.ts';
import { computeStateRoot } from '../../src/proofs/state-root.ts';
import type { CheckpointOrder, ExecutionResult, Executor, StateCheckpoint } from '../../src/sandbox/interface.ts';
import { KeepingSink } from '../support/checkpoint-sink.ts';
import { describeIf } from '../support/needs.ts';
import { steppingWat } from '../support/program.ts';
import {
  ALICE,
  BOB,
  createTask,
  createTestExecutor,
  findOffers,
  GO_ON,
  needLevel,
  RecordingSink,
  type TaskParts,
} from '../support/sandbox.ts';
import { buildSteppingModule } from '../support/stepping-modules.ts';
import { assembleWat } from '../support/wat.ts';

const offers = await findOffers();
const RESOURCES = { memoryBytes: 64 * 65_536, fuel: 1e9, logBytes: 1e7, outputBytes: 1e7 };
const EVERY_3 = { kind: 'steps', every: 3 } as const;
const RANDOM = buildSteppingModule(11, { steps: 12, endings: 'done' }).bytes;
/** 40 pages, each of which says its own number; a step changes one, logs, measures and writes 3,000 bytes. */
const PAGES = assembleWat(
  steppingWat({
    rest: `(global $step (mut i32) (i32.const 0)) (global $share (export "share") (mut f64) (f64.const 0.1))
      (func $fill (param $page i32) (loop $next
        (i32.store (i32.mul (local.get $page) (i32.const 65536)) (local.get $page))
        (local.set $page (i32.add (local.get $page) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $page) (memory.size)))))`,
    init: '(drop (memory.grow (i32.const 39))) (call $fill (i32.const 1)) (i32.const 0)',
    step: `(global.set $step (i32.add (global.get $step) (i32.const 1)))
      (global.set $share (f64.mul (global.get $share) (f64.const 3)))
      (f64.store (i32.mul (global.get $step) (i32.const 65536)) (global.get $share))
      (call $random (i32.const 300) (i32.const 8))
      (call $log (i32.const 0) (i32.const 5)) (call $metric (i32.const 6) (i32.const 5) (global.get $share))
      (call $output_write (i32.const 200) (i32.const 30000))
      (i32.ge_u (global.get $step) (i32.const 9))`,
  }),
);

/** All that replicas compare. */
function pick(result: ExecutionResult): Partial<ExecutionResult> {
  const { outcome, outputs, fuel, steps, metricsHash, instrumentedModuleDigest } = result;
  return { outcome, outputs, fuel, steps, metricsHash, instrumentedModuleDigest };
}

const tell = ({ place, step, fuel, ordinal, stateRoot }: StateCheckpoint): string =>
  [place, step, fuel, ordinal, Buffer.from(stateRoot).toString('hex')].join(' ');

/** What an executor of stepping modules owes at checkpoints (src/sandbox/interface.ts, docs/stepping.md). */
function describeCheckpoints(isolation: IsolationLevel): void {
  describeIf(needLevel(offers.has(isolation), isolation), `Executor at level ${isolation}, checkpoints`, () => {
    let executor: Executor;
    beforeAll(async () => {
      executor = await createTestExecutor({ slots: 2, maxChildren: 3 });
    });
    afterAll(async () => await executor[Symbol.asyncDispose]());

    const execute = async (
      parts: Partial<TaskParts>,
      sink: RecordingSink,
      signal?: AbortSignal,
    ): Promise<ExecutionResult> => {
      const task = createTask({ isolation, module: PAGES, checkpoints: EVERY_3, resources: RESOURCES, ...parts });
      return await executor.execute(task, sink, signal === undefined ? {} : { signal });
    };

    it('tells the start, the scheduled steps and the end, with roots that another process finds too', async () => {
      const sinks = [new RecordingSink(), new RecordingSink()] as const;
      const results = [
        await execute({ module: RANDOM, requester: ALICE }, sinks[0]),
        await execute({ module: RANDOM, requester: BOB }, sinks[1]),
      ];
      const [told, again] = sinks.map((sink) => sink.checkpoints.map(tell));
      expect(told).toHaveLength(5);
      expect(told).toEqual(again);
      expect(pick(results[0] as ExecutionResult)).toEqual(pick(results[1] as ExecutionResult));
      const { checkpoints } = sinks[0];
      expect(checkpoints.map(({ place, step }) => [place, step])).toEqual([
        ['start', 0],
        ['middle', 3],
        ['middle', 6],
        ['middle', 9],
        ['end', 12],
      ]);
      for (const checkpoint of checkpoints) expect(computeStateRoot(checkpoint.state)).toEqual(checkpoint.stateRoot);
      expect(checkpoints.at(-1)).toMatchObject({ fuel: results[0]?.fuel, metricsHash: results[0]?.metricsHash });
    });

    it('tells checkpoints by fuel', async () => {
      const sink = new RecordingSink();
      const { fuel } = await execute({ checkpoints: { kind: 'fuel', every: 3000 } }, sink);
      expect(sink.checkpoints.map(({ place }) => place)).toEqual([
        'start',
        ...new Array<string>(sink.checkpoints.length - 2).fill('middle'),
        'end',
      ]);
      expect(sink.checkpoints.length).toBeGreaterThan(3);
      expect(sink.checkpoints.at(-1)?.fuel).toBe(fuel);
    });

    it('never asks where the task has no schedule, and gives the same result', async () => {
      const sink = new RecordingSink();
      const result = await execute({ checkpoints: null }, sink);
      expect(sink.checkpoints).toEqual([]);
      expect(pick(result)).toEqual(pick(await execute({}, new RecordingSink())));
    });

    it('has no checkpoint for a step that fails', async () => {
      const sink = new RecordingSink();
      const module = assembleWat(steppingWat({ step: 'unreachable' }));
      const result = await execute({ module, checkpoints: { kind: 'steps', every: 1 } }, sink);
      expect(result.outcome).toMatchObject({ kind: 'program-failed', code: 'TRAP' });
      expect(sink.checkpoints.map(({ place }) => place)).toEqual(['start']);
    });

    it('hands out each piece once, and what is wanted of them', async () => {
      const sink = new KeepingSink();
      await execute({}, sink);
      expect(sink.received[0]).toBe(40);
      // Three pages and the one with random bytes, and at most three pieces of output.
      for (const count of sink.received.slice(1)) expect(count).toBeLessThanOrEqual(7);
      expect(sink.completed).toBe(sink.checkpoints.length);
      const some = new KeepingSink();
      some.choose = (lacking) => lacking.filter((place) => place % 7 === 3);
      await execute({}, some);
      expect(some.received[0]).toBe(6);
    });

    it.each([0, 1, 2])(
      'halts at checkpoint %i and goes on in another child as if nothing had happened',
      async (haltAt) => {
        const whole = new KeepingSink();
        const undisturbed = await execute({}, whole);
        const first = new KeepingSink();
        first.haltAt = haltAt;
        const paused = await execute({ requester: ALICE }, first);
        const at = first.checkpoints.at(-1);
        expect(paused).toMatchObject({ outcome: { kind: 'attempt-failed', code: 'PAUSED' }, outputs: [] });
        expect([paused.steps, paused.fuel]).toEqual([at?.step, at?.fuel]);
        expect([first.checkpoints.length, first.completed]).toEqual([haltAt + 1, haltAt + 1]);
        const second = new KeepingSink(first.store);
        const resumed = await execute({ requester: BOB, resume: first.resumeLast() }, second);
        expect(pick(resumed)).toEqual(pick(undisturbed));
        expect(second.checkpoints[0]).toMatchObject({ place: 'start', step: at?.step, stateRoot: at?.stateRoot });
        expect(second.checkpoints.slice(1).map(tell)).toEqual(whole.checkpoints.slice(haltAt + 1).map(tell));
        expect([...first.events, ...second.events]).toEqual(whole.events);
        expect([...first.ordinals, ...second.ordinals]).toEqual(whole.ordinals);
      },
    );

    it('goes on from its end without running a step', async () => {
      const first = new KeepingSink();
      const undisturbed = await execute({}, first);
      const second = new KeepingSink(first.store);
      const resumed = await execute({ resume: first.resumeLast() }, second);
      expect(pick(resumed)).toEqual(pick(undisturbed));
      expect(second.checkpoints.map(({ place, step }) => [place, step])).toEqual([['start', 9]]);
      expect(second.events).toEqual([]);
    });

    it('halts at the end as well', async () => {
      const sink = new KeepingSink();
      sink.haltAt = 3;
      const result = await execute({}, sink);
      expect(sink.checkpoints.at(-1)?.place).toBe('end');
      expect(result.outcome).toMatchObject({ code: 'PAUSED' });
    });

    it('goes on from the state that it is given, whatever it was', async () => {
      const first = new KeepingSink();
      first.haltAt = 1;
      await execute({}, first);
      const [, at] = first.checkpoints;
      const resume = first.resumeLast();
      const altered = (async function* () {
        let isFirst = true;
        for await (const piece of resume.pieces) {
          yield isFirst ? piece.map((byte, index) => (index === 5000 ? byte ^ 1 : byte)) : piece;
          isFirst = false;
        }
      })();
      const second = new KeepingSink(first.store);
      second.choose = () => [];
      await execute({ resume: { ...resume, pieces: altered } }, second);
      expect(second.checkpoints[0]?.step).toBe(at?.step);
      expect(second.checkpoints[0]?.stateRoot).not.toEqual(at?.stateRoot);
    });

    it.each(['rejects a checkpoint', 'rejects a piece', 'rejects the whole'])(
      'ends with what its sink throws where it %s',
      async (when) => {
        const cause = new TypeError('the disk is full');
        const sink = new RecordingSink();
        let completed = 0;
        const reject = (where: string) => async (): Promise<void> => {
          if (where === 'rejects the whole') completed += 1;
          if (when === where) throw cause;
        };
        const order: CheckpointOrder = {
          ...GO_ON,
          wanted: [0, 1],
          receive: reject('rejects a piece'),
          complete: reject('rejects the whole'),
        };
        sink.checkpoint = async () => {
          await reject('rejects a checkpoint')();
          return order;
        };
        await expect(execute({}, sink)).rejects.toBe(cause);
        expect(completed).toBe(when === 'rejects the whole' ? 1 : 0);
        expect((await execute({}, new RecordingSink())).outcome).toEqual({ kind: 'completed' });
      },
    );

    it.each(['a checkpoint', 'a piece', 'the whole'])(
      'is cancelled while %s waits, and its wall time goes on',
      async (what) => {
        for (const how of what === 'a piece' ? (['abort', 'wall time'] as const) : (['abort'] as const)) {
          const controller = new AbortController();
          const calls: string[] = [];
          const hang = async (where: string): Promise<void> => {
            calls.push(where);
            if (where !== what) return;
            if (how === 'abort') queueMicrotask(() => controller.abort());
            await new Promise(() => {});
          };
          const sink = new RecordingSink();
          sink.checkpoint = async () => {
            await hang('a checkpoint');
            return { ...GO_ON, wanted: [3], receive: () => hang('a piece'), complete: () => hang('the whole') };
          };
          const resources = how === 'abort' ? RESOURCES : { ...RESOURCES, wallTimeMs: 300 };
          const result = await execute({ resources }, sink, controller.signal);
          const code = how === 'abort' ? 'CANCELLED' : 'WALL_TIME';
          expect(result.outcome).toMatchObject({ kind: 'attempt-failed', code });
          expect(calls.at(-1)).toBe(what);
        }
      },
    );

    it('shows neither life nor progress of a program that waits', async () => {
      const sink = new RecordingSink();
      const gate = Promise.withResolvers<CheckpointOrder>();
      let before = 0;
      sink.checkpoint = (checkpoint) => {
        if (checkpoint.place !== 'middle') return Promise.resolve(GO_ON);
        before = sink.progressAtMs.length;
        setTimeout(() => gate.resolve(GO_ON), 500);
        return gate.promise.finally(() => expect(sink.progressAtMs.length).toBe(before));
      };
      const result = await execute({}, sink);
      expect(result.outcome).toEqual({ kind: 'completed' });
    });

    it('carries a state of 64 MiB both ways, one piece at a time', async () => {
      const module = assembleWat(
        steppingWat({
          rest: `(func $fill (param $page i32) (loop $next
            (i32.store (i32.mul (local.get $page) (i32.const 65536)) (local.get $page))
            (local.set $page (i32.add (local.get $page) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $page) (memory.size)))))`,
          init: '(drop (memory.grow (i32.const 1023))) (call $fill (i32.const 1)) (i32.const 0)',
        }),
      );
      const resources = { ...RESOURCES, memoryBytes: 2 ** 27 };
      const first = new KeepingSink();
      first.haltAt = 0;
      let waiting = 0;
      first.onReceive = async () => {
        waiting += 1;
        expect(waiting).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        waiting -= 1;
      };
      await execute({ module, resources }, first);
      expect(first.store.size).toBe(1024);
      const second = new KeepingSink(first.store);
      const resumed = await execute({ module, resources, resume: first.resumeLast() }, second);
      expect(resumed.outcome).toEqual({ kind: 'completed' });
      expect(second.checkpoints[0]?.stateRoot).toEqual(first.checkpoints[0]?.stateRoot);
      expect(second.received[0]).toBe(0);
    });

    it.each<[string, (sink: KeepingSink) => AsyncIterable<Uint8Array>]>([
      ['fails at once', () => fail(0)],
      ['fails half way', (sink) => fail(20, sink)],
      ['ends early', (sink) => limit(sink, 39)],
      ['gives too many', (sink) => limit(sink, 39, new Uint8Array(65_536), new Uint8Array(65_536))],
      ['gives a piece of another size', (sink) => limit(sink, 39, new Uint8Array(65_535))],
    ])('runs nothing of a state whose source %s', async (_what, createPieces) => {
      const first = new KeepingSink();
      first.haltAt = 0;
      await execute({}, first);
      const sink = new RecordingSink();
      const resume = { ...first.resumeLast(), pieces: createPieces(first) };
      await expect(execute({ resume }, sink)).rejects.toMatchObject({ code: 'SANDBOX_RESUME_STATE' });
      expect([sink.checkpoints, sink.events]).toEqual([[], []]);
      expect((await execute({}, new RecordingSink())).outcome).toEqual({ kind: 'completed' });
    });

    it('refuses a state that is not one of the job before it reads a piece', async () => {
      const first = new KeepingSink();
      first.haltAt = 1;
      await execute({}, first);
      const pieces = (): never => {
        throw new TypeError('nobody should read it');
      };
      const resume = { ...first.resumeLast(), pieces: { [Symbol.asyncIterator]: pieces } };
      const refused = { code: 'SANDBOX_RESUME_STATE' };
      const { state } = resume;
      if (state.kind !== 'memory') throw new TypeError('it is a stepping module');
      const less = (part: Partial<typeof RESOURCES>): Partial<TaskParts> => ({
        resume,
        resources: { ...RESOURCES, ...part },
      });
      const sink = new RecordingSink();
      await expect(execute(less({ memoryBytes: 39 * 65_536 }), sink)).rejects.toMatchObject(refused);
      await expect(execute(less({ fuel: 1000 }), sink)).rejects.toMatchObject(refused);
      await expect(execute(less({ outputBytes: 1000 }), sink)).rejects.toMatchObject(refused);
      await expect(execute(less({ logBytes: 10 }), sink)).rejects.toMatchObject(refused);
      await expect(execute({ resume: { ...resume, step: 4 } }, sink)).rejects.toMatchObject(refused);
      const cut = { ...state, pages: state.pages.subarray(32) };
      await expect(execute({ resume: { ...resume, state: cut } }, sink)).rejects.toMatchObject(refused);
      const files = { kind: 'files' as const, files: [] };
      await expect(execute({ resume: { ...resume, state: files } }, sink)).rejects.toMatchObject(refused);
    });

    it('refuses a state whose globals are not those of the module, and goes on with the next task', async () => {
      const first = new KeepingSink();
      first.haltAt = 0;
      await execute({}, first);
      const module = assembleWat(steppingWat({ rest: '(func $more (drop (memory.grow (i32.const 39))))' }));
      const refused = execute({ module, resume: first.resumeLast() }, new RecordingSink());
      await expect(refused).rejects.toMatchObject({ code: 'SANDBOX_RESUME_STATE' });
      expect((await execute({}, new RecordingSink())).outcome).toEqual({ kind: 'completed' });
    });
  });
}

async function* fail(after: number, sink?: KeepingSink): AsyncGenerator<Uint8Array> {
  if (sink !== undefined) yield* limit(sink, after);
  throw new TypeError('the holder has gone');
}

async function* limit(sink: KeepingSink, count: number, ...more: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  let given = 0;
  for await (const piece of sink.resumeLast().pieces) {
    if (given++ === count) break;
    yield piece;
  }
  yield* more;
}

describeCheckpoints('process');
describeCheckpoints('bubblewrap');
