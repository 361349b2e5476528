import { describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import { LEASE } from '../../../src/domain/lease.ts';
import { RECEIPT } from '../../../src/domain/receipt.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import type { ObservationDraft, ObservationSink } from '../../../src/reputation/interface.ts';
import type { AttemptView, JobView } from '../../../src/scheduler/interface.ts';
import { ObservationOutbox } from '../../../src/scheduler/observation-outbox.ts';
import { guessObservation, observeProvider } from '../../../src/scheduler/observe-attempt.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import type { MemoryDatabase } from '../../support/memory-database.ts';
import { ProviderRig } from '../../support/provider-rig.ts';
import { RequesterRig } from '../../support/requester-rig.ts';

const FLUSH_MS = 1_000;

class CollectingSink implements ObservationSink {
  readonly drafts: ObservationDraft[] = [];
  readonly asked: string[] = [];
  failures = 0;
  isFull = false;

  hasRoom(_subject: PeerKey, role: string, kind: string): boolean {
    this.asked.push(`${role} ${kind}`);
    return !this.isFull;
  }

  async record(drafts: readonly ObservationDraft[]): Promise<void> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new TypeError('the disk is full');
    }
    this.drafts.push(...drafts);
  }
}

function outboxOver(database: MemoryDatabase, sink = new CollectingSink()) {
  const clock = new ManualClock();
  const outbox = new ObservationOutbox({ database, sink, clock, logger: new NoopLogger() }, { flushMs: FLUSH_MS });
  return { clock, sink, outbox };
}

const left = (database: MemoryDatabase): string[] => [...database.rows('observation-outbox').keys()];

async function completeJob(replicas: number, sink?: CollectingSink) {
  const parts: ReturnType<typeof outboxOver>[] = [];
  const rig = await RequesterRig.start({
    attemptNotes: (database) => {
      parts.push(outboxOver(database, sink));
      return (parts[0] as ReturnType<typeof outboxOver>).outbox;
    },
  });
  for (let index = 0; index < replicas; index += 1) await rig.addProvider();
  const job = replicas === 1 ? await rig.submit() : await rig.submitReplicas(replicas, replicas);
  await rig.end(job);
  return { ...(parts[0] as ReturnType<typeof outboxOver>), rig, job };
}

describe('what a requester observes', () => {
  it.each([1, 3])('is told of each provider of a job with %d replicas, with its receipt', async (replicas) => {
    const { outbox, sink, rig, job } = await completeJob(replicas);
    expect(left(rig.database)).toEqual([`received/${job}`]);
    outbox.start();
    await outbox.flush();
    expect(sink.drafts).toHaveLength(replicas);
    for (const { subject, lease, receipt, evidence, outcome } of sink.drafts) {
      const shown = await openSigned(RECEIPT, evidence[0] as (typeof evidence)[number], subject);
      expect(shown).toMatchObject({ id: receipt, value: { lease, job } });
      expect(outcome.correctness).toBe(replicas === 1 ? 'none' : 'success');
    }
    expect(new Set(sink.drafts.map(({ subject }) => subject)).size).toBe(replicas);
    expect(left(rig.database)).toEqual([]);
  });

  it('is noted together with the end of the job', async () => {
    const writes: string[][] = [];
    const rig = await RequesterRig.start({
      attemptNotes: (database) => {
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
      expect.arrayContaining([`observation-outbox received/${job}`]),
    ]);
  });

  it('is not noted where it would not count', async () => {
    const sink = new CollectingSink();
    sink.isFull = true;
    const { rig } = await completeJob(1, sink);
    expect(left(rig.database)).toEqual([]);
    expect(sink.asked).toEqual(['provider success']);
  });

  it('is handed over by a restarted node, and again after a failure', async () => {
    const { rig } = await completeJob(1);
    const { outbox, sink, clock } = outboxOver(rig.database.clone());
    sink.failures = 1;
    outbox.start();
    await clock.advance(FLUSH_MS);
    expect(sink.drafts).toHaveLength(0);
    await clock.advance(10_000);
    expect(sink.drafts).toHaveLength(1);
    await outbox.stop();
    expect(clock.pending).toBe(0);
  });

  it('is not kept waiting by an entry that cannot be read', async () => {
    const { outbox, sink, rig } = await completeJob(1);
    rig.database.rows('observation-outbox').set('received/bad', new Uint8Array([1]));
    outbox.start();
    await outbox.flush();
    expect(sink.drafts).toHaveLength(1);
    expect(left(rig.database)).toEqual([]);
  });
});

describe('what a provider observes', () => {
  it('is that the requester leased what it did, with the lease', async () => {
    const parts: ReturnType<typeof outboxOver>[] = [];
    const rig = await ProviderRig.start({
      attemptNotes: (database) => {
        parts.push(outboxOver(database));
        return (parts[0] as ReturnType<typeof outboxOver>).outbox;
      },
    });
    const requester = await rig.requester();
    await requester.lease(await requester.prepare()).done;
    const { outbox, sink } = parts[0] as ReturnType<typeof outboxOver>;
    outbox.start();
    await outbox.flush();
    const [draft] = sink.drafts;
    if (draft === undefined) throw new Error('nothing was observed');
    expect(draft).toMatchObject({ role: 'requester', outcome: { completion: 'success' } });
    const shown = await openSigned(LEASE, draft.evidence[0] as (typeof draft.evidence)[number], draft.subject);
    expect(shown.id as string).toBe(draft.lease);
  });
});

describe('what an attempt says of its provider', () => {
  const attempt = (state: AttemptView['state']): AttemptView => ({ state, lease: 'l' }) as AttemptView;
  const job = (changes: object = {}): JobView => ({ quorum: 1, result: null, ...changes }) as JobView;
  const accepted = { isAccepted: true, isCounted: true };

  it('is nothing for an attempt that did not begin, was cancelled or paused, or is another node’s fault', () => {
    for (const state of ['leased', 'cancelled', 'paused', 'committed'] as const) {
      expect(observeProvider(job(), attempt(state), accepted)).toBeNull();
    }
    const refused = { ...attempt('failed'), reason: 'EVIDENCE_REFUSED: its evidence is invalid: measurement: other' };
    expect(observeProvider(job(), refused, accepted)).toBeNull();
    expect(observeProvider(job(), attempt('failed'), { ...accepted, isCounted: false })).toBeNull();
    expect(observeProvider(job(), attempt('failed'), { ...accepted, isAccepted: false })).toBeNull();
    expect(observeProvider(job(), attempt('lost'), { ...accepted, isAccepted: false })).toBeNull();
  });

  it('is a failure for what was lost or failed by its fault', () => {
    expect(observeProvider(job(), attempt('lost'), accepted)).toMatchObject({
      completion: 'failure',
      availability: 'failure',
    });
    expect(observeProvider(job(), attempt('failed'), accepted)).toMatchObject({
      completion: 'failure',
      availability: 'none',
    });
    expect(guessObservation(job(), attempt('failed'))).toBe('failure');
  });

  it('is a wrong result only where a quorum says so', () => {
    const result = { agreeing: ['other'], dissenting: ['l'] };
    expect(observeProvider(job({ quorum: 2, result }), attempt('revealed'), accepted)?.correctness).toBe('failure');
    expect(observeProvider(job({ quorum: 1, result }), attempt('revealed'), accepted)?.correctness).toBe('none');
    expect(guessObservation(job({ quorum: 2, result }), attempt('revealed'))).toBe('failure');
  });
});
