import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeOnnx } from '../../../scripts/onnx/onnx-model.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { findRuntime } from '../../../src/sandbox/executors/inference/find-runtime.ts';
import type { InferenceExecutor } from '../../../src/sandbox/executors/inference/inference-executor.ts';
import { createInferencePlan, probeInference } from '../../../src/sandbox/executors/inference/probe-inference.ts';
import { launch } from '../../../src/sandbox/isolation/launch.ts';
import type { LaunchPlan } from '../../../src/sandbox/isolation/launch-plan.ts';
import { findHostTools } from '../../../src/sandbox/isolation/probe-isolation.ts';
import { createInferenceFilter } from '../../../src/sandbox/isolation/seccomp/inference-filter.ts';
import {
  createInferenceTask,
  floatItem,
  type InferenceParts,
  needInference,
  openInference,
  readFloats,
} from '../../support/inference.ts';
import { describeIf } from '../../support/needs.ts';
import { affineModel, bombModel, loopModel, nodeModel } from '../../support/onnx-models.ts';
import { ALICE, BOB, RecordingSink } from '../../support/sandbox.ts';

const probe = await probeInference(new SystemClock());
const NEED = needInference(probe);
const MODEL = affineModel();
const ITEM = floatItem('a', [1, 2], [1, 2]);

async function run(executor: InferenceExecutor, parts: Partial<InferenceParts> = {}) {
  const task = createInferenceTask({ model: MODEL, inputs: [ITEM], ...parts });
  return await executor.execute(task, new RecordingSink(), {});
}

/** The launch of a model's child with another program in its place. */
function planOf(entry: string, lastArgument: string): LaunchPlan {
  const search = findRuntime();
  if (search.kind === 'missing') throw new TypeError(search.reason);
  const tools = findHostTools();
  const bubblewrap = tools?.bubblewrap ?? null;
  const filter = createInferenceFilter(process.arch);
  if (tools === null || bubblewrap === null || filter === null) throw new TypeError('there is no sandbox');
  const program = { entry, readable: [entry] };
  return createInferencePlan({ ...search.runtime, program, entry: lastArgument }, { tools, bubblewrap, filter });
}

describeIf(NEED, 'hostile models', () => {
  let executor: InferenceExecutor;
  beforeAll(() => {
    executor = openInference(probe);
  });
  afterAll(async () => {
    await executor[Symbol.asyncDispose]();
  });

  const external = { name: 'w', shape: [2], externalFile: '../../../../etc/passwd' } as const;
  it.each<readonly [string, Uint8Array, string, RegExp]>([
    ['garbage', new Uint8Array(1000).fill(0xff), 'MODEL_REFUSED', /it is no ONNX model/],
    ['an empty file', new Uint8Array(1), 'MODEL_REFUSED', /it is no ONNX model/],
    [
      'weights in another file',
      nodeModel({ operator: 'Add', inputs: ['x', 'w'] }, [external]),
      'MODEL_REFUSED',
      /it keeps weights in files of their own/,
    ],
    [
      'weights in another file, named in a graph in a node',
      nodeModel({
        operator: 'Loop',
        attributes: [{ name: 'body', graph: { inputs: [], outputs: [], nodes: [], weights: [external] } }],
      }),
      'MODEL_REFUSED',
      /it keeps weights in files of their own/,
    ],
    [
      'how to train it',
      encodeOnnx({ inputs: [], outputs: [], nodes: [] }, { isTrained: true }),
      'MODEL_REFUSED',
      /it says how to train it/,
    ],
    [
      "ONNX Runtime's own format",
      new TextEncoder().encode('\0\0\0\0ORTM and so on'),
      'MODEL_REFUSED',
      /ONNX Runtime's own format/,
    ],
    ['an operator of a library', nodeModel({ operator: 'Shell', domain: 'evil' }), 'MODEL_REFUSED', /Shell|evil/],
    ['an operator that is not there', nodeModel({ operator: 'Nothing' }), 'MODEL_REFUSED', /Nothing/],
    ['an array larger than any memory', bombModel([2 ** 30, 2 ** 30]), 'INFERENCE_FAILED|MODEL_REFUSED', /./],
    ['an array larger than its memory', bombModel([2 ** 29]), 'MEMORY_LIMIT', /^$/],
  ])('are ended or refused: %s', async (_name, model, code, detail) => {
    const { outcome } = await run(executor, { model });
    expect(outcome.kind).toBe('program-failed');
    expect(outcome.kind === 'program-failed' && outcome.code).toMatch(new RegExp(`^(${code})$`));
    expect(outcome).toHaveProperty('detail', expect.stringMatching(detail));
    expect((await run(executor)).outcome).toEqual({ kind: 'completed' });
  });

  it('end by their memory alone: other models that are warm are not counted against them', async () => {
    const memoryBytes = 2 ** 20 * 200;
    for (const factor of [3, 4, 5]) await run(executor, { model: affineModel(factor), resources: { memoryBytes } });
    const bomb = await run(executor, { model: bombModel([2 ** 28]), resources: { memoryBytes } });
    expect(bomb.outcome).toMatchObject({ kind: 'program-failed', code: 'MEMORY_LIMIT' });
    const { outcome } = await run(executor, { model: affineModel(3), resources: { memoryBytes } });
    expect(outcome).toEqual({ kind: 'completed' });
  });

  it('end by their memory where no control group may be made, too', async () => {
    if (probe.kind === 'fails') return;
    await using watched = openInference({ kind: 'works', offer: { ...probe.offer, cgroups: null } });
    const { outcome } = await run(watched, { model: bombModel([2 ** 29]) });
    expect(outcome).toMatchObject({ kind: 'program-failed', code: 'MEMORY_LIMIT' });
  });

  it('cut off anywhere, or with bits flipped, leave the executor as it was', async () => {
    const cuts = Array.from({ length: 12 }, (_, index) => MODEL.slice(0, Math.floor((MODEL.length * index) / 12)));
    const flipped = Array.from({ length: 24 }, (_, index) => {
      const bytes = MODEL.slice();
      const at = (index * 7919) % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (index % 8));
      return bytes;
    });
    const ends = [];
    for (const model of [...cuts, ...flipped]) ends.push((await run(executor, { model })).outcome.kind);
    expect(ends.slice(0, cuts.length)).toEqual(cuts.map(() => 'program-failed'));
    // The layout of a model has few bits that matter: some copies still run.
    expect(ends.slice(cuts.length)).toContain('completed');
    expect(ends.slice(cuts.length)).toContain('program-failed');
    expect(readFloats((await run(executor)).outputs[0]).values).toEqual([3, 5]);
  });

  it('that run for ever harm no job of another requester, and none that waits behind them', async () => {
    const model = loopModel(Number.MAX_SAFE_INTEGER);
    const endless = run(executor, { model, requester: ALICE, resources: { wallTimeMs: 1500 } });
    const behind = run(executor, { requester: ALICE });
    const beside = run(executor, { requester: BOB });
    expect((await beside).outcome).toEqual({ kind: 'completed' });
    expect((await endless).outcome).toMatchObject({ code: 'WALL_TIME' });
    expect((await behind).outcome).toEqual({ kind: 'completed' });
  });
});

describeIf(NEED, 'a child that lies', () => {
  const liar = fileURLToPath(new URL('./programs/model-liar.mjs', import.meta.url));
  it.each([
    'garbage',
    'no JSON',
    'an unknown reply',
    'a huge frame',
    'unknown fields',
    'a thousand outputs',
    'an answer to loading that is one to running',
    'nothing but an end',
    'another item',
    'another output',
    'another type',
    'more than the job may have',
    'a shape that nobody can count',
    'more bytes than it said',
    'fewer bytes than it said',
    'bytes of nothing',
    'an item twice',
    'a failure after an answer',
  ])('is killed for %s', async (lie) => {
    if (probe.kind === 'fails') return;
    const offer = { ...probe.offer, plan: planOf(liar, lie) };
    await using executor = openInference({ kind: 'works', offer });
    const { outcome, outputs } = await run(executor);
    expect(outcome).toMatchObject({ kind: 'attempt-failed', code: 'EXECUTOR_CRASHED' });
    expect(outputs).toEqual([]);
  });
});

/** What native code that has taken over a child gets hold of: Node's permission model does not hold it. */
describeIf(NEED, 'a child that was taken over', () => {
  const hostile = fileURLToPath(new URL('./programs/hostile.mjs', import.meta.url));
  const servers: Server[] = [];
  let folder: string;
  let results: Readonly<Record<string, string>> = {};

  const listen = async (options: { host?: string; port?: number; path?: string }): Promise<number> => {
    const server = createServer((socket) => socket.end());
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(options, resolve));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-escape-'));
    const [secretFile, socketPath] = [join(folder, 'secret'), join(folder, 'control.sock')];
    const abstractName = `fogproof-model-${process.pid}`;
    await writeFile(secretFile, 'the secret of the host');
    const port = await listen({ host: '127.0.0.1', port: 0 });
    await listen({ path: socketPath });
    await listen({ path: `\0${abstractName}` });
    const plan = planOf(hostile, '');
    const isOff = (argument: string): boolean => /^--(permission|allow-fs-read=.*|disallow-code.*)$/.test(argument);
    const child = launch(
      { ...plan, createArguments: (files) => plan.createArguments(files).filter((word) => !isOff(word)) },
      [],
    );
    const targetFile = join(folder, 'written');
    child.requests.end(
      JSON.stringify({ secretFile, socketPath, abstractName, targetFile, port, parentPid: process.pid }),
    );
    const [answer, errors] = await Promise.all([text(child.answers), text(child.errors)]);
    if (answer === '') throw new Error(`the hostile program gave nothing: ${errors}`);
    results = JSON.parse(answer);
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await rm(folder, { recursive: true });
  });

  it.each([
    'read /etc/passwd',
    'read a file of the host',
    'list the home folder',
    'write a file',
    'write to /tmp',
    'write to /dev/shm',
    'overwrite its own program',
    'follow a symbolic link',
    'connect to TCP of the host',
    'connect to a Unix socket of the host',
    'connect to an abstract socket of the host',
    'listen where the host can connect',
    'spawn a program',
    'see the environment',
    'read its environment in /proc',
    'read the environment of the node',
    'open the memory of the node',
    'see other processes',
    'signal the node',
    'list the devices',
    'change the kernel',
  ])('cannot %s', (attempt) => {
    expect(results[attempt]).toMatch(/^denied: /);
  });

  it('left no trace on the host', () => {
    expect(existsSync(join(folder, 'written'))).toBe(false);
    expect(existsSync('/tmp/fogproof-escape')).toBe(false);
  });
});

describe('a host without ONNX Runtime', () => {
  it('says what is missing and how to get it', async () => {
    const found = await probeInference(new SystemClock(), '/nowhere');
    expect(found).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining('/nowhere/node_modules/onnxruntime-node'),
      remedy: expect.stringContaining('scripts/setup-inference'),
    });
    await using executor = openInference(found);
    expect(executor.isolation).toEqual([]);
    await expect(run(executor)).rejects.toMatchObject({ code: 'SANDBOX_ISOLATION_UNAVAILABLE' });
  });
});
