import { describe, expect, it } from 'vitest';
import type { JobPlan } from '../../../../src/cli/job-file/interface.ts';
import { parseJobFile } from '../../../../src/cli/job-file/parse-job-file.ts';
import { completeDraft, resolveJobFile } from '../../../../src/cli/job-file/resolve-job-file.ts';
import { BlobId, PeerKey, UnixMs } from '../../../../src/domain/ids.ts';
import { JOB } from '../../../../src/domain/job.ts';
import { encodeObject } from '../../../../src/domain/object-type.ts';
import { computeRawCid } from '../../../../src/lib/cid.ts';

const NOW_MS = 1_700_000_000_000;
const blob = (byte: number) => BlobId(computeRawCid(Uint8Array.of(byte)).toString());

function plan(text: string): JobPlan {
  const parsed = parseJobFile(text);
  if (parsed.kind === 'invalid') throw new TypeError('the text is a valid job');
  let drawn = 0;
  const random = { bytes: (length: number) => new Uint8Array(length).fill((drawn += 1)) };
  return resolveJobFile(parsed.jobFile, { directory: '/jobs', nowMs: NOW_MS, random });
}

const TEXT = `
name: train
workload: {kind: wasm, module: ./x.wasm, abi: fogproof, arguments: ["-v"], environment: {A: "1"}}
inputs: {/z.csv: ../z.csv, /a.csv: {blob: ${blob(3)}, size: 7}, /b.csv: /abs/b.csv}
resources: {memory: 64MiB, fuel: 2G, wallTime: 30s, output: 1MiB, logs: 0}
replicas: 3
deadline: 10m
priceCeiling: "12345678901234567890"
`;

const ADDED = new Map([
  ['/jobs/x.wasm', { blob: blob(1), sizeBytes: 100 }],
  ['/z.csv', { blob: blob(2), sizeBytes: 20 }],
  ['/abs/b.csv', { blob: blob(4), sizeBytes: 0 }],
]);

describe('a plan', () => {
  it('has absolute paths, times from now, and the least quorum that is more than half', () => {
    const { draft, files, knownBlobs } = plan(TEXT);
    expect(files).toEqual([
      { role: 'module', path: '/jobs/x.wasm' },
      { role: 'input', path: '/z.csv', jobPath: '/z.csv' },
      { role: 'input', path: '/abs/b.csv', jobPath: '/b.csv' },
    ]);
    expect(knownBlobs).toEqual([{ role: 'input', jobPath: '/a.csv', blob: blob(3), sizeBytes: 7 }]);
    expect(draft).toMatchObject({
      deadlineMs: NOW_MS + 600_000,
      replication: { replicas: 3, quorum: 2, diversity: 'peer' },
      resources: { memoryBytes: 2 ** 26, fuel: 2e9, wallTimeMs: 30_000, outputBytes: 2 ** 20, logBytes: 0 },
      priceCeiling: '12345678901234567890',
    });
  });

  it('draws a seed if there is none, and takes numbers and hex as they are', () => {
    const seedOf = (seed: string) => plan(TEXT.replace('abi:', `${seed}abi:`)).workload.seed;
    expect(seedOf('')).toEqual(new Uint8Array(32).fill(1));
    expect(Buffer.from(seedOf('seed: 258, ')).toString('hex')).toBe(`${'00'.repeat(30)}0102`);
    expect(Buffer.from(seedOf(`seed: "${'ab'.repeat(32)}", `)).toString('hex')).toBe('ab'.repeat(32));
  });

  it('becomes a draft once its files are blobs: one that makes a job', () => {
    const draft = completeDraft(plan(TEXT), ADDED);
    expect(draft.workload).toMatchObject({
      module: blob(1),
      moduleSizeBytes: 100,
      arguments: ['-v'],
      environment: { A: '1' },
    });
    expect(draft.inputs).toEqual([
      { path: '/a.csv', blob: blob(3), sizeBytes: 7 },
      { path: '/b.csv', blob: blob(4), sizeBytes: 0 },
      { path: '/z.csv', blob: blob(2), sizeBytes: 20 },
    ]);
    const job = {
      ...draft,
      type: 'fogproof/job@1' as const,
      network: 'test',
      requester: PeerKey('12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5'),
      nonce: new Uint8Array(16),
      createdAtMs: UnixMs(NOW_MS),
    };
    expect(encodeObject(JOB, job).length).toBeGreaterThan(100);
  });

  it('does not become one while a file is missing', () => {
    expect(() => completeDraft(plan(TEXT), new Map())).toThrow(/x\.wasm was not added/);
  });
});
