import { hash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_CACHED_MODULE_BYTES, MIN_CACHED_MODULE_BYTES } from '../../../src/sandbox/constants.ts';
import {
  InstrumentedModules,
  type InstrumentedStore,
  type InstrumentingChild,
} from '../../../src/sandbox/executors/wasm/instrumented-modules.ts';
import type { ChildTask, TaskEnd } from '../../../src/sandbox/executors/wasm/sandbox-child.ts';
import { createSandboxMetrics } from '../../../src/sandbox/metrics.ts';
import { encodeContent } from '../../../src/sandbox/protocol/instrumented-content.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { type InstrumentedModule, instrument } from '../../../src/wasm/instrument/instrument.ts';
import { steppingWat } from '../../support/program.ts';
import { createChildTask } from '../../support/sandbox.ts';
import { assembleWat } from '../../support/wat.ts';

const MADE = instrument(assembleWat(steppingWat({})), { maxPages: 16, isStepping: true });
const CONTENT = encodeContent(MADE);
const NONE = { holds: () => false };

class MemoryStore implements InstrumentedStore {
  readonly held = new Map<string, InstrumentedModule>();
  async get(key: string): Promise<InstrumentedModule | null> {
    return this.held.get(key) ?? null;
  }
  async put(key: string, module: InstrumentedModule): Promise<void> {
    this.held.set(key, module);
  }
}

function answer(outputs: readonly Uint8Array[]): TaskEnd {
  const result = { kind: 'result', answer: {}, outputs: outputs.map((bytes) => ({ path: '/instrumented', bytes })) };
  // What the answer says besides is not looked at.
  return result as unknown as TaskEnd;
}

describe('InstrumentedModules', () => {
  let store: MemoryStore;
  let started: number;
  let closed: number;
  let asked: ChildTask[];
  const metrics = createSandboxMetrics(new NoopMetricsRegistry());
  const task = createChildTask(new Uint8Array(MIN_CACHED_MODULE_BYTES), {
    outputBytes: 5,
    checkpoints: { kind: 'steps', every: 1 },
  });
  const create = (run: () => Promise<TaskEnd>, start = async (): Promise<void> => {}): InstrumentedModules => {
    const createChild = (): InstrumentingChild => ({
      start: async () => {
        started++;
        await start();
      },
      run: async (given) => {
        asked.push(given);
        return await run();
      },
      close: async () => {
        closed++;
      },
    });
    return new InstrumentedModules({ store, metrics, createChild });
  };

  beforeEach(() => {
    store = new MemoryStore();
    [started, closed, asked] = [0, 0, []];
  });

  /** Asks as often as it takes to have a module made, and waits until it is. */
  const ask = async (modules: InstrumentedModules, given = task): Promise<ChildTask> => {
    for (let time = 0; time < 2; time++) {
      expect(await modules.replaceModule(given, NONE, 'process')).toBe(given);
      await modules.settle();
    }
    return await modules.replaceModule(given, NONE, 'process');
  };

  it('makes nothing of a module that comes once', async () => {
    expect(await create(async () => answer([CONTENT])).replaceModule(task, NONE, 'process')).toBe(task);
    expect(started).toBe(0);
  });

  it('gives a child that only instruments the module and nothing of the job, and closes it', async () => {
    await ask(create(async () => answer([CONTENT])));
    expect(asked[0]?.module).toBe(task.module);
    expect(asked).toMatchObject([
      { onlyInstruments: true, inputs: [], pieces: null, request: { checkpoints: null, fuel: 0, inputs: [] } },
    ]);
    expect([started, closed]).toEqual([1, 1]);
  });

  it('does not let the task wait for that', async () => {
    const { promise, resolve } = Promise.withResolvers<TaskEnd>();
    const modules = create(() => promise);
    const other = { ...task, request: { ...task.request, maxPages: 17 } };
    for (let time = 0; time < 3; time++) {
      expect(await modules.replaceModule(task, NONE, 'process')).toBe(task);
      expect(await modules.replaceModule(other, NONE, 'process')).toBe(other);
    }
    expect([started, closed]).toEqual([1, 0]);
    resolve(answer([CONTENT]));
    await modules.settle();
    expect(await modules.replaceModule(task, NONE, 'process')).toMatchObject({ isInstrumented: true });
    await modules.replaceModule(other, NONE, 'process');
    await modules.settle();
    expect([started, closed]).toEqual([2, 2]);
  });

  it('replaces the module, under a digest of its own, and keeps it', async () => {
    const modules = create(async () => answer([CONTENT]));
    const replaced = await ask(modules);
    expect(replaced).toMatchObject({ isInstrumented: true, module: CONTENT });
    expect(replaced.moduleKey).not.toBe(task.moduleKey);
    expect(Buffer.from(replaced.request.digest).toString('hex')).toBe(replaced.moduleKey);
    expect(store.held.get(replaced.moduleKey)).toEqual(MADE);
    expect(await modules.replaceModule(task, NONE, 'process')).toEqual(replaced);
    expect(started).toBe(1);
  });

  it('sends nothing of a module that the child holds', async () => {
    const modules = create(async () => answer([CONTENT]));
    const { moduleKey } = await ask(modules);
    const again = await modules.replaceModule(task, { holds: (key) => key === moduleKey }, 'process');
    expect(again).toMatchObject({ moduleKey, module: new Uint8Array(0) });
    expect(await modules.replaceModule(task, { holds: (key) => key === task.moduleKey }, 'process')).toBe(task);
  });

  it.each([
    ['another limit of memory', { maxPages: 17 }],
    ['another ABI', { abi: 'wasi' as const }],
    ['another module', { digest: hash('sha256', 'other', 'buffer') }],
  ])('keeps %s apart', async (_name, change) => {
    const modules = create(async () => answer([CONTENT]));
    const one = await ask(modules);
    const other = await ask(modules, { ...task, request: { ...task.request, ...change } });
    expect(other.moduleKey).not.toBe(one.moduleKey);
    expect(started).toBe(2);
  });

  it.each([
    ['garbage', async () => answer([new Uint8Array(50).fill(7)])],
    [
      'a description that is none',
      async () => answer([Buffer.concat([Buffer.of(0, 0, 0, 2), Buffer.from('{}'), CONTENT])]),
    ],
    ['nothing', async () => answer([])],
    [
      'its end',
      async (): Promise<TaskEnd> => ({
        kind: 'killed',
        outcome: { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'gone' },
        // Nobody asks a child for its answers that only instruments.
        answers: undefined as never,
      }),
    ],
    ['a failure', () => Promise.reject(new Error('cannot start'))],
  ])('leaves the task as it is where the child gives %s, and keeps nothing', async (_name, run) => {
    expect(await ask(create(run))).toBe(task);
    expect(store.held.size).toBe(0);
    expect(closed).toBe(1);
  });

  it('leaves the task as it is where no child starts', async () => {
    const modules = create(
      async () => answer([CONTENT]),
      () => Promise.reject(new Error('no')),
    );
    expect(await ask(modules)).toBe(task);
    expect(closed).toBe(1);
  });

  it.each([
    ['small', MIN_CACHED_MODULE_BYTES - 1],
    ['very large', MAX_CACHED_MODULE_BYTES + 1],
  ])('leaves %s modules alone', async (_name, length) => {
    const given = { ...task, module: { length } as Uint8Array };
    expect(
      await ask(
        create(async () => answer([CONTENT])),
        given,
      ),
    ).toBe(given);
    expect(started).toBe(0);
  });

  it('ends the child that is at work when it is closed', async () => {
    const { promise, resolve } = Promise.withResolvers<TaskEnd>();
    const modules = create(() => promise);
    for (let time = 0; time < 2; time++) await modules.replaceModule(task, NONE, 'process');
    const closing = modules[Symbol.asyncDispose]();
    expect(closed).toBe(1);
    resolve(answer([]));
    await closing;
    expect(store.held.size).toBe(0);
  });
});
