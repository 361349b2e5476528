import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import {
  ATTEMPT_EVIDENCE,
  type AttemptEvidence,
  RUNTIME_DATA,
  type RuntimeData,
} from '../../src/domain/confidential.ts';
import { JobId, LeaseId, PeerKey, UnixMs } from '../../src/domain/ids.ts';
import { encodeObject } from '../../src/domain/object-type.ts';
import { computeObjectId } from '../../src/lib/cid.ts';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import type { AttemptExpectation, EvidenceProducer } from '../../src/tee/interface.ts';
import { WebCryptoAttemptKeys } from '../../src/tee/release/attempt-keys.ts';
import { computeGpuNonce, computeReportData } from '../../src/tee/release/report-data.ts';
import { patternBytes } from './byte-streams.ts';

export const JUDGED_AT_MS = Date.parse('2026-11-22T00:00:00Z');

const crypto = new NodeEvidenceCrypto();

async function makePeer(seed: number): Promise<PeerKey> {
  const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed));
  return PeerKey(peerIdFromPrivateKey(key).toString());
}

const [requester, provider, stranger] = await Promise.all([makePeer(1), makePeer(2), makePeer(3)]);
export const STRANGER = stranger;

const id = (byte: number): string => computeObjectId(Uint8Array.of(byte));
export const OTHER_JOB = JobId(id(8));
export const OTHER_LEASE = LeaseId(id(9));

/** What a requester knows of an attempt that it has leased, and has challenged. */
export const EXPECTATION = {
  network: 'test',
  job: JobId(id(1)),
  lease: LeaseId(id(2)),
  requester,
  provider,
  nonce: patternBytes(32, 3),
  requesterKey: patternBytes(32, 4),
  isolation: 'bubblewrap',
  instrumenter: 'fogproof-instrument@1',
} as const satisfies AttemptExpectation;

const keys = await WebCryptoAttemptKeys.create();

/** As an honest provider answers it, but for the changes. */
export function buildRuntimeData(changes: Partial<RuntimeData> = {}): RuntimeData {
  const { isolation, instrumenter, ...named } = EXPECTATION;
  return {
    type: 'fogproof/runtime-data@1',
    ...named,
    encryptionKey: keys.encryptionKey,
    signingKey: keys.signingKey,
    sandbox: { isolation, instrumenter },
    expiresAtMs: UnixMs(JUDGED_AT_MS + 60_000),
    ...changes,
  };
}

/** Whoever has the hardware binds any runtime data to it; `changes` are made behind its back. */
export async function produceEvidence(
  producer: EvidenceProducer,
  runtimeData: RuntimeData,
  changes: Partial<AttemptEvidence> = {},
): Promise<Uint8Array> {
  const encoded = encodeObject(RUNTIME_DATA, runtimeData);
  const reportData = await computeReportData(crypto, encoded);
  const gpuNonce = producer.hasGpus ? await computeGpuNonce(crypto, reportData) : null;
  const produced = await producer.produce({ reportData, gpuNonce, signal: new AbortController().signal });
  return encodeObject(ATTEMPT_EVIDENCE, {
    type: 'fogproof/attempt-evidence@1',
    ...produced,
    runtimeData: encoded,
    ...changes,
  });
}

/** Evidence of somewhere else around this runtime data: no public report carries ours. */
export function wrapEvidence(
  files: Pick<AttemptEvidence, 'kind' | 'report'> & Partial<AttemptEvidence>,
  runtimeData: RuntimeData,
): Uint8Array {
  return encodeObject(ATTEMPT_EVIDENCE, {
    type: 'fogproof/attempt-evidence@1',
    certificates: [],
    collateral: null,
    gpus: null,
    ...files,
    runtimeData: encodeObject(RUNTIME_DATA, runtimeData),
  });
}
