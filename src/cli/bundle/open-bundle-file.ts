import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { BLOB_PIECE_BYTES, MAX_DSSE_BYTES } from '../../bundle/constants.ts';
import { BundleError } from '../../bundle/errors.ts';
import type { BundleSource } from '../../bundle/read-blocks.ts';
import { UsageError } from '../../lib/errors.ts';
import { describeFileProblem } from '../framework/describe-file-problem.ts';

export type BundleFile =
  | { readonly kind: 'bundle'; readonly source: BundleSource }
  | { readonly kind: 'in-toto'; readonly bytes: Uint8Array };

/** `{`: a DSSE envelope is JSON; a CAR header is never that long. */
const OPENING_BRACE = 0x7b;

/** Tells a bundle from an in-toto export by its first byte. @throws UsageError, BundleError BUNDLE_TOO_LARGE */
export async function openBundleFile(path: string): Promise<BundleFile> {
  try {
    const { first, sizeBytes } = await peekFile(path);
    if (first !== OPENING_BRACE) return { kind: 'bundle', source: streamFile(path) };
    if (sizeBytes > MAX_DSSE_BYTES) {
      throw new BundleError({ code: 'BUNDLE_TOO_LARGE', part: 'in-toto file', sizeBytes, maxBytes: MAX_DSSE_BYTES });
    }
    return { kind: 'in-toto', bytes: new Uint8Array(await readFile(path)) };
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw unreadable(path, error);
  }
}

async function peekFile(path: string): Promise<{ first: number | undefined; sizeBytes: number }> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(new Uint8Array(1), 0, 1, 0);
  return { first: bytesRead === 0 ? undefined : buffer[0], sizeBytes: (await file.stat()).size };
}

async function* streamFile(path: string): AsyncIterable<Uint8Array> {
  try {
    // A stream without an encoding gives buffers.
    for await (const piece of createReadStream(path, { highWaterMark: BLOB_PIECE_BYTES })) yield piece as Uint8Array;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): UsageError {
  return new UsageError(`cannot read ${path}: ${describeFileProblem(cause)}`, 'Give the path of a bundle file.', {
    cause,
  });
}
