import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlobId, JobId } from '../../../src/domain/ids.ts';
import type { Comparison } from '../../../src/domain/job.ts';
import type { Result } from '../../../src/domain/receipt.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeObjectId, computeRawId, sha256 } from '../../../src/lib/cid.ts';
import { compareFiles } from '../../../src/proofs/compare-files.ts';
import {
  compareResults,
  findAgreement,
  type GivenResult,
  listComparisons,
  MAX_COMPARED_BYTES,
} from '../../../src/proofs/compare-results.ts';

const JOB = JobId(computeObjectId(encodeUtf8('job')));
const WEIGHTS: Comparison = { path: '/output/w', element: 'f32', absolute: '0.1', relative: '0' };
const blobs = new Map<BlobId, Uint8Array>();

function store(bytes: Uint8Array): { blob: BlobId; sizeBytes: number } {
  const blob = BlobId(computeRawId(bytes));
  blobs.set(blob, bytes);
  return { blob, sizeBytes: bytes.length };
}

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

function resultOf(files: Readonly<Record<string, Uint8Array>>, changes: Partial<Result> = {}): Result {
  return {
    type: 'fogproof/result@1',
    job: JOB,
    outcome: { kind: 'completed' },
    outputs: Object.entries(files).map(([path, bytes]) => ({ path, ...store(bytes) })),
    fuel: 1,
    steps: 1,
    metricsHash: sha256(new Uint8Array(0)),
    instrumentedModule: null,
    instrumenter: 'test/1',
    ...changes,
  };
}

function by(comparisons: readonly Comparison[] = [WEIGHTS], read = (blob: BlobId) => blobs.get(blob)) {
  return { comparisons, files: { read: async (blob: BlobId) => read(blob), pause: () => Promise.resolve() } };
}

function given(name: string, ...values: number[]): GivenResult {
  const result = resultOf({ '/output/w': floats(...values) });
  return { name, result, outputRoot: values.join() };
}

describe('two results', () => {
  it('agree where files are identical and what is not compared differs', async () => {
    const a = resultOf({ '/output/w': floats(1), '/output/x': floats(2) });
    const b = resultOf({ '/output/w': floats(1), '/output/x': floats(2) }, { fuel: 9, steps: 9 });
    expect(await compareResults(a, b, by([]))).toEqual({ kind: 'agree', largest: null });
  });

  it('agree within the tolerance of a path, by the largest difference', async () => {
    const a = resultOf({ '/output/v': floats(5), '/output/w': floats(1, 2) });
    const b = resultOf({ '/output/v': floats(5.05), '/output/w': floats(1.01, 2.08) });
    const compared = await compareResults(a, b, by([WEIGHTS, { ...WEIGHTS, path: '/output/v', absolute: '1' }]));
    expect(compared).toMatchObject({ kind: 'agree', largest: { path: '/output/w', index: 1, a: '2' } });
    expect(compared.kind === 'agree' && compared.largest?.share).toBeCloseTo(0.8, 2);
  });

  it.each<[string, Result, RegExp]>([
    [
      'beyond it',
      resultOf({ '/output/w': floats(1.2) }),
      /\/output\/w is beyond its tolerance at element 0: 1 and 1.2/,
    ],
    ['of another length', resultOf({ '/output/w': floats(1, 1) }), /cannot be compared: 4 bytes and 8 bytes/],
    ['of other paths', resultOf({ '/output/v': floats(1) }), /other output files/],
    ['of more paths', resultOf({ '/output/w': floats(1), '/output/x': floats(1) }), /other output files/],
    [
      'of another outcome',
      resultOf({ '/output/w': floats(1) }, { outcome: { kind: 'program-failed', code: 'TRAP', detail: '' } }),
      /the outcomes completed and TRAP/,
    ],
    ['under another instrumenter', resultOf({ '/output/w': floats(1) }, { instrumenter: 'test/2' }), /instrumenters/],
  ])('do not agree where one is %s', async (_what, other, reason) => {
    const a = resultOf({ '/output/w': floats(1) });
    expect(await compareResults(a, other, by())).toEqual({ kind: 'differ', reason: expect.stringMatching(reason) });
  });

  it('do not agree in files that the job does not name', async () => {
    const [a, b] = [resultOf({ '/output/x': floats(1) }), resultOf({ '/output/x': floats(1.01) })];
    expect(await compareResults(a, b, by())).toEqual({ kind: 'differ', reason: 'other bytes in /output/x' });
  });

  it('are not compared above the limit, and not read', async () => {
    const sizeBytes = MAX_COMPARED_BYTES.f32 + 4;
    const huge = (name: string): Result => {
      const outputs = [{ path: '/output/w', ...store(encodeUtf8(name)), sizeBytes }];
      return resultOf({}, { outputs });
    };
    const compared = await compareResults(
      huge('a'),
      huge('b'),
      by([WEIGHTS], () => expect.unreachable()),
    );
    expect(compared).toMatchObject({ kind: 'differ', reason: expect.stringMatching(/more than the 67108864/) });
  });

  it('are unknown where a file is not at hand', async () => {
    const [a, b] = [resultOf({ '/output/w': floats(1) }), resultOf({ '/output/w': floats(1.01) })];
    const lost = b.outputs[0]?.blob;
    const compared = await compareResults(
      a,
      b,
      by([WEIGHTS], (blob) => (blob === lost ? undefined : blobs.get(blob))),
    );
    expect(compared).toEqual({ kind: 'unknown', missing: [lost] });
  });

  it('are compared in slices as in one piece', async () => {
    const length = 600_000;
    const a = new Float64Array(length).map((_, index) => index);
    const b = a.slice();
    for (const index of [3, 131_071, 131_072, 599_999]) b[index] = (b[index] ?? 0) + index / 1e6;
    const [left, right] = [new Uint8Array(a.buffer), new Uint8Array(b.buffer)];
    for (const absolute of ['1', '0.5']) {
      const comparison: Comparison = { path: '/output/w', element: 'f64', absolute, relative: '0' };
      const whole = compareFiles(left, right, comparison);
      const compared = await compareResults(
        resultOf({ '/output/w': left }),
        resultOf({ '/output/w': right }),
        by([comparison]),
      );
      if (whole.kind === 'within') expect(compared).toMatchObject({ kind: 'agree', largest: whole.largest });
      else expect(compared).toMatchObject({ kind: 'differ', reason: expect.stringContaining('element 599999') });
    }
  });
});

describe('results of several replicas', () => {
  it('are accepted around the one with which most agree', async () => {
    const results = [given('a', 1), given('c', 1.16), given('b', 1.08), given('d', 7)];
    const agreement = await findAgreement(results, by());
    expect(agreement?.accepted.name).toBe('b');
    // The outer two differ by more than the tolerance: agreement is with the accepted one alone.
    expect(agreement?.agreeing.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(agreement?.largest).toMatchObject({ path: '/output/w', a: expect.stringMatching(/^1\.08/) });
    expect([...(agreement?.reasons.keys() ?? [])]).toEqual(['d']);
  });

  it('are chosen by what is identical, then by name, in any order', async () => {
    const results = [given('a', 1), given('b', 1.01), given('c', 1.01)];
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(results, { minLength: 3 }), async (shuffled) => {
        expect((await findAgreement(shuffled, by()))?.accepted.name).toBe('b');
      }),
      { numRuns: 6 },
    );
    expect((await findAgreement([given('b', 1), given('a', 1.01)], by()))?.accepted.name).toBe('a');
  });

  it('have no difference where all are identical', async () => {
    const agreement = await findAgreement([given('a', 1), given('b', 1)], by([]));
    expect(agreement).toMatchObject({ largest: null, unknown: [] });
    expect(agreement?.agreeing).toHaveLength(2);
  });

  it('tell which files are missing', async () => {
    const [a, b] = [given('a', 1), given('b', 1.01)];
    const agreement = await findAgreement(
      [a, b],
      by([WEIGHTS], () => undefined),
    );
    expect(agreement?.unknown.map(({ given: { name }, missing }) => [name, missing.length])).toEqual([['b', 2]]);
    expect(await findAgreement([], by())).toBeUndefined();
  });
});

describe('how a job compares', () => {
  const checkpoints = { holder: null, sealed: false };
  const workload = { kind: 'wasm' } as const;
  it('is by output roots alone unless it has training rounds', () => {
    expect(listComparisons({ workload })).toBeNull();
    expect(
      listComparisons({ workload, checkpoints: { ...checkpoints, schedule: { kind: 'fuel', every: 1e9 } } }),
    ).toBeNull();
    const rounds = { ...checkpoints, schedule: { kind: 'rounds', every: 1 } } as const;
    expect(listComparisons({ workload, checkpoints: rounds })).toEqual([]);
    expect(listComparisons({ workload, checkpoints: rounds, comparisons: [WEIGHTS] })).toEqual([WEIGHTS]);
  });

  it('is within tolerances for a model that names any', () => {
    const model = { kind: 'inference' } as const;
    expect(listComparisons({ workload: model })).toBeNull();
    expect(listComparisons({ workload: model, comparisons: [WEIGHTS] })).toEqual([WEIGHTS]);
  });
});
