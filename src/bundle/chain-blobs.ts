import type { Bundle } from '../domain/bundle.ts';
import { CHECKPOINT_CHAIN } from '../domain/checkpoint.ts';
import type { BlobId } from '../domain/ids.ts';
import { RECEIPT, type Receipt } from '../domain/receipt.ts';
import type { SignedWire } from '../domain/signed.ts';
import { isDaemonError } from '../lib/errors.ts';
import { openSigned } from '../proofs/signed-object.ts';

/** Checkpoint chains that receipts name, with the most bytes that each may have. */
export async function findChainBlobs({ attempts }: Pick<Bundle, 'attempts'>): Promise<ReadonlyMap<BlobId, number>> {
  const named = await Promise.all(attempts.map(({ receipt }) => readReference(receipt)));
  return new Map(
    named
      .filter((reference) => reference !== undefined)
      .map(({ blob, sizeBytes }) => [blob, Math.min(sizeBytes, CHECKPOINT_CHAIN.maxBytes)]),
  );
}

/** A receipt that is refused names nothing; its own check says why it is. */
async function readReference(receipt: SignedWire): Promise<Receipt['checkpointChain']> {
  try {
    return (await openSigned(RECEIPT, receipt)).value.checkpointChain;
  } catch (error) {
    if (isDaemonError(error)) return undefined;
    throw error;
  }
}
