import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PackedSnapshotStore } from '../../../src/blob/snapshots/packed-snapshot-store.ts';
import { CarBundleExporter } from '../../../src/bundle/car-bundle-exporter.ts';
import type { BundleExportRequest, SnapshotKeys } from '../../../src/bundle/interface.ts';
import { readBlocks } from '../../../src/bundle/read-blocks.ts';
import { type BlobId, JobId, type LeaseId } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SnapshotMaker } from '../../../src/scheduler/snapshots/snapshot-maker.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { party } from '../../support/bundle-builder.ts';
import { listPieceKeys } from '../../support/checkpoint-sink.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { mixingProgram, packReplay, type RecordedRun, recordRun, signReplay } from '../../support/replay-rig.ts';
import { runCommandLine } from '../../support/run-cli.ts';
import { createTestExecutor } from '../../support/sandbox.ts';

const KEY = new Uint8Array(32).fill(5);
const program = mixingProgram(9);

let folder: string;
let honest: RecordedRun;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-replay-'));
  await using executor = await createTestExecutor();
  honest = await recordRun(executor, program);
});
afterAll(async () => await rm(folder, { recursive: true }));

async function openStore(): Promise<PackedSnapshotStore> {
  const common = { clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const modules = { ...common, disk: new MemoryDisk(), database: new MemoryDatabase() };
  const store = new PackedSnapshotStore(modules, { folder: '/packs', maxBytes: 2 ** 30 });
  await store.start();
  return store;
}

/** What a provider, or a holder, has of a run. */
async function keepSnapshots(
  store: PackedSnapshotStore,
  { job, lease, key }: { readonly job: JobId; readonly lease: LeaseId; readonly key: Uint8Array | null },
): Promise<void> {
  const maker = new SnapshotMaker({ store }, { job, lease, key });
  for (const state of honest.states.slice(1)) {
    await using task = await maker.begin(state, { keptUntilMs: Date.now() + 60_000 });
    const keys = listPieceKeys(state.pieces);
    for (const place of task.wanted) await task.receive(place, honest.pieces.get(keys[place] ?? '') as Uint8Array);
    await task.complete();
  }
}

interface ExportCase {
  readonly sealed?: boolean;
  readonly keys?: SnapshotKeys;
  readonly request?: Partial<BundleExportRequest>;
}

async function exportJob({ sealed = false, keys, request = {} }: ExportCase = {}) {
  const seal = (job: Job): Job => ({ ...job, checkpoints: { schedule: program.schedule, holder: null, sealed } });
  const { job, attempts, leases, blobs } = await signReplay({ program, runs: [honest], job: seal });
  await using store = await openStore();
  const key = sealed ? KEY : null;
  await keepSnapshots(store, { job: JobId(job.id), lease: leases[0] as LeaseId, key });
  const held = {
    stat: async (blob: BlobId) => ({ blob, sizeBytes: blobs.get(blob)?.length ?? -1 }),
    get: async (blob: BlobId) => blobs.get(blob) ?? new Uint8Array(),
    read: async (blob: BlobId, offset: number, length: number) => blobs.get(blob)?.subarray(offset, offset + length),
    pin: () => ({ [Symbol.dispose]: () => {} }),
  };
  const exporter = new CarBundleExporter({
    blobs: held,
    identity: party(0),
    clock: new SystemClock(),
    snapshots: { store, keys: keys ?? { snapshotKey: async () => key ?? undefined } },
  });
  const path = join(folder, 'exported.bundle');
  const material = { job, attempts, commitmentSet: null, missingReplicas: [] };
  return await exporter.exportFile(material, { path, format: 'bundle', content: 'everything', ...request });
}

async function readExported() {
  return await readBlocks(new Uint8Array(await readFile(join(folder, 'exported.bundle'))));
}

describe('an export with snapshots', () => {
  it.each([false, true])('holds all of them, once and unsealed (sealed where they are held: %s)', async (sealed) => {
    const written = await exportJob({ sealed, request: { snapshots: 'all' } });
    expect(written).toMatchObject({ verdict: 'valid', snapshots: 5 });
    const { included, snapshots } = await readExported();
    expect(snapshots.map(({ step }) => step)).toEqual([2, 4, 6, 8, 9]);
    // Pieces that several snapshots hold are in the file once.
    const distinct = new Set(honest.states.slice(1).flatMap(({ pieces }) => listPieceKeys(pieces)));
    expect(included.size).toBeLessThanOrEqual(distinct.size + 5 + 4);
  });

  it('is replayed from them', async () => {
    await exportJob({ sealed: true, request: { snapshots: 'all' } });
    const { exitCode, stdout, stderr } = await runCommandLine(
      ['job', 'replay', 'exported.bundle', '--from', '5', '--to', '7', '--isolation', 'process', '--json'],
      folder,
    );
    expect(exitCode, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'equal',
      attempts: [{ begin: { step: 4, at: 'snapshot' }, rows: [{ step: 4 }, { step: 6 }, { step: 8 }] }],
    });
  });

  it('holds the newest, or none', async () => {
    expect(await exportJob({ request: { snapshots: 'last' } })).toMatchObject({ snapshots: 1 });
    expect((await readExported()).snapshots.map(({ step }) => step)).toEqual([9]);
    expect(await exportJob()).toMatchObject({ snapshots: 0 });
  });

  it('says what is missing where the key of sealed ones is not here, and writes nothing', async () => {
    const keys = { snapshotKey: async () => undefined };
    await expect(exportJob({ sealed: true, keys, request: { snapshots: 'all' } })).rejects.toMatchObject({
      code: 'BUNDLE_SNAPSHOT_GONE',
      info: { reason: 'it is sealed, and the key of its job is not here' },
    });
    const wrong = { snapshotKey: async () => new Uint8Array(32) };
    await expect(exportJob({ sealed: true, keys: wrong, request: { snapshots: 'last' } })).rejects.toMatchObject({
      code: 'BUNDLE_SNAPSHOT_GONE',
    });
  });
});

describe('job replay', () => {
  const replay = (...options: string[]) =>
    runCommandLine(['job', 'replay', 'job.bundle', '--isolation', 'process', ...options], folder);

  it('prints the states, the figures and the verdict, and exits 0', async () => {
    await packReplay(join(folder, 'job.bundle'), { program, runs: [honest] });
    const { exitCode, stdout, stderr } = await replay();
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/began +at the beginning/);
    expect(stdout).toMatch(/ran +to step 9, .* units of fuel in all/);
    expect(stdout).toMatch(/\n *8 +[0-9a-f]{16} +[0-9a-f]{16} +same/);
    expect(stdout).toContain('result    same');
    expect(stdout).toContain('EQUAL: this machine, with this instrumenter, got the recorded state at 6 checkpoints');
  });

  it('names the interval and whose chain it is, and exits 1', async () => {
    const runs = [
      honest,
      {
        ...honest,
        states: honest.states.map((state, at) => (at === 3 ? { ...state, stateRoot: new Uint8Array(32) } : state)),
      },
    ];
    await packReplay(join(folder, 'job.bundle'), { program, runs });
    const { exitCode, stdout } = await replay('--all');
    expect(exitCode).toBe(1);
    expect(stdout.indexOf('EQUAL')).toBeLessThan(stdout.indexOf('replica 1, attempt 2'));
    expect(stdout).toMatch(/\n *6 +0{16} +[0-9a-f]{16} +DIFFERENT/);
    expect(stdout).toMatch(/DIFFERENT: the states part in the interval \(4, 6\] of the chain of 12D3/);
  });

  it('chooses an attempt by its lease', async () => {
    const leases = await packReplay(join(folder, 'job.bundle'), { program, runs: [honest, honest] });
    const { exitCode, stdout } = await replay('--attempt', leases[1] as string, '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ attempts: [{ replica: 1, lease: leases[1] }] });
  });

  it('exits 3 and says how to export what is missing', async () => {
    await packReplay(join(folder, 'job.bundle'), { program, runs: [honest], content: 'evidence' });
    const { exitCode, stdout } = await replay();
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/missing +the module/);
    expect(stdout).toMatch(/fogproof bundle export bafy\S+ --content everything --snapshots all/);
  });

  it.each([
    [['--from', '5', '--to', '4'], 'an interval that is not empty'],
    [['--replica', '3'], 'There are: --replica 0'],
    [['--attempt', 'bafy'], 'several leases'],
    [['--attempt', 'x'], 'is no attempt'],
    [['--all', '--replica', '0'], 'exclude each other'],
    [['--from', '-1'], '--from'],
  ])('refuses %j', async (options, text) => {
    await packReplay(join(folder, 'job.bundle'), { program, runs: [honest, honest] });
    const { exitCode, stderr } = await replay(...options);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(text);
  });
});
