import type { SnapshotState } from '../../../domain/snapshot.ts';
import { PAGE_BYTES } from '../../constants.ts';
import { DIGEST_BYTES } from '../../stepping/constants.ts';
import { DigestList, hashInto } from '../../stepping/digests.ts';
import type { CapturedState } from '../../stepping/interface.ts';
import { indexPieces, type PieceIndex } from '../../stepping/piece-index.ts';
import { hashLeaf, StateTree } from '../../stepping/state-tree.ts';
import { MAX_CHECKPOINT_FILES, MAX_PATH_LENGTH, WASI_CHECKPOINT } from '../constants.ts';
import { halt } from '../program-halt.ts';
import type { FileNode, MemoryFileSystem, PlacedFile } from './file-system.ts';

/** Tag of the leaves (docs/stepping.md section 7). */
const FILE_LEAF = 0x04;
const UTF8 = new TextEncoder();
const NOTHING = new Uint8Array(DIGEST_BYTES);

type FilesState = Extract<SnapshotState, { kind: 'files' }>;
/** What of a checkpoint is not its files. */
export type CheckpointFigures = Omit<CapturedState, 'stateRoot' | 'state' | 'pieces' | 'readPiece'>;

interface KnownDigests {
  readonly version: number;
  readonly digests: Uint8Array;
}

/** The files under `/checkpoint` as the state of a program. A file is hashed again only if it was written since. */
export class CheckpointFiles {
  private readonly files: MemoryFileSystem;
  private readonly maxBytes: number;
  private readonly known = new WeakMap<FileNode, KnownDigests>();

  constructor(files: MemoryFileSystem, maxBytes: number) {
    this.files = files;
    this.maxBytes = maxBytes;
  }

  /** Valid until the program goes on. */
  capture(figures: CheckpointFigures): CapturedState {
    const placed = this.files.listPlaced(WASI_CHECKPOINT);
    this.assertLimits(placed);
    placed.sort((a, b) => Buffer.compare(UTF8.encode(a.path), UTF8.encode(b.path)));
    const state: FilesState = {
      kind: 'files',
      files: placed.map(({ path, node }) => ({ path, sizeBytes: node.length, pieces: this.digestsOf(node) })),
    };
    let index: PieceIndex | null = null;
    const getIndex = (): PieceIndex => (index ??= indexFiles(state));
    return {
      ...figures,
      stateRoot: computeRoot(state),
      state,
      get pieces() {
        return getIndex().digests;
      },
      readPiece: (place) => {
        const position = getIndex().firsts[place];
        if (position === undefined) throw new RangeError(`no piece ${place}`);
        return readPosition(placed, position);
      },
    };
  }

  private assertLimits(placed: readonly PlacedFile[]): void {
    if (placed.length > MAX_CHECKPOINT_FILES) {
      halt('OUTPUT_LIMIT', `more than ${MAX_CHECKPOINT_FILES} files under ${WASI_CHECKPOINT}`);
    }
    if (placed.some(({ path }) => path.length > MAX_PATH_LENGTH)) {
      halt('OUTPUT_LIMIT', `a path under ${WASI_CHECKPOINT} has more than ${MAX_PATH_LENGTH} characters`);
    }
    // Inputs are not written by the program, so that its file system did not count them.
    const total = placed.reduce((sum, { node }) => sum + node.length, 0);
    if (total > this.maxBytes) halt('OUTPUT_LIMIT', `more than ${this.maxBytes} bytes under ${WASI_CHECKPOINT}`);
  }

  private digestsOf(node: FileNode): Uint8Array {
    const known = this.known.get(node);
    if (known?.version === node.version) return known.digests;
    const list = new DigestList();
    const count = Math.ceil(node.length / PAGE_BYTES);
    list.grow(count, NOTHING);
    for (let piece = 0; piece < count; piece++) list.hashAt(piece, pieceOf(node, piece));
    const digests = list.view.slice();
    this.known.set(node, { version: node.version, digests });
    return digests;
  }
}

/** A piece of 65,536 bytes, the last one shorter. */
export function pieceOf(node: FileNode, piece: number): Uint8Array {
  return node.buffer.subarray(piece * PAGE_BYTES, Math.min((piece + 1) * PAGE_BYTES, node.length));
}

export function indexFiles(state: FilesState): PieceIndex {
  return indexPieces(Buffer.concat(state.files.map((file) => file.pieces)), new Uint8Array(0));
}

function readPosition(placed: readonly PlacedFile[], position: number): Uint8Array {
  let left = position;
  for (const { node } of placed) {
    const count = Math.ceil(node.length / PAGE_BYTES);
    if (left < count) return pieceOf(node, left);
    left -= count;
  }
  throw new RangeError(`no piece at ${position}`);
}

function computeRoot(state: FilesState): Uint8Array {
  if (state.files.length === 0) return hashNothing();
  const tree = new StateTree();
  tree.resize(state.files.length);
  for (const [index, file] of state.files.entries()) tree.set(index, hashLeaf(FILE_LEAF, encodeFile(file)));
  return tree.computeRoot();
}

function hashNothing(): Uint8Array {
  const digest = new Uint8Array(DIGEST_BYTES);
  hashInto(digest, 0, NOTHING.subarray(0, 0));
  return digest;
}

/** u32 length of the path ‖ path ‖ u64 size ‖ SHA-256 of each piece. */
function encodeFile({ path, sizeBytes, pieces }: FilesState['files'][number]): Uint8Array {
  const name = UTF8.encode(path);
  const head = Buffer.alloc(4 + name.length + 8);
  head.writeUInt32BE(name.length);
  head.set(name, 4);
  head.writeBigUInt64BE(BigInt(sizeBytes), 4 + name.length);
  return Buffer.concat([head, pieces]);
}
