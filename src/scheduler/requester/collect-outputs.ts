import { BlobError } from '../../blob/errors.ts';
import type { BlobStore } from '../../blob/interface.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { InlineBlob } from '../../domain/messages.ts';
import type { OutputFile, Receipt } from '../../domain/receipt.ts';
import type { AbortOptions } from '../../lib/abort.ts';
import { computeRawId } from '../../lib/cid.ts';
import { describeError } from '../../lib/errors.ts';
import type { BlobFetching } from '../transfer/interface.ts';

/** A provider whose revealed result is the accepted one. */
export interface OutputSource {
  readonly provider: PeerKey;
  readonly inlineBlobs: readonly InlineBlob[];
}

export interface CollectModules {
  readonly transfers: BlobFetching;
  readonly blobs: BlobStore;
}

export type Collected =
  | { readonly kind: 'collected' }
  | { readonly kind: 'unavailable'; readonly path: string; readonly reason: string };

/** What a result names: its outputs, and the chain of its checkpoints. */
export function listResultFiles({ result, checkpointChain }: Receipt): Pick<OutputFile, 'blob' | 'sizeBytes'>[] {
  return checkpointChain === undefined ? result.outputs : [...result.outputs, checkpointChain];
}

/** Brings every output into the store: from a source's inline bytes, else from the sources that hand it out. */
export async function collectOutputs(
  modules: CollectModules,
  request: { readonly outputs: readonly OutputFile[]; readonly sources: readonly OutputSource[] },
  options: AbortOptions,
): Promise<Collected> {
  const missing = await Promise.all(
    request.outputs.map(async (output) => ({
      path: output.path,
      reason: await collectOutput(modules, { output, sources: request.sources }, options),
    })),
  );
  for (const { path, reason } of missing) {
    if (reason !== null) return { kind: 'unavailable', path, reason };
  }
  // Their provider lets go of them once they are said to be here: what came first must not have gone meanwhile.
  for (const { path, blob, sizeBytes } of request.outputs) {
    const isHere = (await modules.blobs.stat(blob))?.sizeBytes === sizeBytes;
    if (!isHere) return { kind: 'unavailable', path, reason: 'it was let go of while others arrived' };
  }
  return { kind: 'collected' };
}

/** Null once all files are here, else which is not and why. */
export async function findMissingOutput(
  modules: CollectModules,
  request: Parameters<typeof collectOutputs>[1],
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const collected = await collectOutputs(modules, request, { signal });
    return collected.kind === 'collected' ? null : `'${collected.path}': ${collected.reason}`;
  } catch (error) {
    if (!signal.aborted) throw error;
    return 'they did not arrive in time';
  }
}

/** Null once it is in the store, else why no source gave it. */
async function collectOutput(
  modules: CollectModules,
  request: { readonly output: OutputFile; readonly sources: readonly OutputSource[] },
  options: AbortOptions,
): Promise<string | null> {
  const { blob, sizeBytes } = request.output;
  if ((await modules.blobs.stat(blob))?.sizeBytes === sizeBytes) return null;
  for (const { inlineBlobs } of request.sources) {
    const bytes = findInline(request.output, inlineBlobs);
    if (bytes === undefined) continue;
    await modules.blobs.put(bytes);
    return null;
  }
  try {
    const sources = request.sources.map(({ provider }) => provider);
    await modules.transfers.fetchBlob({ blob, sizeBytes, sources }, options);
    return null;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isOwnStoreFault(error)) throw error;
    return describeError(error).slice(0, 300);
  }
}

/** The hash in the signed result decides, not the name that the bytes came under. */
function findInline(output: OutputFile, inlineBlobs: readonly InlineBlob[]): Uint8Array | undefined {
  const bytes = inlineBlobs.find((candidate) => candidate.blob === output.blob)?.bytes;
  if (bytes === undefined || bytes.length !== output.sizeBytes) return undefined;
  return computeRawId(bytes) === (output.blob as string) ? bytes : undefined;
}

/** Stores the outputs that came with a receipt, so that a crash does not lose what is not sent twice. */
export async function storeInlineOutputs(
  blobs: Pick<BlobStore, 'put'>,
  outputs: readonly OutputFile[],
  inlineBlobs: readonly InlineBlob[],
): Promise<void> {
  const found = outputs.flatMap((output) => findInline(output, inlineBlobs) ?? []);
  await Promise.all(found.map((bytes) => blobs.put(bytes)));
}

/** A full or failing disk of ours is no fault of the provider's. */
function isOwnStoreFault(error: unknown): boolean {
  return error instanceof BlobError && error.code !== 'BLOB_MISMATCH';
}
