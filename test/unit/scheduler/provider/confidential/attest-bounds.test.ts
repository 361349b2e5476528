import { describe, expect, it } from 'vitest';
import type { AttestRequest, AttestResponse } from '../../../../../src/domain/confidential.ts';
import { ObjectId, UnixMs } from '../../../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../../../src/lib/bytes.ts';
import { computeObjectId } from '../../../../../src/lib/cid.ts';
import { Attempt } from '../../../../../src/scheduler/provider/attempts/attempt.ts';
import { Run } from '../../../../../src/scheduler/provider/attempts/run.ts';
import { AttestDesk } from '../../../../../src/scheduler/provider/confidential/attest-desk.ts';
import {
  MAX_CHALLENGES_IN_FLIGHT,
  MAX_HELD_EVIDENCE_BYTES,
} from '../../../../../src/scheduler/provider/confidential/constants.ts';
import { findReleaseMismatch } from '../../../../../src/scheduler/provider/confidential/release-checks.ts';
import { createProviderMetrics } from '../../../../../src/scheduler/provider/metrics.ts';
import { RefusalTally } from '../../../../../src/scheduler/provider/offers/refusals.ts';
import { NO_FOOTPRINT } from '../../../../../src/scheduler/provider/queue/host-gauge.ts';
import type { AttemptKeys, Confidentiality } from '../../../../../src/tee/interface.ts';
import { NoopLogger } from '../../../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../../../src/telemetry/noop-metrics.ts';
import { type ConfidentialLease, startConfidential } from '../../../../support/confidential-work.ts';
import { SteppedClock } from '../../../../support/provider-clock.ts';
import { ScriptedExecutor } from '../../../../support/provider-executor.ts';
import { TestTee } from '../../../../support/simulated-tee.ts';

const KEYS = { encryptionKey: new Uint8Array(32), signingKey: new Uint8Array(32) };

/** Keys that cost no time, counted. */
class CountedKeys {
  made = 0;
  disposed = 0;

  create = async (): Promise<AttemptKeys> => {
    this.made += 1;
    return {
      ...KEYS,
      openRelease: () => Promise.reject(new TypeError('nothing is released here')),
      sign: () => Promise.reject(new TypeError('nothing is signed here')),
      [Symbol.dispose]: () => {
        this.disposed += 1;
      },
    };
  };
}

/** A desk with many attempts, all of one lease but for its id. */
async function startDesk() {
  const { side } = await startConfidential();
  const leased = await side.lease(await side.sealJob([]));
  const [tee, keys, clock] = [new TestTee(), new CountedKeys(), new SteppedClock()];
  const confidentiality: Confidentiality = { ...tee.createConfidentiality(), createAttemptKeys: keys.create };
  const desk = new AttestDesk({
    confidentiality,
    producer: tee,
    self: leased.provider,
    refusals: new RefusalTally(clock),
    clock,
    logger: new NoopLogger(),
    metrics: createProviderMetrics(new NoopMetricsRegistry()),
    stop: () => undefined,
  });
  return { desk, leased, tee, keys };
}

function createAttempt({ work, job }: ConfidentialLease, index: number): Attempt {
  const [lease] = work.leases;
  if (lease === undefined) throw new TypeError();
  const id = ObjectId(computeObjectId(encodeUtf8(`lease ${index}`)));
  const run = new Run(0, {
    requester: lease.value.requester,
    isBatch: false,
    priority: 'normal',
    sinceMs: 0,
    startsWithinMs: null,
    footprint: NO_FOOTPRINT,
    inlineBlobs: new Map(),
    snapshotKeys: new Map(),
  });
  return new Attempt({ job: job.signed, lease: { ...lease, id } }, run, {
    acceptedAtMs: 0,
    acceptedAtMonotonicMs: 0,
    executor: new ScriptedExecutor(),
    isolation: 'process',
  });
}

async function ask(desk: AttestDesk, attempt: Attempt): Promise<AttestResponse> {
  const request: AttestRequest = {
    op: 'challenge',
    lease: attempt.id,
    nonce: new Uint8Array(32),
    requesterKey: new Uint8Array(32),
  };
  const context = { peer: attempt.requester, signal: new AbortController().signal };
  for await (const response of desk.answer(request, context)) return response;
  throw new TypeError('no answer');
}

describe('what a provider holds of those who challenge it', () => {
  const busy = {
    kind: 'refused',
    refusal: {
      code: 'AT_CAPACITY',
      detail: 'it shows evidence of too many attempts at a time',
      retryAfterMs: 1_000,
    },
  };

  it('is evidence for so many at a time; who is turned away may ask again', async () => {
    const { desk, leased, tee } = await startDesk();
    const open = Promise.withResolvers<void>();
    tee.before = () => open.promise;
    const attempts = Array.from({ length: MAX_CHALLENGES_IN_FLIGHT + 1 }, (_, index) => createAttempt(leased, index));
    for (const attempt of attempts) desk.expect(attempt);
    const answers = attempts.slice(0, -1).map((attempt) => ask(desk, attempt));
    const late = attempts.at(-1);
    if (late === undefined) throw new TypeError();
    expect(await ask(desk, late)).toEqual(busy);
    open.resolve();
    expect((await Promise.all(answers)).every(({ kind }) => kind === 'evidence')).toBe(true);
    expect((await ask(desk, late)).kind).toBe('evidence');
  });

  it('is so many bytes of evidence, which go with their attempts', async () => {
    const { desk, leased, tee } = await startDesk();
    const sizeBytes = 800 * 1024;
    const certificates = [new Uint8Array(sizeBytes / 2), new Uint8Array(sizeBytes / 2)];
    const produce = tee.produce.bind(tee);
    tee.produce = async (order) => ({ ...(await produce(order)), certificates });
    const count = Math.ceil(MAX_HELD_EVIDENCE_BYTES / sizeBytes) + 1;
    const attempts = Array.from({ length: count }, (_, index) => createAttempt(leased, index));
    for (const attempt of attempts) desk.expect(attempt);
    const answers: string[] = [];
    for (const attempt of attempts) answers.push((await ask(desk, attempt)).kind);
    expect(answers.at(-1)).toBe('refused');
    expect(answers.slice(0, -2).every((kind) => kind === 'evidence')).toBe(true);
    for (const attempt of attempts.slice(0, 2)) desk.end(attempt);
    const [last] = attempts.slice(-1);
    if (last === undefined) throw new TypeError();
    expect((await ask(desk, last)).kind).toBe('evidence');
  });

  it('goes when the attempt ends, whatever is still under way', async () => {
    const { desk, leased, tee, keys } = await startDesk();
    const attempt = createAttempt(leased, 0);
    desk.expect(attempt);
    const open = Promise.withResolvers<void>();
    // One that does not heed its signal.
    tee.before = () => open.promise;
    const answer = ask(desk, attempt);
    desk.end(attempt);
    open.resolve();
    expect(await answer).toMatchObject({ refusal: { code: 'LEASE_MISMATCH', detail: 'the attempt has ended' } });
    expect(keys).toMatchObject({ made: 1, disposed: 1 });
    expect(desk.size).toBe(0);
  });

  it('is let go of where no evidence came', async () => {
    const { desk, leased, tee, keys } = await startDesk();
    const attempt = createAttempt(leased, 0);
    desk.expect(attempt);
    tee.before = () => Promise.reject(new TypeError('no device'));
    expect(await ask(desk, attempt)).toMatchObject({
      refusal: { code: 'EVIDENCE_FAILED', detail: 'an unexpected error of the provider' },
    });
    expect(keys).toMatchObject({ made: 1, disposed: 1 });
  });
});

describe('a release', () => {
  it('is taken until the keys expire', async () => {
    const { rig, side } = await startConfidential();
    const leased = await side.lease(await side.sealJob([]));
    const evidence = await leased.showEvidence();
    const release = await leased.describeRelease(evidence);
    const expiresAtMs = rig.clock.nowMs();
    const context = {
      attempt: createAttempt(leased, 0),
      self: leased.provider,
      shown: {
        nonce: new Uint8Array(32),
        evidence,
        evidenceId: release.evidence,
        keys: await new CountedKeys().create(),
        expiresAtMs,
      },
    };
    expect(findReleaseMismatch(release, { ...context, nowMs: UnixMs(expiresAtMs - 1) })).toBeUndefined();
    expect(findReleaseMismatch(release, { ...context, nowMs: expiresAtMs })).toBe(
      'the keys that were shown have expired',
    );
  });

  it('that opens when the attempt has ended is erased', async () => {
    const { tee } = await startConfidential();
    const [opened, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const erased: Uint8Array[] = [];
    const whole = tee.createConfidentiality();
    const confidentiality: Confidentiality = {
      ...whole,
      createAttemptKeys: async () => {
        const keys = await whole.createAttemptKeys();
        const openRelease: AttemptKeys['openRelease'] = async (opening) => {
          const secrets = await keys.openRelease(opening);
          opened.resolve();
          await gate.promise;
          return secrets;
        };
        const { encryptionKey, signingKey } = keys;
        const [sign, end] = [keys.sign.bind(keys), () => keys[Symbol.dispose]()];
        return { encryptionKey, signingKey, openRelease, sign, [Symbol.dispose]: end };
      },
      erase: (secrets) => {
        erased.push(secrets.contentKey);
        whole.erase(secrets);
      },
    };
    const { side } = await startConfidential({ confidential: { confidentiality, producer: tee } });
    const leased = await side.lease(await side.sealJob([]));
    const answer = leased.release(await leased.describeRelease(await leased.showEvidence()));
    await opened.promise;
    await side.requester.sendOne({ op: 'cancel', leases: [leased.id], reason: 'enough' });
    await leased.log.done;
    gate.resolve();
    expect(await answer).toMatchObject({ refusal: { code: 'LEASE_MISMATCH', detail: 'the attempt has ended' } });
    expect(erased).toEqual([new Uint8Array(32)]);
  });
});
