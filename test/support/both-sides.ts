import { PackedSnapshotStore } from '../../src/blob/snapshots/packed-snapshot-store.ts';
import { UnixMs } from '../../src/domain/ids.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import type { JobDraft, JobView } from '../../src/scheduler/interface.ts';
import { JOB_REQUESTER_DEFAULTS } from '../../src/scheduler/options.ts';
import { JobRequester } from '../../src/scheduler/requester/job-requester.ts';
import { SnapshotFetcher } from '../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { BlobTransfers } from '../../src/scheduler/transfer/blob-transfers.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { MemoryDatabase } from './memory-database.ts';
import { MemoryDisk } from './memory-disk.ts';
import { HeapBlobStore } from './provider-blobs.ts';
import { SteppedClock } from './provider-clock.ts';
import { identityOf, MODULE, MODULE_ID, NETWORK, PARAMETERS, ProviderRig, SummingMetrics } from './provider-rig.ts';
import { Switchboard } from './provider-transport.ts';
import { describeRecord, FakePeerBook } from './requester-rig.ts';

/** Runs by itself. */
export class RunningClock extends SteppedClock {
  readonly #system = new SystemClock();
  override nowMs = () => this.#system.nowMs();
  override monotonicMs = () => this.#system.monotonicMs();
  override schedule = (delayMs: number, task: () => void) => this.#system.schedule(delayMs, task);
}

export interface BothSides extends AsyncDisposable {
  readonly requester: JobRequester;
  readonly rigs: readonly ProviderRig[];
  readonly blobs: HeapBlobStore;
  /** Where the requester holds snapshots. */
  readonly snapshots: PackedSnapshotStore;
}

/** The requester and some providers as they are in a daemon, joined in memory; only the programs are scripted. */
export async function startBothSides(providerCount: number): Promise<BothSides> {
  const switchboard = new Switchboard();
  const identity = await identityOf(99);
  const transport = switchboard.join(identity.peer);
  const [blobs, grants, peers] = [new HeapBlobStore(), new BlobGrants(), new FakePeerBook()];
  await blobs.put(MODULE);
  const common = {
    database: new MemoryDatabase(),
    clock: new SystemClock(),
    logger: new NoopLogger(),
    metrics: new SummingMetrics(),
  };
  const disk = new MemoryDisk();
  const snapshots = new PackedSnapshotStore({ ...common, disk }, { folder: 'memory', maxBytes: 2 ** 30 });
  await snapshots.start();
  serveBlobs(transport, { blobs, snapshots }, grants);
  const rigs: ProviderRig[] = [];
  for (let index = 0; index < providerCount; index += 1) {
    const options = { switchboard, seed: 11 + index, clock: new RunningClock(), disk: new MemoryDisk() };
    const rig = await ProviderRig.start(options);
    rigs.push(rig);
    peers.add(describeRecord(rig.identity.peer, { network: NETWORK }));
  }
  const source = new SnapshotFetcher({ ...common, transport, store: snapshots });
  const requester = new JobRequester(
    {
      ...common,
      identity,
      network: { transport, peers },
      blobs,
      transfers: new BlobTransfers({ ...common, transport, blobs }),
      snapshots: { store: snapshots, source },
      grants,
      random: new SystemRandom(),
    },
    { ...JOB_REQUESTER_DEFAULTS, networkId: NETWORK, parameters: PARAMETERS },
  );
  await requester.start(new AbortController().signal);
  return {
    requester,
    rigs,
    blobs,
    snapshots,
    [Symbol.asyncDispose]: async () => {
      await requester.stop();
      await source[Symbol.asyncDispose]();
      for (const rig of rigs) await rig.provider.stop();
    },
  };
}

export function describeDraft(replicas: number): JobDraft {
  return {
    name: 'both sides',
    deadlineMs: UnixMs(Date.now() + 60_000),
    capabilityClass: 'cpu',
    workload: {
      kind: 'wasm',
      module: MODULE_ID,
      moduleSizeBytes: MODULE.length,
      abi: 'fogproof',
      arguments: [],
      environment: {},
      seed: new Uint8Array(32),
    },
    inputs: [],
    resources: { memoryBytes: 65_536, fuel: 1_000, wallTimeMs: 60_000, outputBytes: 1_000_000, logBytes: 1_000_000 },
    isolation: 'process',
    replication: { replicas, quorum: Math.floor(replicas / 2) + 1, diversity: 'peer' },
    retries: 3,
    market: 'direct',
    priceCeiling: '0',
  };
}

export async function waitForEnd({ requester }: BothSides, job: JobView['job']): Promise<JobView> {
  return await requester.wait(job, { signal: AbortSignal.timeout(20_000) });
}
