import { PAGE_BYTES } from '../../constants.ts';
import { DIGEST_BYTES } from '../../stepping/constants.ts';
import type { ResumeImage } from '../../stepping/interface.ts';
import { refuseImage } from '../../stepping/resume-image.ts';
import { MAX_CHECKPOINT_FILES, MAX_PATH_LENGTH, ROUND_FILE, WASI_CHECKPOINT } from '../constants.ts';
import { indexFiles, pieceOf } from './checkpoint-files.ts';
import type { FileNode, MemoryFileSystem } from './file-system.ts';
import { parseRound } from './parse-round.ts';

/** An absolute path without empty, `.` or `..` segments (domain/job.ts, jobPathSchema). */
const PATH = /^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/;

type FilesState = Extract<ResumeImage['state'], { kind: 'files' }>;

/**
 * Puts the files of a checkpoint in place before anything of the program runs. That they are what their digests say shows
 * in the state root of the first checkpoint.
 * @throws WasmError WASM_RESUME_REFUSED
 */
export function restoreFiles(image: ResumeImage, files: MemoryFileSystem, maxBytes: number): void {
  const { state } = image;
  if (state.kind !== 'files') return refuseImage('it is of a stepping module');
  checkState(state, maxBytes);
  const nodes = state.files.map(({ path, sizeBytes }) => {
    const node = files.addWritten(path, sizeBytes);
    return node ?? refuseImage(`there is no place for ${path}`);
  });
  readPieces(image, state, nodes);
  assertRound(image.step, state, nodes);
}

function checkState({ files }: FilesState, maxBytes: number): void {
  if (files.length > MAX_CHECKPOINT_FILES) refuseImage(`it has ${files.length} files`);
  let before = Buffer.alloc(0);
  let total = 0;
  for (const { path, sizeBytes, pieces } of files) {
    const isWithin = path.startsWith(`${WASI_CHECKPOINT}/`);
    if (!isWithin || path.length > MAX_PATH_LENGTH || !PATH.test(path))
      refuseImage('a file has no path of a checkpoint');
    const encoded = Buffer.from(path, 'utf8');
    if (Buffer.compare(before, encoded) >= 0) refuseImage('its files are not in order');
    before = encoded;
    if (pieces.length !== Math.ceil(sizeBytes / PAGE_BYTES) * DIGEST_BYTES)
      refuseImage(`${path} is not as long as it says`);
    total += sizeBytes;
  }
  if (total > maxBytes) refuseImage(`it has ${total} bytes of files, the job allows ${maxBytes}`);
}

function readPieces(image: ResumeImage, state: FilesState, nodes: readonly FileNode[]): void {
  const { places, firsts } = indexFiles(state);
  const targets = Array.from({ length: firsts.length }, (): Uint8Array[] => []);
  let position = 0;
  for (const node of nodes) {
    for (let piece = 0; piece * PAGE_BYTES < node.length; piece++) {
      // The page of zeros is at no place, and new files are all zeros.
      targets[places[position++] ?? -1]?.push(pieceOf(node, piece));
    }
  }
  let read = 0;
  for (const piece of image.pieces) {
    for (const target of targets[read] ?? refuseImage(`it has more than ${firsts.length} pieces`)) {
      if (target.length !== piece.length) refuseImage(`piece ${read} has ${piece.length} bytes`);
      target.set(piece);
    }
    read++;
  }
  if (read !== firsts.length) refuseImage(`it has ${read} pieces in place of ${firsts.length}`);
}

/** A program that was given the files of another round would be at fault for what it reports next. */
function assertRound(round: number, state: FilesState, nodes: readonly FileNode[]): void {
  if (round === 0) return;
  const node = nodes[state.files.findIndex(({ path }) => path === ROUND_FILE)];
  const said = node === undefined ? null : parseRound(node.buffer.subarray(0, node.length));
  if (said !== round) refuseImage(`its files are of round ${said ?? 'unknown'}, not ${round}`);
}
