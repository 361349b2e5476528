import { describe, expect, it } from 'vitest';
import type { AnchorLeaf } from '../../../src/domain/anchor.ts';
import { RECEIPT } from '../../../src/domain/receipt.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { encodeEntry } from '../../../src/scheduler/job-records.ts';
import { ReceiptOutbox, type ReceiptOutboxOptions } from '../../../src/scheduler/receipt-outbox.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import type { MemoryDatabase } from '../../support/memory-database.ts';
import { ProviderRig } from '../../support/provider-rig.ts';
import { RequesterRig } from '../../support/requester-rig.ts';

class CollectingAnchors {
  readonly digests: string[] = [];
  failures = 0;

  async add(leaves: readonly AnchorLeaf[]): Promise<void> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new TypeError('anchoring is full');
    }
    this.digests.push(...leaves.map(({ kind, digest }) => `${kind} ${encodeHex(digest)}`));
  }
}

const BOTH = { received: true, provided: true };

function outboxOver(database: MemoryDatabase, options: ReceiptOutboxOptions = BOTH) {
  const clock = new ManualClock();
  const anchors = new CollectingAnchors();
  return { clock, anchors, outbox: new ReceiptOutbox({ database, anchors, clock, logger: new NoopLogger() }, options) };
}

const left = (database: MemoryDatabase): string[] => [...database.rows('receipt-outbox').keys()];

async function completeJob(replicas: number, options: ReceiptOutboxOptions = BOTH) {
  const parts: ReturnType<typeof outboxOver>[] = [];
  const rig = await RequesterRig.start({
    receiptNotes: (database) => {
      parts.push(outboxOver(database, options));
      return (parts[0] as ReturnType<typeof outboxOver>).outbox;
    },
  });
  for (let index = 0; index < replicas; index += 1) await rig.addProvider();
  const job = replicas === 1 ? await rig.submit() : await rig.submitReplicas(replicas, replicas);
  await rig.end(job);
  const { attempts } = await rig.requester.evidence(job);
  const receipts = await Promise.all(attempts.map(({ receipt }) => openSigned(RECEIPT, receipt)));
  const expected = receipts.map(({ payload }) => `receipt ${encodeHex(sha256(payload))}`).sort();
  return { ...(parts[0] as ReturnType<typeof outboxOver>), rig, expected };
}

describe('the outbox of receipts', () => {
  it.each([1, 3])('hands over the receipts of a job with %d replicas, and then forgets it', async (replicas) => {
    const { outbox, anchors, rig, expected } = await completeJob(replicas);
    expect(left(rig.database)).toHaveLength(1);
    outbox.start();
    await outbox.settle();
    expect(anchors.digests.sort()).toEqual(expected);
    expect(expected).toHaveLength(replicas);
    expect(left(rig.database)).toEqual([]);
  });

  it('is written together with the end of the job', async () => {
    const writes: string[][] = [];
    const rig = await RequesterRig.start({
      receiptNotes: (database) => {
        database.onWrite = (operations) => {
          writes.push(operations.map(({ namespace, key }) => `${namespace} ${key}`));
        };
        return outboxOver(database).outbox;
      },
    });
    await rig.addProvider();
    const job = await rig.submit();
    await rig.end(job);
    expect(writes.filter((keys) => keys.includes(`jobs ${job}/end`))).toEqual([
      expect.arrayContaining([`receipt-outbox received/${job}`]),
    ]);
  });

  it('gives a restarted node what the dead one had not handed over', async () => {
    const { rig, expected } = await completeJob(1);
    const { outbox, anchors } = outboxOver(rig.database.clone());
    outbox.start();
    await outbox.settle();
    expect(anchors.digests).toEqual(expected);
  });

  it('keeps what anchoring did not take, and offers it again', async () => {
    const { outbox, anchors, clock, rig, expected } = await completeJob(1);
    anchors.failures = 1;
    outbox.start();
    await outbox.settle();
    expect(anchors.digests).toEqual([]);
    expect(left(rig.database)).toHaveLength(1);
    await clock.advance(10_000);
    await outbox.settle();
    expect(anchors.digests).toEqual(expected);
    expect(left(rig.database)).toEqual([]);
    await outbox.stop();
    expect(clock.pending).toBe(0);
  });

  it('does not let an entry that cannot be read keep the others', async () => {
    const { outbox, anchors, rig, expected } = await completeJob(1);
    const [key] = left(rig.database);
    rig.database.rows('receipt-outbox').set('received/bad', new Uint8Array(0));
    rig.database.rows('job-objects').set('bad/lease/receipt', Uint8Array.of(1, 2, 3));
    outbox.start();
    await outbox.settle();
    expect(key).toContain('received/');
    expect(anchors.digests).toEqual(expected);
    expect(left(rig.database)).toEqual([]);
  });

  it.each([
    {
      what: 'a lease record that is damaged',
      entry: 'provided/bad',
      row: { namespace: 'leases', key: 'bad', value: Uint8Array.of(1, 2, 3) },
    },
    {
      what: 'an envelope that is none',
      entry: 'received/bad',
      row: {
        namespace: 'job-objects',
        key: 'bad/lease/receipt',
        value: encodeEntry({ kind: 'envelope', envelope: Uint8Array.of(0xff, 0xff, 0xff) }),
      },
    },
  ] as const)('does not let $what keep the others', async ({ entry, row }) => {
    const { outbox, anchors, clock, rig, expected } = await completeJob(1);
    rig.database.rows('receipt-outbox').set(entry, new Uint8Array(0));
    rig.database.rows(row.namespace).set(row.key, row.value);
    outbox.start();
    await outbox.settle();
    expect(anchors.digests).toEqual(expected);
    expect(left(rig.database)).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('notes nothing that it was not asked for', async () => {
    const { rig } = await completeJob(1, { received: false, provided: true });
    expect(left(rig.database)).toEqual([]);
  });

  it('hands over what a provider signed', async () => {
    const parts: ReturnType<typeof outboxOver>[] = [];
    const rig = await ProviderRig.start({
      receiptNotes: (database) => {
        parts.push(outboxOver(database));
        return (parts[0] as ReturnType<typeof outboxOver>).outbox;
      },
    });
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare());
    await log.done;
    const last = log.events.at(-1)?.event;
    if (last?.kind !== 'receipt') throw new TypeError('no receipt');
    const { payload } = await openSigned(RECEIPT, last.receipt);
    const { outbox, anchors } = parts[0] as ReturnType<typeof outboxOver>;
    expect(left(rig.database)).toHaveLength(1);
    outbox.start();
    await outbox.settle();
    expect(anchors.digests).toEqual([`receipt ${encodeHex(sha256(payload))}`]);
    expect(left(rig.database)).toEqual([]);
  });
});
