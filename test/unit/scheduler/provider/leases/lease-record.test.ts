import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BlobId, type JobId, type ObjectId, type PeerKey, UnixMs } from '../../../../../src/domain/ids.ts';
import type { SignedWire } from '../../../../../src/domain/signed.ts';
import { LEASE_RECORD_CODEC, type LeaseRecord } from '../../../../../src/scheduler/provider/leases/lease-record.ts';

const text = fc.string({ maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 64 });
const wire: fc.Arbitrary<SignedWire> = fc.oneof(
  fc.record({ kind: fc.constant('envelope' as const), envelope: bytes }),
  fc.record({
    kind: fc.constant('batch' as const),
    payload: bytes,
    index: fc.nat({ max: 65_535 }),
    path: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 16 }),
    root: bytes,
  }),
);
const required: fc.Arbitrary<LeaseRecord> = fc.record({
  version: fc.constant(1 as const),
  phase: fc.constantFrom('accepted', 'running', 'committed', 'set-signed', 'ended'),
  job: text.map((id) => id as JobId),
  requester: text.map((id) => id as PeerKey),
  commitReveal: fc.boolean(),
  acceptedAtMs: fc.nat().map(UnixMs),
  kind: fc.constantFrom('wasm', 'command'),
  isolation: fc.constantFrom('process', 'bubblewrap'),
  instrumenter: text,
  endedAtMs: fc.option(fc.nat().map(UnixMs)),
  lastSequence: fc.nat(),
  commitment: fc.option(fc.record({ wire, draft: bytes })),
  set: fc.option(
    fc.record({
      id: text.map((id) => id as ObjectId),
      providers: fc.array(
        text.map((id) => id as PeerKey),
        { maxLength: 16 },
      ),
    }),
  ),
  receipt: fc.option(wire),
  inline: fc.array(fc.record({ blob: text.map((id) => id as BlobId), bytes }), { maxLength: 3 }),
  stored: fc.array(text.map((id) => id as BlobId)),
});

const record: fc.Arbitrary<LeaseRecord> = fc
  .tuple(required, fc.boolean())
  .map(([value, isConfidential]) => (isConfidential ? { ...value, confidential: true } : value));

describe('the record of a lease', () => {
  it('survives the disk', () => {
    fc.assert(
      fc.property(record, (value) => {
        expect(LEASE_RECORD_CODEC.decode(LEASE_RECORD_CODEC.encode(value))).toEqual(value);
      }),
    );
  });

  it('is refused if the disk gives garbage or another version', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
        expect(() => LEASE_RECORD_CODEC.decode(garbage)).toThrow();
      }),
    );
    fc.assert(
      fc.property(record, (value) => {
        const later = LEASE_RECORD_CODEC.encode({ ...value, version: 2 } as never);
        expect(() => LEASE_RECORD_CODEC.decode(later)).toThrow();
      }),
    );
  });
});
