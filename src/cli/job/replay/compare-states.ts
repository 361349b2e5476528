import type { SnapshotState } from '../../../domain/snapshot.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import { DIGEST_BYTES } from '../../../proofs/state-pieces.ts';

/** Most parts that are named one by one. */
const MAX_NAMED = 16;

/** Names the parts in which two states differ: `page 7`. */
export function compareStates(found: SnapshotState, expected: SnapshotState): readonly string[] {
  const parts = [...listDifferences(found, expected)];
  return parts.length <= MAX_NAMED ? parts : [...parts.slice(0, MAX_NAMED), `${parts.length - MAX_NAMED} more`];
}

function* listDifferences(found: SnapshotState, expected: SnapshotState): Iterable<string> {
  if (found.kind === 'files' && expected.kind === 'files') {
    yield* compareFiles(found.files, expected.files);
    return;
  }
  if (found.kind === 'files' || expected.kind === 'files') {
    yield 'the kind of state';
    return;
  }
  if (!areBytesEqual(found.host, expected.host)) yield 'the host state';
  if (!areBytesEqual(found.globals, expected.globals)) yield 'the globals';
  yield* compareLists(found.pages, expected.pages, (index) => `page ${index}`);
  yield* compareLists(found.output, expected.output, (index) => `piece ${index} of the output`);
}

type StateFiles = Extract<SnapshotState, { kind: 'files' }>['files'];

function* compareFiles(found: StateFiles, expected: StateFiles): Iterable<string> {
  const byPath = new Map(expected.map((file) => [file.path, file]));
  for (const { path, pieces } of found) {
    const other = byPath.get(path);
    if (other === undefined) yield `the file ${path}`;
    else yield* compareLists(pieces, other.pieces, (index) => `piece ${index} of ${path}`);
    byPath.delete(path);
  }
  for (const path of byPath.keys()) yield `the file ${path}`;
}

function* compareLists(found: Uint8Array, expected: Uint8Array, name: (index: number) => string): Iterable<string> {
  const length = Math.max(found.length, expected.length);
  for (let offset = 0; offset < length; offset += DIGEST_BYTES) {
    const [a, b] = [found, expected].map((list) => list.subarray(offset, offset + DIGEST_BYTES));
    if (a !== undefined && b !== undefined && !areBytesEqual(a, b)) yield name(offset / DIGEST_BYTES);
  }
}
