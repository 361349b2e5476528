import type { Bundle } from '../domain/bundle.ts';
import { CHECKPOINT_CHAIN } from '../domain/checkpoint.ts';
import { ATTEMPT_EVIDENCE } from '../domain/confidential.ts';
import type { BlobId } from '../domain/ids.ts';
import { JOB } from '../domain/job.ts';
import type { ObjectType } from '../domain/object-type.ts';
import { RECEIPT, type Receipt } from '../domain/receipt.ts';
import type { SignedWire } from '../domain/signed.ts';
import { isDaemonError } from '../lib/errors.ts';
import { listComparisons, MAX_COMPARED_BYTES } from '../proofs/compare-results.ts';
import { openSigned } from '../proofs/signed-object.ts';
import { MAX_COMPARED_TOTAL_BYTES } from './constants.ts';

/** Blobs with the most bytes that each may have. */
export type BlobSizes = ReadonlyMap<BlobId, number>;

type Wires = Pick<Bundle, 'job' | 'attempts'>;

/** Blobs that the checks read: outputs that are compared within tolerances, and what is evidence itself. */
export async function findEvidenceBlobs(bundle: Wires): Promise<BlobSizes> {
  return new Map([...(await findComparedBlobs(bundle)), ...(await findProofBlobs(bundle))]);
}

/** In the file whatever else is: checkpoint chains, and evidence of confidential hardware. */
export async function findProofBlobs(bundle: Pick<Wires, 'attempts'>): Promise<BlobSizes> {
  return new Map([...(await findChainBlobs(bundle)), ...(await findAttestationBlobs(bundle))]);
}

/** Checkpoint chains that receipts name. */
export async function findChainBlobs({ attempts }: Pick<Wires, 'attempts'>): Promise<BlobSizes> {
  const named = (await openReceipts(attempts)).flatMap(({ checkpointChain }) => checkpointChain ?? []);
  return new Map(named.map(({ blob, sizeBytes }) => [blob, Math.min(sizeBytes, CHECKPOINT_CHAIN.maxBytes)]));
}

/** Evidence of confidential hardware that receipts name. */
async function findAttestationBlobs({ attempts }: Pick<Wires, 'attempts'>): Promise<BlobSizes> {
  const named = (await openReceipts(attempts)).flatMap(({ attestation }) => attestation ?? []);
  return new Map(
    named.map(({ evidence, evidenceSizeBytes }) => [evidence, Math.min(evidenceSizeBytes, ATTEMPT_EVIDENCE.maxBytes)]),
  );
}

/** Outputs that receipts give with differences which the job may tolerate; the smaller ones, where they are many. */
export async function findComparedBlobs({ job, attempts }: Wires): Promise<BlobSizes> {
  const value = await openValue(JOB, job);
  const comparisons = value === undefined ? null : listComparisons(value);
  if (comparisons === null || comparisons.length === 0) return new Map();
  const outputs = (await openReceipts(attempts)).flatMap(({ result }) => result.outputs);
  const differing = comparisons.flatMap(({ path, element }) => {
    const files = outputs.filter((file) => file.path === path && file.sizeBytes <= MAX_COMPARED_BYTES[element]);
    return new Set(files.map(({ blob }) => blob)).size > 1 ? files : [];
  });
  const found = new Map<BlobId, number>();
  let total = 0;
  for (const { blob, sizeBytes } of differing.toSorted((a, b) => a.sizeBytes - b.sizeBytes)) {
    if (found.has(blob) || total + sizeBytes > MAX_COMPARED_TOTAL_BYTES) continue;
    total += sizeBytes;
    found.set(blob, sizeBytes);
  }
  return found;
}

async function openReceipts(attempts: Wires['attempts']): Promise<readonly Receipt[]> {
  const opened = await Promise.all(attempts.map(({ receipt }) => openValue(RECEIPT, receipt)));
  return opened.filter((receipt) => receipt !== undefined);
}

/** What is refused names nothing; its own check says why it is. */
async function openValue<Value extends { readonly type: string }>(
  type: ObjectType<Value>,
  wire: SignedWire,
): Promise<Value | undefined> {
  try {
    return (await openSigned(type, wire)).value;
  } catch (error) {
    if (isDaemonError(error)) return undefined;
    throw error;
  }
}
