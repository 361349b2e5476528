import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUNDLE } from '../../../src/domain/bundle.ts';
import { COMMITMENT, COMMITMENT_SET } from '../../../src/domain/commitment.ts';
import { ATTEMPT_EVIDENCE, RELEASE, RELEASED_SECRETS, RUNTIME_DATA } from '../../../src/domain/confidential.ts';
import { DomainError } from '../../../src/domain/errors.ts';
import { JOB } from '../../../src/domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, PROGRESS } from '../../../src/domain/lease.ts';
import { NODE_RECORD } from '../../../src/domain/node-record.ts';
import { decodeObject, encodeObject, type ObjectType } from '../../../src/domain/object-type.ts';
import { OBSERVATION } from '../../../src/domain/observation.ts';
import { OFFER } from '../../../src/domain/offer.ts';
import { RECEIPT, RESULT } from '../../../src/domain/receipt.ts';
import { BATCH } from '../../../src/domain/signed.ts';
import { CborError, decodeCanonical, encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { DaemonError } from '../../../src/lib/errors.ts';
import * as confidential from '../../support/confidential-arbitraries.ts';
import * as arbitrary from '../../support/domain-arbitraries.ts';

interface Case {
  readonly name: string;
  roundTrip(): void;
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly sample: () => Uint8Array;
}

function describeType<Value extends { readonly type: string }>(
  type: ObjectType<Value>,
  values: fc.Arbitrary<Value>,
): Case {
  return {
    name: type.type,
    roundTrip: () => {
      fc.assert(
        fc.property(values, (value) => {
          const bytes = encodeObject(type, value);
          const again = decodeObject(type, bytes);
          expect(again).toEqual(value);
          expect(encodeObject(type, again)).toEqual(bytes);
        }),
        { numRuns: 50 },
      );
    },
    decode: (bytes) => decodeObject(type, bytes),
    sample: () => encodeObject(type, fc.sample(values, { numRuns: 1, seed: 7 })[0] as Value),
  };
}

const CASES: readonly Case[] = [
  describeType(JOB, arbitrary.jobs),
  describeType(JOB, arbitrary.commandJobs),
  describeType(JOB, arbitrary.containerJobs),
  describeType(JOB, arbitrary.inferenceJobs),
  describeType(OFFER, arbitrary.offers),
  describeType(LEASE, arbitrary.leases),
  describeType(LEASE_ACCEPTANCE, arbitrary.leaseAcceptances),
  describeType(PROGRESS, arbitrary.progresses),
  describeType(COMMITMENT, arbitrary.commitments),
  describeType(COMMITMENT_SET, arbitrary.commitmentSets),
  describeType(RESULT, arbitrary.results),
  describeType(RECEIPT, arbitrary.receipts),
  describeType(NODE_RECORD, arbitrary.nodeRecords),
  describeType(OBSERVATION, arbitrary.observations),
  describeType(BATCH, arbitrary.batches),
  describeType(RUNTIME_DATA, confidential.runtimeData),
  describeType(ATTEMPT_EVIDENCE, confidential.attemptEvidence),
  describeType(RELEASE, confidential.releases),
  describeType(RELEASED_SECRETS, confidential.releasedSecrets),
];

describe('objects of confidential jobs', () => {
  it.each([describeType(JOB, confidential.confidentialJobs), describeType(RECEIPT, confidential.attestedReceipts)])(
    '$name decodes to what was encoded, with what others lack',
    ({ roundTrip }) => roundTrip(),
  );
});

describe.each(CASES)('$name', ({ roundTrip, decode, sample }) => {
  it('decodes to what was encoded, and encodes to the same bytes', () => roundTrip());

  it('meets garbage with a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
        expect(() => decode(garbage)).toThrow(DaemonError);
      }),
      { numRuns: 100 },
    );
  });

  it('meets a changed byte with another value or a coded error, never with another exception', () => {
    const bytes = sample();
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (position, flip) => {
        const changed = Uint8Array.from(bytes);
        changed[position] = (changed[position] ?? 0) ^ flip;
        try {
          decode(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(DaemonError);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('refuses an unknown field, an unknown version and a missing field', () => {
    const value = decodeCanonical(sample(), { maxBytes: 1_000_000 }) as Record<string, unknown>;
    expect(() => decode(encodeCanonical({ ...value, extra: 1 }))).toThrow(DomainError);
    expect(() => decode(encodeCanonical({ ...value, type: `${String(value['type'])}0` }))).toThrow(DomainError);
    for (const field of Object.keys(value)) {
      const { [field]: _removed, ...rest } = value;
      expect(() => decode(encodeCanonical(rest)), field).toThrow(DomainError);
    }
  });
});

describe('size limits', () => {
  it('refuses an object above the limit of its type before it is parsed', () => {
    for (const type of [JOB, OFFER, LEASE, RECEIPT, BUNDLE, NODE_RECORD, OBSERVATION]) {
      const bytes = new Uint8Array(type.maxBytes + 1);
      expect(() => decodeObject(type as typeof JOB, bytes)).toThrow(CborError);
    }
  });
});
