import type { BlobId } from '../../domain/ids.ts';
import type { InlineBlob } from '../../domain/messages.ts';
import type { OutputFile, Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { computeRawId } from '../../lib/cid.ts';
import { findAttempt } from '../job-machine-state.ts';
import { courseOf } from './attempt-case.ts';
import type { BatchMember } from './batch-member.ts';
import type { Checked } from './checked.ts';
import { checkChain } from './result-chains.ts';
import type { ReceiptExpectation } from './verify-receipt.ts';

/** What a receipt of its attempt has to say; undefined before its lease is issued. */
export function describeExpectation({ job, attempt, ledger }: BatchMember): ReceiptExpectation | undefined {
  const current = attempt === null ? undefined : findAttempt(ledger.state, attempt.id);
  if (attempt === null || current === undefined) return undefined;
  const { instrumenter } = current;
  return { job, lease: attempt.lease, instrumenter, committed: null, course: courseOf(attempt), attested: null };
}

/** Bytes that hash to what they are said to be. */
export function indexVerified(inlineBlobs: readonly InlineBlob[]): Map<BlobId, Uint8Array> {
  const files = new Map<BlobId, Uint8Array>();
  for (const { blob, bytes } of inlineBlobs) {
    if (computeRawId(bytes) === (blob as string)) files.set(blob, bytes);
  }
  return files;
}

/** A chain that came with the receipts is checked with them; one that is still to be fetched is checked after that. */
export async function checkWithChain(
  checked: Checked<Signed<Receipt>>,
  { job, lease }: ReceiptExpectation,
  files: ReadonlyMap<BlobId, Uint8Array>,
): Promise<Checked<Signed<Receipt>>> {
  if (checked.kind === 'invalid') return checked;
  const named = checked.value.value.checkpointChain;
  const bytes = named && isHeld(named, files) ? files.get(named.blob) : undefined;
  if (bytes === undefined) return checked;
  const chain = await checkChain(bytes, { job, lease, receipt: checked.value.value, newest: null });
  return chain.kind === 'invalid' ? chain : checked;
}

/** These bytes came with the receipts, whole. */
export function isHeld(
  { blob, sizeBytes }: Pick<OutputFile, 'blob' | 'sizeBytes'>,
  files: ReadonlyMap<BlobId, Uint8Array>,
): boolean {
  return files.get(blob)?.length === sizeBytes;
}
