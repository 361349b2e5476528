import { afterEach, describe, expect, it } from 'vitest';
import { UnixMs } from '../../../src/domain/ids.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { BlobGrants, serveBlobs } from '../../../src/scheduler/blob-access.ts';
import type { JobDraft } from '../../../src/scheduler/interface.ts';
import { JOB_REQUESTER_DEFAULTS } from '../../../src/scheduler/options.ts';
import { JobRequester } from '../../../src/scheduler/requester/job-requester.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { HeapBlobStore } from '../../support/provider-blobs.ts';
import { SteppedClock } from '../../support/provider-clock.ts';
import {
  identityOf,
  MODULE,
  MODULE_ID,
  NETWORK,
  PARAMETERS,
  ProviderRig,
  SummingMetrics,
} from '../../support/provider-rig.ts';
import { Switchboard } from '../../support/provider-transport.ts';
import { describeRecord, FakePeerBook } from '../../support/requester-rig.ts';

/** Runs by itself. */
class RunningClock extends SteppedClock {
  readonly #system = new SystemClock();
  override nowMs = () => this.#system.nowMs();
  override monotonicMs = () => this.#system.monotonicMs();
  override schedule = (delayMs: number, task: () => void) => this.#system.schedule(delayMs, task);
}

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

/** The requester and some providers as they are in a daemon, joined in memory; only the programs are scripted. */
async function start(providerCount: number) {
  const switchboard = new Switchboard();
  const identity = await identityOf(99);
  const transport = switchboard.join(identity.peer);
  const [blobs, grants, peers] = [new HeapBlobStore(), new BlobGrants(), new FakePeerBook()];
  await blobs.put(MODULE);
  serveBlobs(transport, { blobs }, grants);
  const rigs: ProviderRig[] = [];
  for (let index = 0; index < providerCount; index += 1) {
    const rig = await ProviderRig.start({ switchboard, seed: 11 + index, clock: new RunningClock() });
    rigs.push(rig);
    peers.add(describeRecord(rig.identity.peer, { network: NETWORK }));
  }
  const requester = new JobRequester(
    {
      identity,
      network: { transport, peers },
      blobs,
      grants,
      database: new MemoryDatabase(),
      clock: new SystemClock(),
      random: new SystemRandom(),
      logger: new NoopLogger(),
      metrics: new SummingMetrics(),
    },
    { ...JOB_REQUESTER_DEFAULTS, networkId: NETWORK, parameters: PARAMETERS },
  );
  await requester.start(new AbortController().signal);
  stack.defer(async () => {
    await requester.stop();
    for (const rig of rigs) await rig.provider.stop();
  });
  return { requester, rigs, blobs };
}

function draft(replicas: number): JobDraft {
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

async function waitFor(requester: JobRequester, job: Awaited<ReturnType<JobRequester['submit']>>['job']) {
  return await requester.wait(job, { signal: AbortSignal.timeout(20_000) });
}

describe('requester and provider together', () => {
  it('bring one job to its result', async () => {
    const { requester, blobs } = await start(1);
    const { job } = await requester.submit(draft(1));
    const view = await waitFor(requester, job);
    expect(view).toMatchObject({ state: 'completed', result: { outcome: { kind: 'completed' } } });
    const [output] = view.result?.outputs ?? [];
    expect(output && new TextDecoder().decode(await blobs.get(output.blob, 100))).toBe('42');
  });

  it('agree on three replicas through commitment and reveal, with large outputs', async () => {
    const { requester, rigs, blobs } = await start(3);
    const bytes = new Uint8Array(200_000).fill(7);
    for (const { executor } of rigs) {
      executor.behaviour = (execution) => execution.finish({ outputs: [{ path: '/big', bytes }] });
    }
    const { job } = await requester.submit(draft(3));
    const view = await waitFor(requester, job);
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(3);
    const [output] = view.result?.outputs ?? [];
    expect(output && (await blobs.get(output.blob, 1e6))).toEqual(bytes);
    const evidence = await requester.evidence(job);
    expect(evidence.attempts).toHaveLength(3);
    expect(evidence.commitmentSet?.commitments).toHaveLength(3);
  });

  it('agree without a provider whose executor crashes', async () => {
    const { requester, rigs } = await start(4);
    const [broken] = rigs;
    if (broken === undefined) throw new TypeError();
    const outcome = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'gone' } as const;
    broken.executor.behaviour = (execution) => execution.finish({ outcome, outputs: [] });
    const { job } = await requester.submit(draft(4));
    // Four replicas need four providers: the broken one cannot be replaced, three agree all the same.
    const view = await waitFor(requester, job);
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(3);
  });

  it('outvote a provider that computes something else', async () => {
    const { requester, rigs } = await start(3);
    const [liar] = rigs;
    if (liar === undefined) throw new TypeError();
    liar.executor.behaviour = (execution) => execution.finish({ outputs: [{ path: '/out.txt', bytes: MODULE }] });
    const { job } = await requester.submit(draft(3));
    const view = await waitFor(requester, job);
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(2);
    expect(view.result?.dissenting).toHaveLength(1);
  });

  it('bring a batch to its results', async () => {
    const { requester, rigs } = await start(1);
    const jobs = await requester.submitMany(Array.from({ length: 700 }, () => draft(1)));
    const views = await Promise.all(jobs.map((job) => waitFor(requester, job)));
    expect(new Set(views.map(({ state }) => state))).toEqual(new Set(['completed']));
    expect(rigs[0]?.provider.status()).toMatchObject({ completed: 700, failed: 0, slots: { reserved: 0, running: 0 } });
  });
});
