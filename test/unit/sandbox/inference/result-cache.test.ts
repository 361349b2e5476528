import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  findReportProblem,
  type InferenceReport,
  type InferenceWorkload,
} from '../../../../src/domain/inference-workload.ts';
import { SystemClock } from '../../../../src/lib/clock.ts';
import { encodeNpy } from '../../../../src/lib/npy.ts';
import { hashBytes } from '../../../../src/sandbox/executors/inference/hash-bytes.ts';
import { planItems } from '../../../../src/sandbox/executors/inference/plan-items.ts';
import {
  type CacheSubject,
  computeItemKey,
  ResultCache,
} from '../../../../src/sandbox/executors/inference/result-cache.ts';
import { AnswerStream } from '../../../../src/sandbox/executors/inference/stream-answer.ts';
import { WarmModels } from '../../../../src/sandbox/executors/inference/warm-models.ts';
import { ALICE, BOB, RecordingSink } from '../../../support/sandbox.ts';

const WORKLOAD: InferenceWorkload = {
  kind: 'inference',
  model: 'bafkreitest' as InferenceWorkload['model'],
  modelSizeBytes: 1,
  provider: 'cpu',
  threads: 1,
  optimization: 'all',
  deterministic: true,
  batchRows: null,
  caching: true,
};
const SUBJECT: CacheSubject = { requester: ALICE, engine: 'e/1', modelDigest: 'aa', workload: WORKLOAD };

const fileOf = (value: number, shape: readonly number[] = [1]) =>
  encodeNpy({ type: 'float32', shape, bytes: new Uint8Array(Float32Array.of(value).buffer) });

function itemOf(path: string, value: number, shape?: readonly number[]) {
  const planned = planItems([{ path, bytes: fileOf(value, shape) }]);
  if (planned.kind === 'refused') throw new TypeError(planned.detail);
  const [item] = planned.items;
  if (item === undefined) throw new TypeError('no item');
  return item;
}

describe('the key of an item', async () => {
  const item = itemOf('/input/a.npy', 1);
  const key = await computeItemKey(SUBJECT, item);

  it('is the same for the same arrays, whatever the item is called and whichever job it is of', async () => {
    const other = await computeItemKey({ ...SUBJECT, workload: { ...WORKLOAD } }, itemOf('/input/b.npy', 1));
    expect(other).toBe(key);
  });

  it('is of the bytes alone, however they are hashed', async () => {
    for (const length of [0, 1000, 300_000]) {
      const bytes = new Uint8Array(length).fill(7);
      expect(await hashBytes(bytes)).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });

  it.each<readonly [string, Partial<CacheSubject>]>([
    ['another requester', { requester: BOB }],
    ['another engine', { engine: 'e/2' }],
    ['another model', { modelDigest: 'ab' }],
    ['other threads', { workload: { ...WORKLOAD, threads: 2 } }],
    ['another optimization', { workload: { ...WORKLOAD, optimization: 'none' } }],
    ['other determinism', { workload: { ...WORKLOAD, deterministic: false } }],
    ['another batch', { workload: { ...WORKLOAD, batchRows: 8 } }],
  ])('is another for %s', async (_name, change) => {
    expect(await computeItemKey({ ...SUBJECT, ...change }, item)).not.toBe(key);
  });

  it('is another for other numbers, shapes and names of inputs', async () => {
    const others = [itemOf('/input/a.npy', 2), itemOf('/input/a.npy', 1, [1, 1]), itemOf('/input/a/x.npy', 1)];
    const keys = await Promise.all(others.map((other) => computeItemKey(SUBJECT, other)));
    expect(new Set([key, ...keys]).size).toBe(4);
  });
});

describe('the result cache', () => {
  it('holds no more than its bytes, and nothing that is too large a part of them', () => {
    using cache = new ResultCache({ clock: new SystemClock() }, { maxBytes: 16_000, idleMs: 60_000 });
    const answer = (bytes: number) => ({ outputs: [{ name: 'y', file: new Uint8Array(bytes) }] });
    for (let index = 0; index < 20; index += 1) cache.set(`small ${index}`, answer(1000));
    expect(cache.size).toBe(10);
    expect(cache.get('small 0')).toBeUndefined();
    expect(cache.get('small 19')).toEqual(answer(1000));
    cache.set('large', answer(2000));
    expect(cache.get('large')).toBeUndefined();
  });
});

describe('answers that are told as they come', () => {
  const answer = { outputs: [{ name: 'y', file: fileOf(Number.NaN) }] };
  const origin = { item: 'a', isCached: false, batchRows: 4 };

  it('hold the elements of small outputs, and of large ones the shape', () => {
    const sink = new RecordingSink();
    const stream = new AnswerStream(sink, { logBytes: 1000 });
    stream.tell(answer, origin);
    const large = encodeNpy({ type: 'int64', shape: [65], bytes: new Uint8Array(65 * 8) });
    stream.tell({ outputs: [{ name: 'z', file: large }] }, { item: 'b', isCached: true, batchRows: null });
    expect(sink.events).toEqual([
      'stdout: {"item":"a","rows":4,"outputs":{"y":{"type":"float32","shape":[1],"values":["NaN"]}}}',
      'stdout: {"item":"b","cached":true,"outputs":{"z":{"type":"int64","shape":[65]}}}',
    ]);
    expect(sink.ordinals).toEqual([1, 2]);
  });

  it('end where the next one would pass the limit of logs, and none follows', () => {
    const sink = new RecordingSink();
    const stream = new AnswerStream(sink, { logBytes: 100 });
    stream.tell(answer, origin);
    stream.tell(answer, origin);
    stream.tell({ outputs: [] }, origin);
    expect(sink.events).toHaveLength(1);
    new AnswerStream(sink, { logBytes: 0 }).tell(answer, origin);
    expect(sink.events).toHaveLength(1);
  });
});

describe('warm models', () => {
  const model = (session: number, sizeBytes: number) => ({
    session,
    sizeBytes,
    inputs: [],
    outputs: [],
    isBatchable: true,
  });

  it('make room in the order in which they were last asked for', () => {
    const models = new WarmModels(100);
    models.add('a', model(1, 40));
    models.add('b', model(2, 40));
    expect(models.get('a')?.session).toBe(1);
    expect(models.makeRoom(30).map(({ session }) => session)).toEqual([2]);
    models.add('c', model(3, 30));
    expect(models.makeRoom(30)).toEqual([]);
    expect(models.makeRoom(1000).map(({ session }) => session)).toEqual([1, 3]);
    expect([models.nextSession(), models.nextSession()]).toEqual([1, 2]);
  });
});

describe('what a receipt reports', () => {
  const report: InferenceReport = { items: 4, cachedItems: 0, calls: 4, largestBatchRows: 1 };
  const find = (
    workload: InferenceWorkload | { kind: string },
    change: Partial<InferenceReport> | null,
    isCompleted = true,
  ) => findReportProblem(workload, { report: change === null ? undefined : { ...report, ...change }, isCompleted });

  it('has to be what the job allows', () => {
    const plain = { ...WORKLOAD, caching: false };
    expect(find(plain, {})).toBeNull();
    expect(find(WORKLOAD, { cachedItems: 3, calls: 1 })).toBeNull();
    expect(find({ ...WORKLOAD, batchRows: 8 }, { calls: 1, largestBatchRows: 8 })).toBeNull();
    expect(find(plain, { calls: 1 }, false)).toBeNull();
    expect(find({ kind: 'wasm' }, null)).toBeNull();
    expect(find(plain, { cachedItems: 1, calls: 3 })).toContain('which the job does not allow');
    expect(find(plain, { calls: 1 })).toContain('allows no batches');
    expect(find(WORKLOAD, { cachedItems: 5 })).toContain('more items are from a cache');
    expect(find(WORKLOAD, null)).toContain('does not say');
    expect(find({ kind: 'command' }, {})).toContain('runs none');
  });
});
