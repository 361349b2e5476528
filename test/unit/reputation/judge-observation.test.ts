import { beforeAll, describe, expect, it } from 'vitest';
import { UnixMs } from '../../../src/domain/ids.ts';
import { LEASE } from '../../../src/domain/lease.ts';
import type { Observation, ObservationItem } from '../../../src/domain/observation.ts';
import { OBSERVATION_RULES } from '../../../src/domain/observation-rules.ts';
import { RECEIPT } from '../../../src/domain/receipt.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { signObject } from '../../../src/proofs/signed-object.ts';
import type { ObservationDraft } from '../../../src/reputation/interface.ts';
import { judgeObservation } from '../../../src/reputation/judge-observation.ts';
import { openObservation } from '../../../src/reputation/open-observation.ts';
import { createTestIdentity } from '../../support/network.ts';
import {
  type AttemptEvidence,
  draftOf,
  draftOfLost,
  draftOfRequester,
  FAILED,
  HOUR_MS,
  ratingOf,
  SERVED,
  signAttempt,
  signItem,
} from '../../support/observation-builder.ts';

const NOW = 500_000 * HOUR_MS + 1_000_000;
const NOTHING = { completion: 'none', correctness: 'none', timeliness: 'none', availability: 'none' } as const;

let requester: Identity;
let provider: Identity;
let stranger: Identity;
let attempt: AttemptEvidence;
let other: AttemptEvidence;
let foreign: AttemptEvidence;
beforeAll(async () => {
  [requester, provider, stranger] = await Promise.all([
    createTestIdentity(),
    createTestIdentity(),
    createTestIdentity(),
  ]);
  attempt = await signAttempt({ requester, provider }, { name: 'one', atMs: NOW });
  other = await signAttempt({ requester, provider }, { name: 'two', atMs: NOW });
  foreign = await signAttempt({ requester: stranger, provider }, { name: 'one', atMs: NOW });
});

async function judge(item: ObservationItem, context: { publisher?: Identity; nowMs?: number } = {}): Promise<string> {
  const opened = await openObservation(item);
  if (opened.kind === 'malformed') return 'OBSERVATION_MALFORMED';
  const { publisher, nowMs = NOW } = context;
  const refusal = judgeObservation(opened.observation, opened.evidence, {
    networkId: 'test',
    epochMs: HOUR_MS,
    nowMs,
    publisher: publisher?.peer ?? null,
  });
  return refusal?.code ?? 'accept';
}

describe('an observation that counts', () => {
  it('of a provider shows its receipt', async () => {
    expect(await judge(await signItem(requester, draftOf(attempt)), { publisher: requester })).toBe('accept');
    expect(await judge(await signItem(requester, draftOf(attempt, FAILED)))).toBe('accept');
  });

  it('of a provider that gave none shows the lease and that it was accepted', async () => {
    expect(await judge(await signItem(requester, draftOfLost(attempt)))).toBe('accept');
  });

  it('rates a provider by its receipt, at the time at which that says the attempt finished', async () => {
    for (const rating of [1, 5]) {
      expect(await judge(await signItem(requester, ratingOf(attempt, rating)), { publisher: requester })).toBe(
        'accept',
      );
    }
  });

  it('of a requester shows the lease that it signed', async () => {
    expect(await judge(await signItem(provider, draftOfRequester(attempt)))).toBe('accept');
  });
});

describe('an observation that does not', () => {
  const own = (changes: Partial<Observation>) => () => signItem(requester, draftOf(attempt), changes);
  const shown = (draft: () => ObservationDraft) => () => signItem(requester, draft());

  it.each<[string, string, () => Promise<ObservationItem>]>([
    [
      'OBSERVATION_WRONG_SIGNER',
      'is signed by another',
      () => signItem(stranger, draftOf(attempt), { observer: requester.peer }),
    ],
    ['OBSERVATION_OTHER_NETWORK', 'is of another network', own({ network: 'elsewhere' })],
    ['OBSERVATION_OF_ITSELF', 'praises itself', () => signItem(provider, draftOf(attempt))],
    ['OBSERVATION_EMPTY', 'says nothing', own({ outcome: NOTHING })],
    ['OBSERVATION_WRONG_EPOCH', 'names another epoch', own({ epoch: 499_999 })],
    ['OBSERVATION_NOT_YET', 'is of the future', own({ observedAtMs: UnixMs(NOW + 30_001) })],
    ['OBSERVATION_UNCHECKED', 'shows nothing', shown(() => ({ ...draftOf(attempt), evidence: [] }))],
    ['OBSERVATION_CONTRADICTED', 'is older than the receipt', own({ observedAtMs: UnixMs(NOW - 30_101) })],
    [
      'OBSERVATION_CONTRADICTED',
      'claims a result where there is no receipt',
      () => signItem(requester, draftOfLost(attempt), { outcome: SERVED }),
    ],
    ['OBSERVATION_FOREIGN_EVIDENCE', 'is not of the one who did the work', () => signItem(stranger, draftOf(attempt))],
    [
      'OBSERVATION_FOREIGN_EVIDENCE',
      'shows the receipt of another attempt',
      shown(() => ({ ...draftOf(attempt), evidence: [other.receipt.wire] })),
    ],
    [
      'OBSERVATION_FOREIGN_EVIDENCE',
      'names the lease of another attempt',
      () => signItem(requester, draftOf(attempt), { lease: draftOf(other).lease }),
    ],
    [
      'OBSERVATION_FOREIGN_EVIDENCE',
      'is of a lease that another provider accepted',
      shown(() => ({ ...draftOfLost(attempt), evidence: [attempt.lease.wire, other.acceptance.wire] })),
    ],
    [
      'OBSERVATION_FOREIGN_EVIDENCE',
      'is of a lease that nobody accepted',
      shown(() => ({ ...draftOfLost(attempt), evidence: [attempt.lease.wire] })),
    ],
    [
      'OBSERVATION_FOREIGN_EVIDENCE',
      'of a requester shows the lease of another one',
      () => signItem(provider, { ...draftOfRequester(attempt), evidence: [foreign.lease.wire] }),
    ],
    [
      'OBSERVATION_FOREIGN_EVIDENCE',
      'of a requester is by somebody whom the lease does not name',
      () => signItem(stranger, draftOfRequester(attempt)),
    ],
    [
      'OBSERVATION_MALFORMED',
      'shows something else',
      shown(() => ({ ...draftOf(attempt), evidence: [attempt.lease.wire] })),
    ],
  ])('%s: it %s', async (code, _, create) => {
    expect(await judge(await create())).toBe(code);
    expect(Object.keys(OBSERVATION_RULES)).toContain(code);
  });

  describe('because of its rating', () => {
    const NEXT_WEEK = NOW + 7 * 24 * HOUR_MS;
    it.each<[string, (rating: ObservationDraft) => ObservationDraft]>([
      ['says how the attempt went, too', (rating) => ({ ...rating, outcome: SERVED })],
      ['rates who gave nothing', (rating) => ({ ...draftOfLost(attempt), outcome: rating.outcome, rating: 1 })],
      ['is later than its receipt', (rating) => ({ ...rating, observedAtMs: UnixMs(rating.observedAtMs + 1) })],
      ['is earlier than its receipt', (rating) => ({ ...rating, observedAtMs: UnixMs(rating.observedAtMs - 1) })],
      ['is of another epoch, and so again', (rating) => ({ ...rating, observedAtMs: UnixMs(NEXT_WEEK) })],
    ])('it %s', async (_, change) => {
      const item = await signItem(requester, change(ratingOf(attempt, 5)));
      expect(await judge(item, { nowMs: NEXT_WEEK })).toBe('OBSERVATION_MISRATED');
    });

    it('it rates the requester', async () => {
      const { outcome } = ratingOf(attempt, 5);
      const draft = { ...draftOfRequester(attempt), outcome, rating: 5 };
      expect(await judge(await signItem(provider, draft))).toBe('OBSERVATION_MISRATED');
    });

    it('it rates by a receipt of an attempt that failed', async () => {
      const outcome = { kind: 'attempt-failed' as const, code: 'INTERNAL' as const, detail: '' };
      const { value } = attempt.receipt;
      const failed = await signObject(RECEIPT, { ...value, result: { ...value.result, outcome } }, provider);
      const draft = { ...ratingOf(attempt, 1), receipt: failed.id, evidence: [failed.wire] };
      expect(await judge(await signItem(requester, draft))).toBe('OBSERVATION_MISRATED');
    });

    it('it is no rating at all', async () => {
      for (const rating of [0, 6, 2.5]) {
        await expect(signItem(requester, ratingOf(attempt, rating))).rejects.toThrow();
      }
    });

    it('it shows the receipt of another attempt, or none', async () => {
      const foreignReceipt = { ...ratingOf(attempt, 1), evidence: [other.receipt.wire] };
      expect(await judge(await signItem(requester, foreignReceipt))).toBe('OBSERVATION_FOREIGN_EVIDENCE');
      const bare = { ...ratingOf(attempt, 1), evidence: [] };
      expect(await judge(await signItem(requester, bare))).toBe('OBSERVATION_UNCHECKED');
      expect(await judge(await signItem(stranger, ratingOf(attempt, 1)))).toBe('OBSERVATION_FOREIGN_EVIDENCE');
    });
  });

  it('is published by another, though it is genuine', async () => {
    const item = await signItem(requester, draftOf(attempt));
    expect(await judge(item, { publisher: stranger })).toBe('OBSERVATION_WRONG_PUBLISHER');
  });

  it('has a receipt that its subject did not sign', async () => {
    const forged = await signObject(RECEIPT, attempt.receipt.value, stranger);
    const item = await signItem(requester, { ...draftOf(attempt), evidence: [forged.wire] });
    expect(await judge(item)).toBe('OBSERVATION_FOREIGN_EVIDENCE');
  });

  it('shows a lease that the subject did not sign, or in which it names another', async () => {
    const show = async (changes: Partial<typeof attempt.lease.value>, signer: Identity) => {
      const lease = await signObject(LEASE, { ...attempt.lease.value, ...changes }, signer);
      const draft = { ...draftOfRequester(attempt), lease: lease.id as string as Observation['lease'] };
      return judge(await signItem(provider, { ...draft, evidence: [lease.wire] }));
    };
    expect(await show({}, requester)).toBe('accept');
    expect(await show({}, provider)).toBe('OBSERVATION_FOREIGN_EVIDENCE');
    expect(await show({ requester: stranger.peer }, requester)).toBe('OBSERVATION_FOREIGN_EVIDENCE');
  });

  it('names another lease or receipt of the same parties and job than it shows', async () => {
    const lease = await signObject(LEASE, { ...attempt.lease.value, nonce: new Uint8Array(16) }, requester);
    const swapped = { ...draftOfRequester(attempt), evidence: [lease.wire] };
    expect(await judge(await signItem(provider, swapped))).toBe('OBSERVATION_FOREIGN_EVIDENCE');
    const receipt = await signObject(RECEIPT, { ...attempt.receipt.value, salt: new Uint8Array(32) }, provider);
    const other = { ...draftOf(attempt), evidence: [receipt.wire] };
    expect(await judge(await signItem(requester, other))).toBe('OBSERVATION_FOREIGN_EVIDENCE');
  });

  it('claims a result where the receipt says that there was none', async () => {
    const result = {
      ...attempt.receipt.value.result,
      outcome: { kind: 'attempt-failed' as const, code: 'INTERNAL' as const, detail: '' },
    };
    const failed = await signObject(RECEIPT, { ...attempt.receipt.value, result }, provider);
    const draft = { ...draftOf(attempt), receipt: failed.id, evidence: [failed.wire] };
    expect(await judge(await signItem(requester, draft))).toBe('OBSERVATION_CONTRADICTED');
    expect(await judge(await signItem(requester, { ...draft, outcome: FAILED }))).toBe('accept');
  });

  it('was changed after it was signed', async () => {
    const { observation, evidence } = await signItem(requester, draftOf(attempt));
    if (observation.kind !== 'envelope') throw new Error('it is signed alone');
    const envelope = observation.envelope.slice();
    envelope[envelope.length >> 1] = (envelope[envelope.length >> 1] ?? 0) ^ 1;
    expect(await judge({ observation: { kind: 'envelope', envelope }, evidence })).toBe('OBSERVATION_MALFORMED');
  });
});
