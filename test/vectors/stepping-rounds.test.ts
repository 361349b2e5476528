import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SnapshotState } from '../../src/domain/snapshot.ts';
import { listPieces } from '../../src/proofs/state-pieces.ts';
import { computeStateRoot } from '../../src/proofs/state-root.ts';
import { WasiHarness } from '../support/wasi-harness.ts';

const casesSchema = z.array(
  z.strictObject({
    case: z.string(),
    files: z.array(z.strictObject({ path: z.string(), start: z.int(), length: z.int() })),
    stateRoot: z.string(),
    pieces: z.array(z.string()),
  }),
);
const text = await readFile(new URL('stepping/rounds.json', import.meta.url), 'utf8');
const CASES = casesSchema.parse(JSON.parse(text));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const contentOf = (start: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (start === 0 ? 0 : (start + 7 * index) % 251));

/** The state that a program has at its start, where the files are inputs of its job. */
function captureStart(files: (typeof CASES)[number]['files']): { root: string; state: SnapshotState } {
  const inputs = files.map(({ path, start, length }) => ({ path, bytes: contentOf(start, length) }));
  const wasi = new WasiHarness({ inputs, checkpoints: { kind: 'rounds', every: 1 } });
  const [taken] = wasi.checkpoints;
  if (taken === undefined) throw new TypeError('there was no checkpoint');
  return { root: hex(taken.stateRoot), state: taken.state };
}

describe('state roots of training rounds', () => {
  it.each(CASES)('$case', ({ files, stateRoot, pieces }) => {
    const { root, state } = captureStart(files);
    expect(root).toBe(stateRoot);
    expect(hex(computeStateRoot(state))).toBe(stateRoot);
    expect(hex(listPieces(state))).toBe(pieces.join(''));
    expect(state.kind === 'files' && state.files.map(({ path }) => path)).toEqual(files.map(({ path }) => path));
  });
});
