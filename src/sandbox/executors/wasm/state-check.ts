import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../../../domain/snapshot.ts';
import { compareUtf8 } from '../../../proofs/compare-utf8.ts';
import { ProofsError } from '../../../proofs/errors.ts';
import { type HostState, parseHostState } from '../../../proofs/host-state.ts';
import { countDigests, placePieces, ZERO_PIECE } from '../../../proofs/state-pieces.ts';
import { WASI_SCRATCH_BYTES } from '../../../wasm/runtime/constants.ts';

/** What a job allows its program: a state beyond it was never reached. */
export interface StateLimits {
  readonly maxPages: number;
  readonly fuel: number;
  readonly outputBytes: number;
  readonly logBytes: number;
}

export interface SizedPieces {
  /** As in `StateCheckpoint.pieces`. */
  readonly digests: Uint8Array;
  /** Bytes of each. */
  readonly sizes: readonly number[];
}

type MemoryState = Extract<SnapshotState, { kind: 'memory' }>;
type FilesState = Extract<SnapshotState, { kind: 'files' }>;

/** Bytes of one entry of the globals (docs/stepping.md section 3.2). */
const GLOBAL_BYTES = 9;

/** Why no program of these limits can be in this state; null if one can. */
export function findStateFault(state: SnapshotState, limits: StateLimits): string | null {
  try {
    return state.kind === 'memory' ? findMemoryFault(state, limits) : findFilesFault(state, limits);
  } catch (error) {
    if (error instanceof ProofsError) return error.message;
    throw error;
  }
}

function findMemoryFault(state: MemoryState, limits: StateLimits): string | null {
  const host = parseHostState(state.host);
  if (host.pages > limits.maxPages) return `${host.pages} pages are more than the job's ${limits.maxPages}`;
  if (host.fuel > limits.fuel) return 'it used more fuel than the job has';
  if (host.outputBytes > limits.outputBytes) return 'it has more output than the job allows';
  if (host.logBytes > limits.logBytes) return 'it has more logs than the job allows';
  if (countDigests(state.pages) !== host.pages) return 'it does not list every page';
  if (countDigests(state.output) !== countPieces(host.outputBytes)) return 'it does not list every piece of output';
  return state.globals.length % GLOBAL_BYTES === 0 ? null : 'its globals are cut off';
}

function findFilesFault(state: FilesState, limits: StateLimits): string | null {
  let total = 0;
  for (const [index, file] of state.files.entries()) {
    const before = state.files[index - 1];
    if (before !== undefined && compareUtf8(before.path, file.path) >= 0) return 'its files are out of order';
    if (countDigests(file.pieces) !== countPieces(file.sizeBytes)) return 'it does not list every piece of a file';
    total += file.sizeBytes;
  }
  return total > limits.outputBytes + WASI_SCRATCH_BYTES ? 'its files are larger than the job allows' : null;
}

/** Host state of a stepping module; null where files are the state. */
export function readHost(state: SnapshotState): HostState | null {
  return state.kind === 'memory' ? parseHostState(state.host) : null;
}

/** Pieces of a state without fault; null if one digest is given for pieces of two sizes. */
export function sizePieces(state: SnapshotState): SizedPieces | null {
  const { pieces: digests, places } = placePieces(state);
  const sizes: number[] = [];
  let index = 0;
  for (const bytes of listLengths(state)) {
    for (let left = bytes; left > 0; left -= SNAPSHOT_PIECE_BYTES) {
      const size = Math.min(left, SNAPSHOT_PIECE_BYTES);
      const place = places[index++] ?? ZERO_PIECE;
      const known = place === ZERO_PIECE ? SNAPSHOT_PIECE_BYTES : (sizes[place] ?? size);
      if (known !== size) return null;
      if (place !== ZERO_PIECE) sizes[place] = size;
    }
  }
  return { digests, sizes };
}

/** Bytes of memory and output, or of each file: what each of the state's lists stands for. */
function listLengths(state: SnapshotState): readonly number[] {
  if (state.kind === 'files') return state.files.map((file) => file.sizeBytes);
  return [countDigests(state.pages) * SNAPSHOT_PIECE_BYTES, parseHostState(state.host).outputBytes];
}

function countPieces(sizeBytes: number): number {
  return Math.ceil(sizeBytes / SNAPSHOT_PIECE_BYTES);
}
