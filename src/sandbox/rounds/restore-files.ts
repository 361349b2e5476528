import { hash } from 'node:crypto';
import { jobPathSchema, type Resources } from '../../domain/job.ts';
import { SNAPSHOT_PIECE_BYTES } from '../../domain/snapshot.ts';
import { raceSignal } from '../../lib/abort.ts';
import { describeError } from '../../lib/errors.ts';
import { DIGEST_BYTES, placePieces, ZERO_PIECE } from '../../proofs/state-pieces.ts';
import { MAX_CHECKPOINT_FILES, ROUND_FILE, WASI_CHECKPOINT } from '../../wasm/runtime/constants.ts';
import { parseRound } from '../../wasm/runtime/wasi/parse-round.ts';
import { SandboxError } from '../errors.ts';
import { findStateFault } from '../executors/wasm/state-check.ts';
import type { InputFile, ResumeState } from '../interface.ts';
import type { FilesState } from './files-state.ts';

/**
 * The checkpoint files of a state to go on from, whole and hashed, before anything of the program runs.
 * @throws SandboxError SANDBOX_RESUME_STATE; the signal's reason
 */
export async function restoreFiles(
  { step, state, pieces }: ResumeState,
  resources: Pick<Resources, 'outputBytes'>,
  signal: AbortSignal,
): Promise<readonly InputFile[]> {
  if (state.kind !== 'files') return refuse('it is of a stepping module');
  const fault = findStateFault(state, { maxPages: 0, fuel: 0, logBytes: 0, outputBytes: resources.outputBytes });
  if (fault !== null) return refuse(fault);
  assertPaths(state);
  const files = state.files.map(({ path, sizeBytes }) => ({ path, bytes: new Uint8Array(sizeBytes) }));
  const { places, pieces: digests } = placePieces(state);
  const targets = listTargets(files, places, digests.length / DIGEST_BYTES);
  const source = pieces[Symbol.asyncIterator]();
  try {
    for (let place = 0; ; place += 1) {
      const next = await takeNext(source, signal);
      if (next === null) {
        if (place !== targets.length) refuse(`it has ${targets.length} pieces and only ${place} came`);
        break;
      }
      const digest = digests.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES);
      fill(targets[place] ?? refuse(`more came than its ${targets.length} pieces`), next, digest);
    }
  } finally {
    source.return?.().catch(() => undefined);
  }
  assertRound(step, files);
  return files;
}

function assertPaths({ files }: FilesState['state']): void {
  if (files.length > MAX_CHECKPOINT_FILES) refuse(`it has ${files.length} files`);
  const paths = new Set(files.map(({ path }) => path));
  for (const { path } of files) {
    const isWithin = path.startsWith(`${WASI_CHECKPOINT}/`) && jobPathSchema.safeParse(path).success;
    if (!isWithin) refuse('a file has no path of a checkpoint');
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      if (paths.has(path.slice(0, end))) refuse('a file lies in another file');
    }
  }
}

/** For each piece, the parts of files that it fills. Zeros are at no place, and new files are all zeros. */
function listTargets(files: readonly InputFile[], places: Int32Array, count: number): readonly Uint8Array[][] {
  const targets = Array.from({ length: count }, (): Uint8Array[] => []);
  let position = 0;
  for (const { bytes } of files) {
    for (let offset = 0; offset < bytes.length; offset += SNAPSHOT_PIECE_BYTES) {
      const place = places[position++] ?? ZERO_PIECE;
      if (place !== ZERO_PIECE) targets[place]?.push(bytes.subarray(offset, offset + SNAPSHOT_PIECE_BYTES));
    }
  }
  return targets;
}

function fill(targets: readonly Uint8Array[], piece: Uint8Array, digest: Uint8Array): void {
  if (!hash('sha256', piece, 'buffer').equals(digest)) refuse('a piece is not what its digest says');
  for (const target of targets) {
    if (target.length !== piece.length) refuse(`a piece has ${piece.length} bytes in place of ${target.length}`);
    target.set(piece);
  }
}

async function takeNext(source: AsyncIterator<Uint8Array>, signal: AbortSignal): Promise<Uint8Array | null> {
  try {
    const next = await raceSignal(source.next(), signal);
    return next.done === true ? null : next.value;
  } catch (error) {
    signal.throwIfAborted();
    throw new SandboxError({ code: 'SANDBOX_RESUME_STATE', reason: describeError(error) }, { cause: error });
  }
}

/** A program that was given the files of another round would be at fault for what it reports next. */
function assertRound(round: number, files: readonly InputFile[]): void {
  if (round === 0) return;
  const file = files.find(({ path }) => path === ROUND_FILE);
  const said = file === undefined ? null : parseRound(file.bytes);
  if (said !== round) refuse(`its files are of round ${said ?? 'unknown'}, not ${round}`);
}

function refuse(reason: string): never {
  throw new SandboxError({ code: 'SANDBOX_RESUME_STATE', reason });
}
