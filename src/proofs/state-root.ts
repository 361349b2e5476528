/** The root over a program's whole state: docs/stepping.md sections 3.5 and 7. */
import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../domain/snapshot.ts';
import { concatBytes, encodeU64, encodeUtf8 } from '../lib/bytes.ts';
import { compareUtf8 } from './compare-utf8.ts';
import { encodeU32 } from './encode-u32.ts';
import { ProofsError } from './errors.ts';
import { parseHostState } from './host-state.ts';
import { computeLeafHash, HASH_BYTES, MerkleTree, writeLeafHash } from './merkle.ts';
import { EMPTY_ROOT } from './merkle-stream.ts';
import { countDigests } from './state-pieces.ts';

const HOST_TAG = 0x01;
const GLOBALS_TAG = 0x02;
const PAGE_TAG = 0x03;
const FILE_TAG = 0x04;
const OUTPUT_TAG = 0x05;
const GLOBAL_BYTES = 9;

type MemoryState = Extract<SnapshotState, { kind: 'memory' }>;
type FilesState = Extract<SnapshotState, { kind: 'files' }>;

/** @throws ProofsError PROOFS_BAD_STATE, PROOFS_BAD_HOST_STATE where the parts of the state do not fit each other */
export function computeStateRoot(state: SnapshotState): Uint8Array {
  return state.kind === 'memory' ? computeMemoryRoot(state) : computeFilesRoot(state);
}

function computeMemoryRoot(state: MemoryState): Uint8Array {
  const host = parseHostState(state.host);
  const pages = countDigests(state.pages);
  const pieces = countDigests(state.output);
  if (state.globals.length % GLOBAL_BYTES !== 0) throw bad(`its globals have ${state.globals.length} bytes`);
  if (pages !== host.pages) throw bad(`it lists ${pages} pages of ${host.pages}`);
  if (pieces !== countPieces(host.outputBytes)) throw bad(`${pieces} pieces hold ${host.outputBytes} bytes of output`);
  const leaves = new Uint8Array((2 + pages + pieces) * HASH_BYTES);
  writeLeafHash(leaves, 0, concatBytes(Uint8Array.of(HOST_TAG), state.host));
  writeLeafHash(leaves, HASH_BYTES, concatBytes(Uint8Array.of(GLOBALS_TAG), state.globals));
  writeDigestLeaves(leaves, 2, { tag: PAGE_TAG, digests: state.pages });
  writeDigestLeaves(leaves, 2 + pages, { tag: OUTPUT_TAG, digests: state.output });
  return new MerkleTree(leaves).root;
}

function writeDigestLeaves(
  leaves: Uint8Array,
  first: number,
  { tag, digests }: { readonly tag: number; readonly digests: Uint8Array },
): void {
  const leaf = new Uint8Array(1 + HASH_BYTES);
  leaf[0] = tag;
  for (let offset = 0; offset < digests.length; offset += HASH_BYTES) {
    leaf.set(digests.subarray(offset, offset + HASH_BYTES), 1);
    writeLeafHash(leaves, first * HASH_BYTES + offset, leaf);
  }
}

function computeFilesRoot(state: FilesState): Uint8Array {
  if (state.files.length === 0) return EMPTY_ROOT.slice();
  state.files.forEach((file, index) => {
    const before = state.files[index - 1];
    if (before !== undefined && compareUtf8(before.path, file.path) >= 0) throw bad('its files are not in order');
    if (countDigests(file.pieces) !== countPieces(file.sizeBytes)) {
      throw bad(`${countDigests(file.pieces)} pieces hold the ${file.sizeBytes} bytes of ${file.path}`);
    }
  });
  return new MerkleTree(state.files.map((file) => computeLeafHash(encodeFile(file)))).root;
}

function encodeFile(file: FilesState['files'][number]): Uint8Array {
  const path = encodeUtf8(file.path);
  return concatBytes(Uint8Array.of(FILE_TAG), encodeU32(path.length), path, encodeU64(file.sizeBytes), file.pieces);
}

function countPieces(sizeBytes: number): number {
  return Math.ceil(sizeBytes / SNAPSHOT_PIECE_BYTES);
}

function bad(reason: string): ProofsError {
  return new ProofsError({ code: 'PROOFS_BAD_STATE', reason });
}
