import { expect, it } from 'vitest';
import { JobId, LeaseId, ObjectId } from '../../../../src/domain/ids.ts';
import { computeObjectId } from '../../../../src/lib/cid.ts';
import { type AttestedStatement, verifyAttestedStatement } from '../../../../src/proofs/attested-statement.ts';
import { WebCryptoAttemptKeys } from '../../../../src/tee/release/attempt-keys.ts';
import { patternBytes } from '../../../support/byte-streams.ts';

const id = (byte: number): string => computeObjectId(Uint8Array.of(byte));
const statement: AttestedStatement = {
  job: JobId(id(1)),
  lease: LeaseId(id(2)),
  nonce: patternBytes(32, 3),
  commitments: [patternBytes(32, 4), patternBytes(32, 5)],
  outputRoot: ObjectId(id(6)),
};

it('the attested key signs one result: of this job, lease, nonce, inputs and outputs', async () => {
  const keys = await WebCryptoAttemptKeys.create();
  const signed = { signingKey: keys.signingKey, signature: await keys.sign(statement) };
  expect(verifyAttestedStatement(statement, signed)).toBe(true);
  const changes: readonly Partial<AttestedStatement>[] = [
    { job: JobId(id(9)) },
    { lease: LeaseId(id(9)) },
    { nonce: patternBytes(32, 9) },
    { commitments: [...statement.commitments].reverse() },
    { commitments: statement.commitments.slice(0, 1) },
    { outputRoot: ObjectId(id(9)) },
  ];
  for (const change of changes) expect(verifyAttestedStatement({ ...statement, ...change }, signed)).toBe(false);
  const other = await WebCryptoAttemptKeys.create();
  expect(verifyAttestedStatement(statement, { ...signed, signingKey: other.signingKey })).toBe(false);
});
