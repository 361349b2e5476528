import type { SnapshotEntry } from '../blob/interface.ts';
import type { Bundle } from '../domain/bundle.ts';
import type { BlobId, JobId, LeaseId } from '../domain/ids.ts';
import { decodeObject, encodeObject } from '../domain/object-type.ts';
import { SNAPSHOT, SNAPSHOT_BODY, type Snapshot } from '../domain/snapshot.ts';
import { areBytesEqual } from '../lib/bytes.ts';
import { computeRawId, formatRawId, sha256 } from '../lib/cid.ts';
import { DaemonError } from '../lib/errors.ts';
import { createPlainSnapshot } from '../proofs/plain-snapshot.ts';
import { openBody, openPiece } from '../proofs/snapshot-seal.ts';
import { DIGEST_BYTES } from '../proofs/state-pieces.ts';
import { BundleError } from './errors.ts';
import type { SnapshotChoice, SnapshotSource } from './interface.ts';

type ListedSnapshot = NonNullable<Bundle['snapshots']>[number];

/** A raw block that is written after the blobs. */
export interface RawBlock {
  readonly blob: BlobId;
  readonly bytes: Uint8Array;
}

/** Leases of one replica, from the attempt with the receipt back to the first that it inherited from. */
export type LeaseLine = readonly LeaseId[];

export interface CollectedSnapshots {
  readonly listed: readonly ListedSnapshot[];
  /** Each snapshot before those of its items that are not in the file yet. */
  blocks(present: ReadonlySet<BlobId>): AsyncIterable<RawBlock>;
}

export const NO_SNAPSHOTS: CollectedSnapshots = { listed: [], async *blocks() {} };

/** What is chosen of the snapshots that are held of these attempts, unsealed. @throws BundleError BUNDLE_SNAPSHOT_GONE */
export async function collectSnapshots(
  source: SnapshotSource,
  lines: readonly LeaseLine[],
  { job, choice }: { readonly job: JobId; readonly choice: SnapshotChoice },
): Promise<CollectedSnapshots> {
  const entries = lines.flatMap((line) => chooseEntries(source, line, choice));
  if (entries.length === 0) return NO_SNAPSHOTS;
  const key = await source.keys.snapshotKey(job);
  const opened = entries.map((entry) => new SnapshotReader(source, entry, key));
  const listed: ListedSnapshot[] = [];
  for (const reader of opened) listed.push(await reader.list());
  return { listed, blocks: (present) => writeAll(opened, listed, present) };
}

function chooseEntries({ store }: SnapshotSource, line: LeaseLine, choice: SnapshotChoice): readonly SnapshotEntry[] {
  if (choice === 'none') return [];
  const held = line.map((lease) => {
    const bySteps = new Map(store.list({ lease }).map((entry) => [entry.step, entry]));
    return [...bySteps.values()].toSorted((a, b) => a.step - b.step);
  });
  if (choice === 'all') return held.flat();
  const newest = held.find((entries) => entries.length > 0)?.at(-1);
  return newest === undefined ? [] : [newest];
}

async function* writeAll(
  readers: readonly SnapshotReader[],
  listed: readonly ListedSnapshot[],
  present: ReadonlySet<BlobId>,
): AsyncIterable<RawBlock> {
  const written = new Set(present);
  for (const [index, reader] of readers.entries()) {
    const blob = listed[index]?.snapshot.blob;
    if (blob === undefined || written.has(blob)) continue;
    written.add(blob);
    for await (const block of reader.read(written)) {
      written.add(block.blob);
      yield block;
    }
  }
}

/** One held snapshot, read anew each time: together they may be far more than memory. */
class SnapshotReader {
  readonly #source: SnapshotSource;
  readonly #entry: SnapshotEntry;
  readonly #key: Uint8Array | undefined;

  constructor(source: SnapshotSource, entry: SnapshotEntry, key: Uint8Array | undefined) {
    this.#source = source;
    this.#entry = entry;
    this.#key = key;
  }

  async list(): Promise<ListedSnapshot> {
    const { plain } = await this.#open();
    const bytes = encodeObject(SNAPSHOT, plain);
    const { lease, step } = this.#entry;
    return { lease, step, snapshot: { blob: computeRawId(bytes) as BlobId, sizeBytes: bytes.length } };
  }

  async *read(written: ReadonlySet<BlobId>): AsyncIterable<RawBlock> {
    const { stored, plain } = await this.#open();
    const bytes = encodeObject(SNAPSHOT, plain);
    yield { blob: computeRawId(bytes) as BlobId, bytes };
    for (let offset = 0; offset < plain.items.length; offset += DIGEST_BYTES) {
      const digest = plain.items.subarray(offset, offset + DIGEST_BYTES);
      const blob = formatRawId(digest) as BlobId;
      if (written.has(blob)) continue;
      yield { blob, bytes: await this.#readItem(stored, digest, offset) };
    }
  }

  async #readItem(stored: Snapshot, digest: Uint8Array, offset: number): Promise<Uint8Array> {
    const bytes = await this.#source.store.readItem(stored.items.subarray(offset, offset + DIGEST_BYTES));
    if (bytes === undefined) throw this.#gone('one of its items is not here any more');
    const plain = stored.sealed ? this.#unseal((key) => openPiece(key, digest, bytes)) : bytes;
    if (!areBytesEqual(sha256(plain), digest)) throw this.#gone('one of its items is damaged');
    return plain;
  }

  async #open(): Promise<{ readonly stored: Snapshot; readonly plain: Snapshot }> {
    const bytes = await this.#source.store.readSnapshot(this.#entry.reference.blob);
    if (bytes === undefined) throw this.#gone('it is not here any more');
    try {
      const stored = decodeObject(SNAPSHOT, bytes);
      if (!stored.sealed) return { stored, plain: stored };
      const body = decodeObject(
        SNAPSHOT_BODY,
        this.#unseal((key) => openBody(key, stored.body)),
      );
      const plain = createPlainSnapshot(body);
      if (plain.items.length !== stored.items.length) throw this.#gone('its items are not those of its state');
      return { stored, plain };
    } catch (error) {
      if (!(error instanceof DaemonError) || error instanceof BundleError) throw error;
      throw this.#gone(error.message, error);
    }
  }

  #unseal(open: (key: Uint8Array) => ReturnType<typeof openBody>): Uint8Array {
    if (this.#key === undefined) throw this.#gone('it is sealed, and the key of its job is not here');
    const opened = open(this.#key);
    if (opened.kind === 'failed') throw this.#gone(opened.reason);
    return opened.bytes;
  }

  #gone(reason: string, cause?: unknown): BundleError {
    const { lease, step } = this.#entry;
    return new BundleError({ code: 'BUNDLE_SNAPSHOT_GONE', lease, step, reason }, { cause });
  }
}
