import * as fc from 'fast-check';
import { TEE_KINDS } from '../../src/domain/capability.ts';
import type { AttemptEvidence, Release, ReleasedSecrets, RuntimeData } from '../../src/domain/confidential.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Receipt, ReceiptAttestation } from '../../src/domain/receipt.ts';
import {
  blobIds,
  bytes,
  isolation,
  jobIds,
  jobs,
  leaseIds,
  networks,
  objectIds,
  peerKeys,
  receipts,
  times,
} from './domain-arbitraries.ts';

const upTo = (maxLength: number) => fc.uint8Array({ maxLength });
const files = fc.array(upTo(40), { maxLength: 3 });

export const runtimeData: fc.Arbitrary<RuntimeData> = fc.record({
  type: fc.constant('fogproof/runtime-data@1' as const),
  network: networks,
  nonce: bytes(32),
  job: jobIds,
  lease: leaseIds,
  requester: peerKeys,
  requesterKey: bytes(32),
  provider: peerKeys,
  encryptionKey: bytes(32),
  signingKey: bytes(32),
  sandbox: fc.record({ isolation, instrumenter: fc.constant('fogproof-instrument/2') }),
  expiresAtMs: times,
});

export const attemptEvidence: fc.Arbitrary<AttemptEvidence> = fc.record({
  type: fc.constant('fogproof/attempt-evidence@1' as const),
  kind: fc.constantFrom(...TEE_KINDS),
  runtimeData: upTo(60),
  report: upTo(60),
  certificates: files,
  collateral: fc.option(upTo(60)),
  gpus: fc.option(fc.record({ report: upTo(60), certificates: files, manifests: files })),
});

export const releasedSecrets: fc.Arbitrary<ReleasedSecrets> = fc.record({
  type: fc.constant('fogproof/released-secrets@1' as const),
  contentKey: bytes(32),
  salts: fc.array(bytes(32), { maxLength: 3 }),
});

export const releases: fc.Arbitrary<Release> = fc.record({
  type: fc.constant('fogproof/release@1' as const),
  network: networks,
  job: jobIds,
  lease: leaseIds,
  requester: peerKeys,
  provider: peerKeys,
  evidence: blobIds,
  evaluatedAtMs: times,
  encapsulatedKey: bytes(32),
  sealedSecrets: upTo(60),
});

const attestations: fc.Arbitrary<ReceiptAttestation> = fc.record({
  evidence: blobIds,
  evidenceSizeBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  release: objectIds,
  signature: bytes(64),
});

export const attestedReceipts: fc.Arbitrary<Receipt> = fc
  .tuple(receipts, attestations)
  .map(([receipt, attestation]) => ({ ...receipt, attestation }));

export const confidentialJobs: fc.Arbitrary<Job> = fc
  .tuple(jobs, fc.array(bytes(32), { maxLength: 3 }), fc.constantFrom('{}', '{"tdx":{}}'))
  .map(([job, commitments, policy]) => ({ ...job, confidential: { policy, commitments } }));
