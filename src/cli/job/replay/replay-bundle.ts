import { type FileHandle, open } from 'node:fs/promises';
import { BundleError } from '../../../bundle/errors.ts';
import { findChainBlobs } from '../../../bundle/evidence-blobs.ts';
import { type OpenedEvidence, openEvidence } from '../../../bundle/open-evidence.ts';
import { type BundleBlocks, type BundleSource, readBlocks } from '../../../bundle/read-blocks.ts';
import type { SnapshotInFile } from '../../../bundle/snapshot-register.ts';
import { isBlob } from '../../../domain/blob-tree.ts';
import type { BlobId } from '../../../domain/ids.ts';
import { SNAPSHOT_PIECE_BYTES } from '../../../domain/snapshot.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import { formatRawId } from '../../../lib/cid.ts';
import { UsageError } from '../../../lib/errors.ts';
import { type OpenedSnapshot, openPlainSnapshot } from '../../../proofs/plain-snapshot.ts';
import { DIGEST_BYTES, ZERO_PAGE_DIGEST } from '../../../proofs/state-pieces.ts';
import { openBundleFile } from '../../bundle/open-bundle-file.ts';

/** A bundle file whose blobs are read where they stand: it may be far larger than memory. */
export class ReplayBundle implements AsyncDisposable {
  readonly evidence: OpenedEvidence;
  readonly snapshots: readonly SnapshotInFile[];
  readonly #blocks: BundleBlocks;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, blocks: BundleBlocks, evidence: OpenedEvidence) {
    this.#file = file;
    this.#blocks = blocks;
    this.evidence = evidence;
    this.snapshots = blocks.snapshots;
  }

  /** Reads the file once, checks every block, and opens the signed objects. @throws BundleError, UsageError */
  static async open(path: string, signal: AbortSignal): Promise<ReplayBundle> {
    const opened = await openBundleFile(path);
    if (opened.kind === 'in-toto') {
      throw new UsageError(`${path} is an in-toto export`, 'It holds no program to run again: give a bundle file.');
    }
    const blocks = await readBlocks(untilAborted(opened.source, signal), { keep: findChainBlobs });
    const evidence = await openEvidence(blocks.bundle, blocks.kept);
    return new ReplayBundle(await open(path, 'r'), blocks, evidence);
  }

  has(blob: BlobId): boolean {
    return this.#blocks.included.has(blob);
  }

  /** @throws BundleError BUNDLE_MISSING_BLOCK, or BUNDLE_HASH_MISMATCH if the file was changed meanwhile */
  async readBlob(blob: BlobId): Promise<Uint8Array> {
    const places = this.#blocks.included.get(blob);
    if (places === undefined) throw new BundleError({ code: 'BUNDLE_MISSING_BLOCK', block: blob });
    const bytes = new Uint8Array(places.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    let filled = 0;
    for (const { offset, sizeBytes } of places) {
      await this.#readAt(offset, bytes.subarray(filled, filled + sizeBytes));
      filled += sizeBytes;
    }
    if (!isBlob(blob, bytes)) throw new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: blob });
    return bytes;
  }

  async #readAt(offset: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const { bytesRead } = await this.#file.read(target, done, target.length - done, offset + done);
      if (bytesRead === 0) throw new BundleError({ code: 'BUNDLE_TRUNCATED', atByte: offset + done });
      done += bytesRead;
    }
  }

  async openSnapshot({ blob }: SnapshotInFile): Promise<OpenedSnapshot> {
    return openPlainSnapshot(await this.readBlob(blob));
  }

  /** The pieces of a snapshot in order. */
  async *readPieces({ pieces }: OpenedSnapshot): AsyncIterable<Uint8Array> {
    for (let offset = 0; offset < pieces.length; offset += DIGEST_BYTES) {
      yield await this.readBlob(formatRawId(pieces.subarray(offset, offset + DIGEST_BYTES)) as BlobId);
    }
  }

  /** A piece by its SHA-256; the page of zeros is in no file. */
  async readPiece(digest: Uint8Array): Promise<Uint8Array> {
    if (areBytesEqual(digest, ZERO_PAGE_DIGEST)) return new Uint8Array(SNAPSHOT_PIECE_BYTES);
    return await this.readBlob(formatRawId(digest) as BlobId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

async function* untilAborted(source: BundleSource, signal: AbortSignal): AsyncIterable<Uint8Array> {
  if (source instanceof Uint8Array) {
    yield source;
    return;
  }
  for await (const piece of source) {
    signal.throwIfAborted();
    yield piece;
  }
}
