import { describe, expect, it } from 'vitest';
import type { JobPlan } from '../../../../src/cli/job-file/interface.ts';
import { parseJobFile } from '../../../../src/cli/job-file/parse-job-file.ts';
import { placeFolders } from '../../../../src/cli/job-file/place-folders.ts';
import { completeDraft, resolveJobFile } from '../../../../src/cli/job-file/resolve-job-file.ts';
import { folderOfNode } from '../../../../src/domain/blob-folder.ts';
import { BlobId, PeerKey, UnixMs } from '../../../../src/domain/ids.ts';
import { JOB, MAX_JOB_INPUTS } from '../../../../src/domain/job.ts';
import { encodeObject } from '../../../../src/domain/object-type.ts';
import { computeRawCid } from '../../../../src/lib/cid.ts';
import { seedOf as planSeed } from '../../../support/workload.ts';

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
      { role: 'program', path: '/jobs/x.wasm' },
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
    const seedOf = (seed: string) => planSeed(plan(TEXT.replace('abi:', `${seed}abi:`)));
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
    const { confidential: _, ...open } = draft;
    const job = {
      ...open,
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

describe('folders of the node', () => {
  const folder = folderOfNode(blob(9));
  const file = (path: string) => ({ path, blob: blob(2), sizeBytes: 5 });
  const planned = plan(
    `name: a\nworkload: {kind: wasm, module: ./x.wasm, abi: wasi}\ninputs: {/kit: {folder: ${folder}}, /b: ./b}`,
  );
  const place = (paths: readonly string[]) => placeFolders(planned, new Map([[folder, paths.map(file)]]));
  const paths = (count: number) => Array.from({ length: count }, (_, index) => `f${index}`);

  it('become the files in them, under the path that the job file gives', () => {
    const { knownBlobs, knownFolders } = place(['a', 'deep/b']);
    expect(knownFolders).toEqual([]);
    expect(knownBlobs).toEqual([
      { role: 'input', jobPath: '/kit/a', blob: blob(2), sizeBytes: 5 },
      { role: 'input', jobPath: '/kit/deep/b', blob: blob(2), sizeBytes: 5 },
    ]);
  });

  it('are no inputs of a draft until they are placed', () => {
    expect(() => completeDraft(planned, ADDED)).toThrow(/kit was not added/);
    expect(() => placeFolders(planned, new Map())).toThrow(/kit was not added/);
  });

  it('are refused with too many files, and with paths that no job has', () => {
    expect(place(paths(MAX_JOB_INPUTS - 1)).knownBlobs).toHaveLength(MAX_JOB_INPUTS - 1);
    for (const bad of [paths(MAX_JOB_INPUTS), paths(MAX_JOB_INPUTS + 1), ['x'.repeat(250).concat('/').repeat(3)]]) {
      expect(() => place(bad)).toThrow(expect.objectContaining({ code: 'JOB_FILE_BAD_FOLDER' }));
    }
  });

  it.each(['module: {folder: ID}, abi: wasi}', 'module: ./a, abi: wasi}\ninputs: {/a: {folder: ID, size: 3}}'])(
    'are not taken as %s',
    (text) => {
      expect(parseJobFile(`name: a\nworkload: {kind: wasm, ${text.replace('ID', folder)}\n`).kind).toBe('invalid');
    },
  );

  it('have ids of their own form: that of a small file is refused with a hint', () => {
    const parsed = parseJobFile(
      `name: a\nworkload: {kind: wasm, module: ./a, abi: wasi}\ninputs: {/a: {folder: ${blob(1)}}}\n`,
    );
    expect(parsed).toMatchObject({
      kind: 'invalid',
      problems: [{ field: 'inputs./a.folder', hint: expect.stringContaining('fogproof blob add FOLDER') }],
    });
  });
});

describe('priority and secrecy', () => {
  const LEAST = 'name: a\nworkload: {kind: wasm, module: ./x.wasm, abi: fogproof}\n';

  it('are left out where they are the default, so that the ids of jobs stay what they were', () => {
    const { draft } = plan(`${LEAST}priority: normal\nprivate: false\n`);
    expect(Object.keys(draft)).not.toContain('priority');
    expect(Object.keys(draft)).not.toContain('private');
  });

  it('are what the file says', () => {
    expect(plan(`${LEAST}priority: critical\nprivate: true\n`).draft).toMatchObject({
      priority: 'critical',
      private: true,
    });
  });

  it('seal the snapshots of a private job, unless its file says otherwise', () => {
    const sealed = (fields: string) => plan(`${LEAST}${fields}`).draft.checkpoints?.sealed;
    expect(sealed('private: true\ncheckpoints: {everySteps: 5}\n')).toBe(true);
    expect(sealed('private: true\nresources: {fuel: 100G}\n')).toBe(true);
    expect(sealed('private: true\ncheckpoints: {everySteps: 5, sealed: false}\n')).toBe(false);
    expect(sealed('checkpoints: {everySteps: 5}\n')).toBe(false);
  });
});

describe('the schedule of checkpoints', () => {
  const PEER = '12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5';
  const resolved = (fields: string, abi = 'fogproof') =>
    plan(`name: a\nworkload: {kind: wasm, module: ./x.wasm, abi: ${abi}}\n${fields}`).draft;

  it('is by fuel, for each 64 MiB of memory, where a stepping job names none', () => {
    const of = (memory: string) => resolved(`resources: {memory: ${memory}, fuel: 100G}`).checkpoints;
    expect(of('16MiB')).toEqual({ schedule: { kind: 'fuel', every: 1e9 }, holder: null, sealed: false });
    expect(of('256MiB')?.schedule).toEqual({ kind: 'fuel', every: 4e9 });
  });

  it('never passes the longest chain', () => {
    const { checkpoints } = resolved('resources: {memory: 16MiB, fuel: 1000T}');
    expect(checkpoints?.schedule.every).toBe(Math.ceil(1e15 / 65_536));
  });

  it('is none where a job ends before it, is told so, or has no steps', () => {
    expect(resolved('resources: {memory: 16MiB, fuel: 1G}').checkpoints).toBeUndefined();
    expect(resolved('checkpoints: none\nresources: {fuel: 100G}').checkpoints).toBeUndefined();
    expect(resolved('resources: {fuel: 100G}', 'wasi').checkpoints).toBeUndefined();
  });

  it('is what the file says, with holder and sealing', () => {
    expect(resolved(`checkpoints: {everySteps: 5, holder: ${PEER}, sealed: true}`).checkpoints).toEqual({
      schedule: { kind: 'steps', every: 5 },
      holder: PEER,
      sealed: true,
    });
    expect(resolved('checkpoints: {sealed: true}\nresources: {fuel: 1G}').checkpoints?.schedule.kind).toBe('fuel');
  });

  it('is by rounds for a training program, with its tolerances', () => {
    const draft = resolved(
      'checkpoints: {everyRounds: 3}\ncomparisons: [{path: /output/weights, element: f32, relative: "1e-4"}]',
      'wasi',
    );
    expect(draft.checkpoints?.schedule).toEqual({ kind: 'rounds', every: 3 });
    expect(draft.comparisons).toEqual([{ path: '/output/weights', element: 'f32', absolute: '0', relative: '1e-4' }]);
  });

  it.each([
    ['rounds with steps', 'fogproof', 'checkpoints: {everyRounds: 3}'],
    ['steps without any', 'wasi', 'checkpoints: {everySteps: 3}'],
    ['two schedules', 'fogproof', 'checkpoints: {everySteps: 3, everyFuel: 1G}'],
    ['tolerances without rounds', 'fogproof', 'comparisons: [{path: /output, element: f32}]'],
    ['a holder that is no peer', 'fogproof', 'checkpoints: {everySteps: 3, holder: somebody}'],
    [
      'a tolerance that is no decimal',
      'wasi',
      'checkpoints: {everyRounds: 1}\ncomparisons: [{path: /a, element: f32, absolute: "-1"}]',
    ],
  ])('refuses %s', (_, abi, fields) => {
    const text = `name: a\nworkload: {kind: wasm, module: ./x.wasm, abi: ${abi}}\n${fields}`;
    expect(parseJobFile(text).kind).toBe('invalid');
  });
});
