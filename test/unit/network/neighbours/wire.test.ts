import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CLAIM_REFUSALS,
  MAX_KNOWN_PAIRS,
  type NeighbourRequest,
  type NeighbourResponse,
} from '../../../../src/domain/messages.ts';
import { NetworkError } from '../../../../src/network/errors.ts';
import { CLAIM_RULES } from '../../../../src/network/neighbours/inbound/claim-rules.ts';
import { LevelNeighbourStore } from '../../../../src/network/neighbours/stored/level-neighbour-store.ts';
import {
  STORED_CANDIDATE_CODEC,
  STORED_SLOT_CODEC,
  type StoredSlot,
} from '../../../../src/network/neighbours/stored/slot-codec.ts';
import { decodeMessage, encodeMessage } from '../../../../src/network/reqresp/message-codec.ts';
import { PROTOCOLS } from '../../../../src/network/reqresp/protocols.ts';
import { ENTRY_READERS } from '../../../../src/node/repair/entry-readers.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';
import { createPeer, createVrfKey } from '../../../support/neighbour-rig.ts';
import { RecordingLogger } from '../../../support/network.ts';

const { request, response, maxRequestBytes, maxResponseBytes } = PROTOCOLS.neighbour;
const REQUEST = { protocol: 'neighbour', schema: request, maxBytes: maxRequestBytes };
const RESPONSE = { protocol: 'neighbour', schema: response, maxBytes: maxResponseBytes };

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const peer = fc.integer({ min: 0, max: 50 }).map((index) => createPeer(`peer ${index}`));
const epoch = fc.maxSafeNat();
const pair = fc.record({ peer, vrfPublicKey: bytes(32) });
const record = fc.uint8Array({ maxLength: 2_000 }).map((envelope) => ({ kind: 'envelope', envelope }) as const);
const requests: fc.Arbitrary<NeighbourRequest> = fc.oneof(
  fc.record({ op: fc.constant('claim' as const), epoch, vrfPublicKey: bytes(32), proof: bytes(80), record }),
  fc.record({ op: fc.constant('leave' as const), epoch, claim: fc.constantFrom('mine' as const, 'yours' as const) }),
  fc.record({ op: fc.constant('known' as const), pairs: fc.array(pair, { minLength: 1, maxLength: MAX_KNOWN_PAIRS }) }),
);
const responses: fc.Arbitrary<NeighbourResponse> = fc.oneof(
  fc.record({ kind: fc.constant('accepted' as const), networkSize: fc.integer({ min: 1 }) }),
  fc.record({
    kind: fc.constant('refused' as const),
    code: fc.constantFrom(...CLAIM_REFUSALS),
    detail: fc.string({ maxLength: 200 }),
  }),
  fc.constant({ kind: 'done' as const }),
  fc.record({ kind: fc.constant('known' as const), since: fc.array(fc.option(epoch), { maxLength: MAX_KNOWN_PAIRS }) }),
);

describe('neighbour/1', () => {
  it('requests and responses survive the wire', () => {
    fc.assert(
      fc.property(requests, (value) => {
        expect(decodeMessage(REQUEST, encodeMessage(REQUEST, value))).toEqual(value);
      }),
      {
        numRuns: 40,
      },
    );
    fc.assert(
      fc.property(responses, (value) => {
        expect(decodeMessage(RESPONSE, encodeMessage(RESPONSE, value))).toEqual(value);
      }),
      { numRuns: 40 },
    );
  });

  it('refuses garbage with a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
        for (const kind of [REQUEST, RESPONSE]) {
          try {
            decodeMessage<unknown>(kind as typeof REQUEST, garbage);
          } catch (error) {
            expect(error).toBeInstanceOf(NetworkError);
          }
        }
      }),
    );
  });

  it('takes the largest question there can be, and no more pairs', () => {
    const pairs = Array.from({ length: MAX_KNOWN_PAIRS }, (_, index) => ({
      peer: createPeer(`peer ${index}`),
      vrfPublicKey: createVrfKey(`peer ${index}`),
    }));
    expect(encodeMessage(REQUEST, { op: 'known', pairs }).length).toBeLessThan(maxRequestBytes);
    const tooMany = [...pairs, ...pairs.slice(0, 1)];
    expect(() => encodeMessage(REQUEST, { op: 'known', pairs: tooMany })).toThrow(NetworkError);
  });

  it('has a rule for each refusal', () => {
    expect(Object.keys(CLAIM_RULES)).toEqual([...CLAIM_REFUSALS]);
  });
});

const slotFields = {
  peer,
  epoch,
  proof: bytes(80),
  rank: bytes(32),
  sinceMs: epoch,
  why: fc.constantFrom('ranked' as const, 'healing' as const, 'genesis' as const),
};
const groups = fc.array(
  fc.record({ kind: fc.constantFrom('address' as const, 'asn' as const), key: fc.string({ maxLength: 80 }) }),
  {
    maxLength: 5,
  },
);
const stored: fc.Arbitrary<StoredSlot> = fc.oneof(
  fc.record({ kind: fc.constant('outbound' as const), slot: fc.record({ ...slotFields, endsAtEpoch: epoch }) }),
  fc.record({
    kind: fc.constant('inbound' as const),
    slot: fc.record({ ...slotFields, vrfPublicKey: bytes(32), groups }),
  }),
  fc.record({ kind: fc.constant('size' as const), epoch, size: fc.integer({ min: 1 }) }),
  fc.record({ kind: fc.constant('began' as const), epoch }),
);

describe('what is kept of neighbours', () => {
  it('survives the disk', () => {
    fc.assert(
      fc.property(stored, (value) => {
        expect(STORED_SLOT_CODEC.decode(STORED_SLOT_CODEC.encode(value))).toEqual(value);
      }),
      { numRuns: 40 },
    );
  });

  it('is refused where it is garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
        for (const codec of [STORED_SLOT_CODEC, STORED_CANDIDATE_CODEC]) {
          try {
            codec.decode(garbage);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
        }
      }),
    );
  });

  it('comes back as it was written; what is damaged is left out; what is over is gone', async () => {
    const database = new MemoryDatabase();
    const store = new LevelNeighbourStore({ database, logger: new RecordingLogger() });
    const slot = (name: string) => ({
      peer: createPeer(name),
      epoch: 7,
      proof: new Uint8Array(80).fill(1),
      rank: new Uint8Array(32).fill(2),
      sinceMs: 3,
      why: 'ranked' as const,
    });
    const outbound = ['a', 'b'].map((name) => ({ ...slot(name), endsAtEpoch: 9 }));
    const inbound = [{ ...slot('c'), vrfPublicKey: createVrfKey('c'), groups: [] }];
    await store.save({ outbound, inbound, networkSize: { epoch: 7, size: 40 } });
    expect(await store.load()).toEqual({ outbound, inbound, networkSize: { epoch: 7, size: 40 } });
    await store.save({ outbound: outbound.slice(0, 1), inbound: [], networkSize: null });
    expect(await store.load()).toMatchObject({ outbound: outbound.slice(0, 1), inbound: [] });
    database.damaged.add(`neighbour-slots/outbound/${createPeer('a')}`);
    expect(await store.load()).toMatchObject({ outbound: [] });

    const candidate = {
      peer: createPeer('d'),
      vrfPublicKey: createVrfKey('d'),
      firstSeenEpoch: 3,
      lastValidEpoch: 7,
      isConfirmed: true,
    };
    await store.saveCandidates({ put: [candidate], removed: [], beganEpoch: 2 });
    expect(await store.loadCandidates()).toEqual({ beganEpoch: 2, candidates: [candidate] });
    for (const namespace of ['neighbour-slots', 'neighbour-candidates'] as const) {
      for (const [key, value] of database.rows(namespace)) ENTRY_READERS[namespace](key, value);
    }
    await store.saveCandidates({ put: [], removed: [candidate.peer], beganEpoch: 2 });
    expect(await store.loadCandidates()).toMatchObject({ candidates: [] });
  });
});
