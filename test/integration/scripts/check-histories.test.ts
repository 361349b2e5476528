import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkHistories } from '../../../scripts/check-histories/check-histories.ts';
import type { HistoryOptions, HistoryReport } from '../../../scripts/check-histories/interface.ts';
import { INVARIANT_IDS, type InvariantId } from '../../../scripts/check-histories/invariants.ts';
import { renderReport } from '../../../scripts/check-histories/render-report.ts';
import { EVICTION_NOTE_CODEC } from '../../../src/blob/eviction-notes.ts';
import { CHECKPOINT, type Checkpoint } from '../../../src/domain/checkpoint.ts';
import { type JobId, LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import { LEASE } from '../../../src/domain/lease.ts';
import { RECEIPT, type Receipt } from '../../../src/domain/receipt.ts';
import type { SignedWire } from '../../../src/domain/signed.ts';
import { openSigned, signObject } from '../../../src/proofs/signed-object.ts';
import { decodeCheckpoint } from '../../../src/scheduler/checkpoint-store.ts';
import {
  decodeEndRecord,
  decodeHistoryEntry,
  decodeSignedWire,
  encodeEntry,
} from '../../../src/scheduler/job-records.ts';
import {
  createLeaseRecord,
  LEASE_RECORD_CODEC,
  type LeaseRecord,
} from '../../../src/scheduler/provider/leases/lease-record.ts';
import { HistoryRun } from '../../support/history-run.ts';
import { plantBatches, putJobBatch } from '../../support/plant-batches.ts';
import { PlantedRun } from '../../support/planted.ts';

const PROVIDERS = ['ada', 'berta'] as const;
const NAMES = ['requester', ...PROVIDERS];

/** What the real run left on disk. */
interface Facts {
  readonly run: HistoryRun;
  /** Of one provider, of two, private, paused and gone on with, still paused, and running when all nodes stopped. */
  readonly jobs: { single: JobId; double: JobId; hidden: JobId; resumed: JobId; paused: JobId; running: JobId };
  readonly acknowledged: readonly JobId[];
}

let facts: Facts;

async function pauseAt(run: HistoryRun, client: Awaited<ReturnType<HistoryRun['start']>>, job: JobId): Promise<void> {
  await run.until('it runs', async () => (await client.call('job.checkpoints', { job })).checkpoints.length > 1);
  await client.call('job.pause', { job });
  await run.until('it is paused', async () => (await client.call('job.show', { job })).state === 'paused');
}

async function createRun(run: HistoryRun): Promise<Facts> {
  const client = await run.start('requester', { 'provide.enabled': false });
  for (const name of PROVIDERS) await run.start(name);
  await run.untilProviders(client, PROVIDERS.length);
  const hello = await run.draftHello(client, 'hello', (text) => text);
  const twice = await run.draftHello(client, 'twice', (text) => `${text}replicas: 2\nquorum: 2\n`);
  const poor = await run.draftHello(client, 'poor', (text) => text.replace('fuel: 1M', 'fuel: 10'));
  const single = await run.submit(client, hello);
  const double = await run.submit(client, twice);
  const failing = await run.submit(client, poor);
  const hidden = await run.submit(client, await run.draftPrivate(client));
  const { jobs: batch } = await client.call('job.submitMany', { drafts: Array.from({ length: 4 }, () => hello) });
  const resumed = await run.submit(client, await run.draftIsing(client, '128 2.0 400\n'));
  await pauseAt(run, client, resumed);
  await client.call('job.resume', { job: resumed });
  for (const job of [single, double, failing, hidden, ...batch, resumed]) await run.wait(client, job);
  const long = await run.draftIsing(client, '128 2.0 1000000\n');
  const paused = await run.submit(client, long);
  await pauseAt(run, client, paused);
  const running = await run.submit(client, long);
  await run.until(
    'it runs',
    async () => (await client.call('job.checkpoints', { job: running })).checkpoints.length > 1,
  );
  const acknowledged = [single, double, failing, hidden, ...batch, resumed, paused, running];
  await run.stop();
  return { run, acknowledged, jobs: { single, double, hidden, resumed, paused, running } };
}

beforeAll(async () => {
  facts = await createRun(await HistoryRun.open());
});
afterAll(() => facts.run[Symbol.asyncDispose]());

const broken = (report: HistoryReport): readonly InvariantId[] =>
  report.invariants.filter(({ violations }) => violations.length > 0).map(({ id }) => id);

async function check(planted: PlantedRun, options: HistoryOptions = {}): Promise<HistoryReport> {
  return await checkHistories(planted.homes, { allowRunning: true, acknowledged: facts.acknowledged, ...options });
}

const copy = (): Promise<PlantedRun> => PlantedRun.copy(facts.run.folder, NAMES);

/** The first of the keys of a namespace that fits. */
async function findKey(
  planted: PlantedRun,
  node: string,
  namespace: Parameters<PlantedRun['keys']>[1],
  fits: (key: string) => boolean,
): Promise<string> {
  const key = (await planted.keys(node, namespace)).find(fits);
  if (key === undefined) throw new TypeError(`${node} has nothing fitting in ${namespace}`);
  return key;
}

async function findObject(planted: PlantedRun, job: JobId, kind: string): Promise<string> {
  return await findKey(planted, 'requester', 'job-objects', (key) => key.startsWith(job) && key.endsWith(`/${kind}`));
}

async function readWire(planted: PlantedRun, key: string): Promise<SignedWire> {
  return decodeSignedWire(key, await planted.read('requester', 'job-objects', key));
}

/** Which of the providers a lease is with. */
async function providerOf(planted: PlantedRun, peer: string): Promise<string> {
  for (const name of PROVIDERS) if ((await planted.identityOf(name)).peer === peer) return name;
  throw new TypeError(`no provider ${peer}`);
}

/** The receipt of a job, changed and signed again by the provider that gave it. */
async function forgeReceipt(
  planted: PlantedRun,
  job: JobId,
  change: (receipt: Receipt) => Receipt,
): Promise<{ readonly key: string; readonly provider: string; readonly wire: SignedWire; readonly receipt: Receipt }> {
  const key = await findObject(planted, job, 'receipt');
  const { value } = await openSigned(RECEIPT, await readWire(planted, key));
  const provider = await providerOf(planted, value.provider);
  const receipt = change(value);
  const { wire } = await signObject(RECEIPT, receipt, await planted.identityOf(provider));
  return { key, provider, wire, receipt };
}

async function putRecord(planted: PlantedRun, node: string, lease: string, record: LeaseRecord): Promise<void> {
  await planted.put(node, 'leases', lease, LEASE_RECORD_CODEC.encode(record));
}

async function findRecord(
  planted: PlantedRun,
  fits: (record: LeaseRecord) => boolean,
): Promise<{ readonly node: string; readonly lease: string; readonly record: LeaseRecord }> {
  for (const node of PROVIDERS) {
    for (const lease of await planted.keys(node, 'leases')) {
      const record = LEASE_RECORD_CODEC.decode(await planted.read(node, 'leases', lease));
      if (fits(record)) return { node, lease, record };
    }
  }
  throw new TypeError('no such record');
}

/** A checkpoint of the job that was paused and gone on with, which has two attempts. */
async function findCheckpoint(
  planted: PlantedRun,
  fits: (key: string) => boolean,
): Promise<{ readonly key: string; readonly value: Checkpoint }> {
  const isIn = (key: string): boolean => key.startsWith(facts.jobs.resumed) && fits(key);
  const key = await findKey(planted, 'requester', 'job-checkpoints', isIn);
  const { value } = decodeCheckpoint(key, await planted.read('requester', 'job-checkpoints', key));
  return { key, value };
}

/** Of a key of `job-checkpoints`: job, lease and ordinal. */
const leaseOf = (key: string): string | undefined => key.split('/')[1];

async function findSealed(planted: PlantedRun): Promise<string> {
  const folder = join(planted.homeOf('requester'), 'blobs');
  const name = (await readdir(folder, { recursive: true })).find((each) => each.endsWith('.sealed'));
  if (name === undefined) throw new TypeError('no private blob');
  return join(folder, name);
}

/** Takes an output of a result out of all stores. */
async function loseOutput(planted: PlantedRun): Promise<{ readonly blob: string; readonly endedAtMs: number }> {
  const { resumed } = facts.jobs;
  const { value } = await openSigned(RECEIPT, await readWire(planted, await findObject(planted, resumed, 'receipt')));
  const blob = value.result.outputs[0]?.blob ?? '';
  for (const name of NAMES) await planted.delete(name, 'blobs', blob);
  const { view } = decodeEndRecord(`${resumed}/end`, await planted.read('requester', 'jobs', `${resumed}/end`));
  return { blob, endedAtMs: view.endedAtMs ?? 0 };
}

async function noteEviction(planted: PlantedRun, blob: string, atMs: number): Promise<void> {
  await planted.put('requester', 'blob-evictions', blob, EVICTION_NOTE_CODEC.encode({ atMs }));
}

const isRunning = ({ job }: LeaseRecord): boolean => job === facts.jobs.running;

describe('a run of real daemons', () => {
  it('keeps every invariant, and all but anchoring are shown on something', async () => {
    await using planted = await copy();
    await plantBatches(planted);
    await putJobBatch(planted, [facts.jobs.single, facts.jobs.double]);
    const report = await check(planted);
    expect(broken(report), renderReport(report)).toEqual([]);
    const empty = report.invariants.filter(({ checked }) => checked === 0).map(({ id }) => id);
    // Providers drop what their requester has, and nothing is anchored without a chain.
    expect(empty.filter((id) => id !== 'receipts-agree')).toEqual(['outbox-backed']);
    expect(report.jobs).toEqual({ total: 11, byState: { completed: 8, failed: 1, paused: 1, running: 1 } });
    expect(renderReport(report)).toMatch(/outbox-backed +nothing to check/);
    const strict = await check(planted, { allowRunning: false });
    expect(broken(strict)).toEqual(['jobs-ended']);
    expect(strict.invariants.find(({ id }) => id === 'jobs-ended')?.violations).toHaveLength(2);
  });

  it('takes what a killed node was doing for what its next start tidies up', async () => {
    await using planted = await copy();
    const sealed = await findSealed(planted);
    const leaving = `${basename(sealed)}.${'0'.repeat(24)}`;
    await rename(sealed, join(planted.homeOf('requester'), 'blobs', 'incoming', leaving));
    const { node, lease } = await findRecord(planted, isRunning);
    await planted.delete(node, 'attempt-origins', lease);
    expect(broken(await check(planted))).toEqual(expect.arrayContaining(['blobs-whole', 'leases-concluded']));
    for (const home of planted.homes) await writeFile(join(home, 'db.pid'), '999999999\n');
    const report = await check(planted);
    expect(broken(report)).not.toContain('blobs-whole');
    expect(broken(report)).not.toContain('leases-concluded');
    expect(report.nodes.every(({ wasKilled }) => wasKilled)).toBe(true);
  });

  it('states an output missing that made room for others after its job had ended', async () => {
    await using planted = await copy();
    const { blob, endedAtMs } = await loseOutput(planted);
    await noteEviction(planted, blob, endedAtMs);
    const report = await check(planted);
    expect(broken(report), renderReport(report)).toEqual([]);
    expect(report.missing).toContainEqual(expect.objectContaining({ blob, reason: 'made room for others' }));
  });

  it('refuses what is no data folder', async () => {
    await expect(checkHistories([])).rejects.toThrow('no data folder is named');
    await expect(checkHistories([facts.run.folder])).rejects.toThrow('holds no database of a node');
  });

  it('changes nothing in the folders', async () => {
    await using planted = await copy();
    const list = async (): Promise<readonly string[]> => {
      const found: string[] = [];
      for (const home of planted.homes) {
        for (const name of (await readdir(home, { recursive: true })).sort()) {
          const bytes = await readFile(join(home, name)).catch(() => undefined);
          found.push(`${name} ${bytes?.toString('base64') ?? ''}`);
        }
      }
      return found;
    };
    const before = await list();
    await check(planted);
    expect(await list()).toEqual(before);
  });
});

interface Plant {
  readonly what: string;
  readonly finds: InvariantId;
  readonly plant: (planted: PlantedRun) => Promise<HistoryOptions | undefined> | Promise<void>;
}

const PLANTS: readonly Plant[] = [
  {
    what: 'an entry is garbage',
    finds: 'entries-parse',
    plant: (planted) => planted.put('ada', 'poison-jobs', facts.jobs.single, Uint8Array.of(1, 2, 3)),
  },
  {
    what: 'the disk changed a bit of an entry',
    finds: 'entries-parse',
    plant: (planted) => planted.flip('requester', `jobs/${facts.jobs.single}`),
  },
  {
    what: 'a client was told of a job that nobody has',
    finds: 'acknowledged-jobs-kept',
    plant: async (planted) => {
      await planted.delete('requester', 'jobs', facts.jobs.single);
    },
  },
  {
    what: 'a job stands under the id of another',
    finds: 'jobs-signed',
    plant: async (planted) => {
      const other = await planted.read('requester', 'jobs', facts.jobs.double);
      await planted.put('requester', 'jobs', facts.jobs.single, other);
    },
  },
  {
    what: 'something happened after the end of a job',
    finds: 'histories-legal',
    plant: async (planted) => {
      const keys = await planted.keys('requester', 'job-history');
      const own = keys.filter((key) => key.startsWith(facts.jobs.single));
      const key = own.at(-1) ?? '';
      const events = decodeHistoryEntry(key, await planted.read('requester', 'job-history', key));
      const again = encodeEntry([...events, ...events.slice(-1)]);
      await planted.put('requester', 'job-history', key, again);
    },
  },
  {
    what: 'the beginning of a history is missing',
    finds: 'histories-legal',
    plant: (planted) => planted.delete('requester', 'job-history', `${facts.jobs.resumed}/0000000000`),
  },
  {
    what: 'a job ended and nothing was written of it',
    finds: 'jobs-ended',
    plant: (planted) => planted.delete('requester', 'jobs', `${facts.jobs.single}/end`),
  },
  {
    what: 'a summary says another end than the history',
    finds: 'summaries-match',
    plant: async (planted) => {
      const key = `${facts.jobs.single}/end`;
      const end = decodeEndRecord(key, await planted.read('requester', 'jobs', key));
      const told = encodeEntry({ ...end, view: { ...end.view, state: 'cancelled' } });
      await planted.put('requester', 'jobs', key, told);
    },
  },
  {
    what: 'one job stands at two places of a batch',
    finds: 'batches-filled',
    plant: (planted) => putJobBatch(planted, [facts.jobs.single, facts.jobs.single]),
  },
  {
    what: 'a place of a batch got a second job',
    finds: 'batches-filled',
    plant: async (planted) => {
      await putJobBatch(planted, [facts.jobs.single]);
      await putJobBatch(planted, [facts.jobs.double]);
    },
  },
  {
    what: 'an attempt has no lease',
    finds: 'attempts-leased',
    plant: async (planted) =>
      planted.delete('requester', 'job-objects', await findObject(planted, facts.jobs.single, 'lease')),
  },
  {
    what: 'a lease is of no attempt',
    finds: 'attempts-leased',
    plant: async (planted) => {
      const lease = await findObject(planted, facts.jobs.single, 'lease');
      const [, id] = lease.split('/');
      const bytes = await planted.read('requester', 'job-objects', lease);
      await planted.put('requester', 'job-objects', `${facts.jobs.double}/${id}/lease`, bytes);
    },
  },
  {
    what: 'nobody countersigned what counts as accepted',
    finds: 'leases-accepted',
    plant: async (planted) =>
      planted.delete('requester', 'job-objects', await findObject(planted, facts.jobs.single, 'acceptance')),
  },
  {
    what: 'two providers have one lease',
    finds: 'leases-run-once',
    plant: async (planted) => {
      const { node, lease, record } = await findRecord(planted, isRunning);
      await putRecord(planted, node === 'ada' ? 'berta' : 'ada', lease, record);
    },
  },
  {
    what: 'a lease was accepted a second time',
    finds: 'leases-run-once',
    plant: async (planted) => {
      const { node, lease, record } = await findRecord(planted, isRunning);
      await putRecord(planted, node, lease, { ...record, acceptedAtMs: UnixMs(record.acceptedAtMs + 7) });
    },
  },
  {
    what: 'a provider has a lease that nobody issued',
    finds: 'leases-known',
    plant: async (planted) => {
      const { node, record } = await findRecord(planted, isRunning);
      await putRecord(planted, node, LeaseId(facts.jobs.single), record);
    },
  },
  {
    what: 'a provider forgot a lease that is counted on',
    finds: 'leases-known',
    plant: async (planted) => {
      const { node, lease } = await findRecord(planted, isRunning);
      await planted.delete(node, 'leases', lease);
    },
  },
  {
    what: 'a lease ended without a receipt',
    finds: 'provider-records-whole',
    plant: async (planted) => {
      const { node, lease, record } = await findRecord(planted, isRunning);
      await putRecord(planted, node, lease, { ...record, phase: 'ended', endedAtMs: record.acceptedAtMs });
    },
  },
  {
    what: 'a stopped provider left a lease that it cannot go on with',
    finds: 'leases-concluded',
    plant: async (planted) => {
      const { node, lease } = await findRecord(planted, isRunning);
      await planted.delete(node, 'attempt-origins', lease);
    },
  },
  {
    what: 'the receipt of a result is missing',
    finds: 'results-once',
    plant: async (planted) =>
      planted.delete('requester', 'job-objects', await findObject(planted, facts.jobs.single, 'receipt')),
  },
  {
    what: 'a receipt was changed after it was signed',
    finds: 'receipts-verify',
    plant: async (planted) => {
      const key = await findObject(planted, facts.jobs.single, 'receipt');
      const wire = await readWire(planted, key);
      const bytes = wire.kind === 'envelope' ? wire.envelope.slice() : wire.payload.slice();
      bytes[200] = (bytes[200] ?? 0) ^ 1;
      const changed = wire.kind === 'envelope' ? { ...wire, envelope: bytes } : { ...wire, payload: bytes };
      await planted.put('requester', 'job-objects', key, encodeEntry(changed));
    },
  },
  {
    what: 'a receipt does not open the commitment',
    finds: 'receipts-verify',
    plant: async (planted) => {
      const { key, wire } = await forgeReceipt(planted, facts.jobs.double, (receipt) => ({
        ...receipt,
        salt: new Uint8Array(32),
      }));
      await planted.put('requester', 'job-objects', key, encodeEntry(wire));
    },
  },
  {
    what: 'a result was given long after its lease',
    finds: 'receipts-in-lease',
    plant: async (planted) => {
      const { key, wire } = await forgeReceipt(planted, facts.jobs.single, (receipt) => ({
        ...receipt,
        finishedAtMs: UnixMs(receipt.finishedAtMs + 400 * 24 * 3_600_000),
      }));
      await planted.put('requester', 'job-objects', key, encodeEntry(wire));
    },
  },
  {
    what: 'a lease ran twice',
    finds: 'receipts-agree',
    plant: async (planted) => {
      const { provider, wire, receipt } = await forgeReceipt(planted, facts.jobs.single, (first) => ({
        ...first,
        usage: { ...first.usage, cpuTimeMs: first.usage.cpuTimeMs + 1 },
      }));
      const { value: lease } = await openSigned(
        LEASE,
        await readWire(planted, await findObject(planted, facts.jobs.single, 'lease')),
      );
      const { job, requester, result, sandbox } = receipt;
      const accepted = { job, requester, commitReveal: lease.commitReveal, acceptedAtMs: lease.issuedAtMs };
      const begun = createLeaseRecord({
        ...accepted,
        kind: 'wasm',
        isolation: sandbox.isolation,
        instrumenter: result.instrumenter,
      });
      const ended = { ...begun, phase: 'ended', endedAtMs: receipt.finishedAtMs, receipt: wire } as const;
      await putRecord(planted, provider, receipt.lease, ended);
    },
  },
  {
    what: 'a blob has other bytes than its name',
    finds: 'blobs-whole',
    plant: async (planted) => {
      const [blob = ''] = await planted.keys('requester', 'blob-bytes');
      const bytes = (await planted.read('requester', 'blob-bytes', blob)).slice();
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      await planted.put('requester', 'blob-bytes', blob, bytes);
    },
  },
  {
    what: 'a private blob was changed on disk',
    finds: 'blobs-whole',
    plant: async (planted) => {
      const path = await findSealed(planted);
      const bytes = await readFile(path);
      bytes[1_200_000] = (bytes[1_200_000] ?? 0) ^ 1;
      await writeFile(path, bytes);
    },
  },
  {
    what: 'the file of a blob is gone',
    finds: 'blobs-whole',
    plant: async (planted) => rm(await findSealed(planted)),
  },
  {
    what: 'the file of a blob is gone from a node that was killed, and it was not on its way out',
    finds: 'blobs-whole',
    plant: async (planted) => {
      await rm(await findSealed(planted));
      await writeFile(join(planted.homeOf('requester'), 'db.pid'), '999999999\n');
    },
  },
  {
    what: 'a blob that a job needs is gone',
    finds: 'blobs-kept',
    plant: async (planted) => {
      for (const blob of await planted.keys('requester', 'blobs')) await planted.delete('requester', 'blobs', blob);
    },
  },
  {
    what: 'the output of a result is nowhere',
    finds: 'receipts-backed',
    plant: async (planted) => void (await loseOutput(planted)),
  },
  {
    what: 'the output of a result made room for others before it was told',
    finds: 'receipts-backed',
    plant: async (planted) => {
      const { blob, endedAtMs } = await loseOutput(planted);
      await noteEviction(planted, blob, endedAtMs - 1);
    },
  },
  {
    what: 'a checkpoint does not follow on the one before',
    finds: 'checkpoints-chained',
    plant: async (planted) => {
      const isIn = (index: string) => (key: string) => key.startsWith(facts.jobs.resumed) && key.endsWith(index);
      const first = await findKey(planted, 'requester', 'job-checkpoints', isIn('/00000'));
      const second = first.replace(/00000$/, '00001');
      await planted.put(
        'requester',
        'job-checkpoints',
        second,
        await planted.read('requester', 'job-checkpoints', first),
      );
    },
  },
  {
    what: 'two attempts give two state roots at one step',
    finds: 'checkpoints-agree',
    plant: async (planted) => {
      const { key, value } = await findCheckpoint(planted, (each) => each.endsWith('/00001'));
      const isOther = (each: string) => leaseOf(each) !== leaseOf(key);
      const { value: other } = await findCheckpoint(planted, isOther);
      const identity = await planted.identityOf(await providerOf(planted, value.provider));
      const contradiction = { ...value, step: other.step, stateRoot: new Uint8Array(32) };
      const { wire } = await signObject(CHECKPOINT, contradiction, identity);
      await planted.put('requester', 'job-checkpoints', key, encodeEntry(wire));
    },
  },
  {
    what: 'a piece of a snapshot is damaged',
    finds: 'snapshots-whole',
    plant: async (planted) => {
      const folder = join(planted.homeOf('requester'), 'snapshots');
      for (const name of (await readdir(folder)).filter((each) => each.endsWith('.pack'))) {
        const bytes = await readFile(join(folder, name));
        bytes[0] = (bytes[0] ?? 0) ^ 1;
        await writeFile(join(folder, name), bytes);
      }
    },
  },
  {
    what: 'the snapshot that a paused job goes on from is not held',
    finds: 'snapshots-held',
    plant: async (planted) => {
      for (const key of await planted.keys('requester', 'snapshots'))
        await planted.delete('requester', 'snapshots', key);
    },
  },
  {
    what: 'a receipt that is to be anchored is gone',
    finds: 'outbox-backed',
    plant: (planted) => planted.put('requester', 'receipt-outbox', `received/${facts.jobs.running}`, new Uint8Array()),
  },
  {
    what: 'a receipt is in two batches',
    finds: 'anchors-once',
    plant: async (planted) => {
      await plantBatches(planted);
      const [first = '', second = ''] = (await planted.keys('requester', 'anchor-trees')).filter(
        (key) => !key.endsWith('/roots'),
      );
      const leaves = await planted.read('requester', 'anchor-trees', first);
      const others = (await planted.read('requester', 'anchor-trees', second)).slice();
      others.set(leaves.subarray(0, 33));
      await planted.put('requester', 'anchor-trees', second, others);
    },
  },
];

describe('what is planted in a run', () => {
  it.each(PLANTS)('$what: found as $finds', async ({ plant, finds }) => {
    await using planted = await copy();
    const options = (await plant(planted)) ?? {};
    const report = await check(planted, options);
    expect(broken(report), renderReport(report)).toContain(finds);
  });

  it('has something for each invariant', () => {
    expect(INVARIANT_IDS.filter((id) => !PLANTS.some(({ finds }) => finds === id))).toEqual([]);
  });
});
