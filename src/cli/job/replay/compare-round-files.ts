import type { Comparison } from '../../../domain/job.ts';
import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../../../domain/snapshot.ts';
import { areBytesEqual, concatBytes } from '../../../lib/bytes.ts';
import { compareFiles, type LargestDifference } from '../../../proofs/compare-files.ts';
import { MAX_COMPARED_BYTES } from '../../../proofs/compare-results.ts';
import { DIGEST_BYTES, placePieces, ZERO_PIECE } from '../../../proofs/state-pieces.ts';

type FilesState = Extract<SnapshotState, { kind: 'files' }>;
type StateFile = FilesState['files'][number];
/** Reads the piece with this SHA-256. */
export type PieceReader = (digest: Uint8Array) => Promise<Uint8Array>;

export interface RecordedFiles {
  readonly state: SnapshotState;
  readonly readPiece: PieceReader;
}

export interface RoundComparison {
  readonly verdict: 'inexact' | 'different';
  /** In plain words. */
  readonly detail: string;
}

interface Pair {
  readonly path: string;
  readonly found: StateFile;
  readonly recorded: StateFile;
  readonly comparison: Comparison;
  /** Where the pieces of the replay's file stand in its list of pieces. */
  readonly places: readonly number[];
}

/** The checkpoint files of a round in a replay beside those that were recorded, as far as they are not the same. */
export class RoundFiles {
  readonly #pairs: readonly Pair[];
  readonly #recorded: RecordedFiles;
  readonly #received = new Map<number, Uint8Array>();

  private constructor(pairs: readonly Pair[], recorded: RecordedFiles) {
    this.#pairs = pairs;
    this.#recorded = recorded;
  }

  /** What to compare; or at once how they differ in more than what the job tolerates. */
  static open(
    found: SnapshotState,
    recorded: RecordedFiles,
    comparisons: readonly Comparison[],
  ): RoundFiles | RoundComparison {
    if (found.kind !== 'files' || recorded.state.kind !== 'files') return differ('it is of another kind of program');
    const others = new Map(recorded.state.files.map((file) => [file.path, file]));
    const { places } = placePieces(found);
    const pairs: Pair[] = [];
    let position = 0;
    for (const file of found.files) {
      const count = file.pieces.length / DIGEST_BYTES;
      const own = [...places.subarray(position, position + count)];
      position += count;
      const other = others.get(file.path);
      others.delete(file.path);
      if (other === undefined) return differ(`the file ${file.path} was not recorded`);
      if (file.sizeBytes === other.sizeBytes && areBytesEqual(file.pieces, other.pieces)) continue;
      const comparison = comparisons.find(({ path }) => path === file.path);
      if (comparison === undefined) return differ(`other bytes in ${file.path}`);
      if (Math.max(file.sizeBytes, other.sizeBytes) > MAX_COMPARED_BYTES[comparison.element]) {
        return differ(`${file.path} is too large to be compared within a tolerance`);
      }
      pairs.push({ path: file.path, found: file, recorded: other, comparison, places: own });
    }
    const [lost] = others.keys();
    return lost === undefined ? new RoundFiles(pairs, recorded) : differ(`there is no file ${lost}`);
  }

  /** Pieces of the replay that it takes, ascending. */
  get wanted(): readonly number[] {
    const places = new Set(this.#pairs.flatMap((pair) => pair.places));
    places.delete(ZERO_PIECE);
    return [...places].toSorted((a, b) => a - b);
  }

  readonly receive = (place: number, bytes: Uint8Array): Promise<void> => {
    this.#received.set(place, bytes);
    return Promise.resolve();
  };

  /** Once all of `wanted` was received. */
  async compare(): Promise<RoundComparison> {
    let largest: (LargestDifference & { readonly path: string }) | null = null;
    for (const { path, recorded, comparison, places } of this.#pairs) {
      const bytes = concatBytes(...places.map((place) => this.#received.get(place) ?? ZEROS));
      const compared = compareFiles(bytes, await this.#read(recorded), comparison);
      if (compared.kind === 'incomparable') return differ(`${path} cannot be compared: ${compared.reason}`);
      if (compared.kind === 'beyond') {
        const { index, a, b } = compared.largest;
        return differ(`${path} is beyond its tolerance: element ${index} is ${a} and not ${b}`);
      }
      if (compared.kind === 'within' && (largest === null || compared.largest.share > largest.share)) {
        largest = { ...compared.largest, path };
      }
    }
    return { verdict: 'inexact', detail: describeLargest(largest) };
  }

  async #read({ pieces, sizeBytes }: StateFile): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let offset = 0; offset < pieces.length; offset += DIGEST_BYTES) {
      parts.push(await this.#recorded.readPiece(pieces.subarray(offset, offset + DIGEST_BYTES)));
    }
    return concatBytes(...parts).subarray(0, sizeBytes);
  }
}

const ZEROS = new Uint8Array(SNAPSHOT_PIECE_BYTES);

function differ(detail: string): RoundComparison {
  return { verdict: 'different', detail };
}

function describeLargest(largest: (LargestDifference & { readonly path: string }) | null): string {
  if (largest === null) return 'the same files';
  const { path, index, a, b, share } = largest;
  const part = `${(share * 100).toPrecision(3)} % of what is tolerated`;
  return `within tolerance: at most ${part} (${a} and ${b} at element ${index} of ${path})`;
}
