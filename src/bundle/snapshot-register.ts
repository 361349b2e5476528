import type { Bundle } from '../domain/bundle.ts';
import type { BlobId, JobId, LeaseId } from '../domain/ids.ts';
import { SNAPSHOT, SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../domain/snapshot.ts';
import { formatRawId } from '../lib/cid.ts';
import { DaemonError } from '../lib/errors.ts';
import { type OpenedSnapshot, openPlainSnapshot } from '../proofs/plain-snapshot.ts';
import { DIGEST_BYTES, locatePiece } from '../proofs/state-pieces.ts';
import { computeStateRoot } from '../proofs/state-root.ts';
import { MAX_BUNDLE_ITEMS } from './constants.ts';
import { BundleError } from './errors.ts';

type Listed = NonNullable<Bundle['snapshots']>;

/** What a snapshot says of itself, and what it is. */
interface SeenSnapshot {
  readonly job: JobId;
  readonly statedStep: number;
  readonly statedRoot: Uint8Array;
  /** Computed from the state itself. */
  readonly stateRoot: Uint8Array;
}

/** A snapshot of the root's list. */
export interface SnapshotInFile extends SeenSnapshot {
  readonly lease: LeaseId;
  /** As the list has it. */
  readonly step: number;
  readonly blob: BlobId;
}

/** What names a piece for people: the lists of a state are kept as their names and lengths alone. */
interface Layout {
  readonly step: number;
  readonly state: Parameters<typeof locatePiece>[0];
}

/** More than a state has pieces: one number holds that of a snapshot and a position in its state. */
const POSITIONS = 2 ** 20;

/** Snapshots of a bundle file as its blocks come: which are listed, and which items are still to follow. */
export class SnapshotRegister {
  readonly #listed: Listed;
  readonly #sizes: ReadonlyMap<BlobId, number>;
  readonly #seen = new Map<BlobId, SeenSnapshot>();
  readonly #layouts: Layout[] = [];
  /** Items that a snapshot named and whose blocks have not come yet, with where they first stand. */
  readonly #pending = new Map<BlobId, number>();
  #items = 0;

  constructor(listed: Listed) {
    this.#listed = listed;
    this.#sizes = collectSizes(listed);
  }

  /** In the order of the list; complete once all blocks have come. */
  get found(): readonly SnapshotInFile[] {
    return this.#listed.flatMap(({ lease, step, snapshot: { blob } }) => {
      const seen = this.#seen.get(blob);
      return seen === undefined ? [] : [{ ...seen, lease, step, blob }];
    });
  }

  /** Undefined if the block is no snapshot of the list. */
  sizeOf(blob: BlobId): number | undefined {
    return this.#sizes.get(blob);
  }

  /** Reads a snapshot; those of its items that are not among `present` are to follow. @throws BundleError */
  take(blob: BlobId, bytes: Uint8Array, present: ReadonlyMap<BlobId, unknown>): void {
    const { opened, stateRoot } = openAndRoot(blob, bytes);
    const { job, step, stateRoot: statedRoot, state } = opened.body;
    this.#seen.set(blob, { job, statedStep: step, statedRoot, stateRoot });
    this.#await(opened, present);
    this.#layouts.push({ step, state: summarize(state) });
  }

  #await({ pieces, places }: OpenedSnapshot, present: ReadonlyMap<BlobId, unknown>): void {
    const first = this.#layouts.length * POSITIONS;
    let place = 0;
    for (const [position, found] of places.entries()) {
      if (found !== place) continue;
      const item = formatRawId(pieces.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES)) as BlobId;
      place += 1;
      if (present.has(item) || this.#pending.has(item)) continue;
      this.#pending.set(item, first + position);
      this.#items += 1;
      if (this.#items > MAX_BUNDLE_ITEMS) throw tooManyItems(this.#items);
    }
  }

  /** False if no snapshot so far named the block as an item of it. */
  isItem(blob: BlobId): boolean {
    return this.#pending.has(blob);
  }

  /** An item's block has come. */
  takeItem(blob: BlobId): void {
    this.#pending.delete(blob);
  }

  /** What to say of an item whose bytes are not those of its name. */
  describeDamage(blob: BlobId): BundleError | undefined {
    const found = this.#pending.get(blob);
    const layout = found === undefined ? undefined : this.#layouts[Math.floor(found / POSITIONS)];
    if (found === undefined || layout === undefined) return undefined;
    const piece = locatePiece(layout.state, found % POSITIONS);
    return new BundleError({ code: 'BUNDLE_SNAPSHOT_DAMAGED', block: blob, step: layout.step, piece });
  }

  /** @throws BundleError BUNDLE_MISSING_BLOCK */
  assertAllSeen(): void {
    const missing = this.#listed.find(({ snapshot }) => !this.#seen.has(snapshot.blob))?.snapshot.blob;
    const block = missing ?? this.#pending.keys().next().value;
    if (block !== undefined) throw new BundleError({ code: 'BUNDLE_MISSING_BLOCK', block });
  }
}

function collectSizes(listed: Listed): ReadonlyMap<BlobId, number> {
  const sizes = new Map<BlobId, number>();
  for (const { blob, sizeBytes } of listed.map(({ snapshot }) => snapshot)) {
    if (sizeBytes > SNAPSHOT.maxBytes) {
      throw new BundleError({ code: 'BUNDLE_TOO_LARGE', part: 'snapshot', sizeBytes, maxBytes: SNAPSHOT.maxBytes });
    }
    const before = sizes.get(blob) ?? sizeBytes;
    if (before !== sizeBytes) {
      throw new BundleError({ code: 'BUNDLE_SIZE_MISMATCH', block: blob, expected: before, found: sizeBytes });
    }
    sizes.set(blob, sizeBytes);
  }
  return sizes;
}

function openAndRoot(blob: BlobId, bytes: Uint8Array): { opened: OpenedSnapshot; stateRoot: Uint8Array } {
  try {
    const opened = openPlainSnapshot(bytes);
    return { opened, stateRoot: computeStateRoot(opened.body.state) };
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    const reason = `snapshot ${blob}: ${error.message}`;
    throw new BundleError({ code: 'BUNDLE_MALFORMED', reason }, { cause: error });
  }
}

/** Digests are let go of: of a file with a thousand snapshots they would take gigabytes. */
function summarize(state: SnapshotState): Layout['state'] {
  return state.kind === 'memory'
    ? { kind: 'memory', pages: { length: state.pages.length } }
    : { kind: 'files', files: state.files.map(({ path, pieces: { length } }) => ({ path, pieces: { length } })) };
}

function tooManyItems(items: number): BundleError {
  const sizeBytes = items * SNAPSHOT_PIECE_BYTES;
  const maxBytes = MAX_BUNDLE_ITEMS * SNAPSHOT_PIECE_BYTES;
  return new BundleError({ code: 'BUNDLE_TOO_LARGE', part: 'list of snapshot items', sizeBytes, maxBytes });
}
