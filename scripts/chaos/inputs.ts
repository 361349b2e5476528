/** Large inputs, and the outputs that the reader has to make of them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { computeBlobId } from '../../src/domain/blob-tree.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import { seededRandom } from '../crash-anchoring/leaves.ts';
import { BLOB_BYTES } from './jobs.ts';

export interface LargeInput {
  readonly path: string;
  readonly output: BlobId;
}

/** Bytes that the reader turns round: how many of the first. */
const MARKED_BYTES = 4;
const WORD = 2 ** 32;

/** Of the reader (jobs.ts), worked out without it: a copy with the first bytes inverted. */
export function computeOutput(input: Uint8Array): BlobId {
  const output = input.slice();
  for (let at = 0; at < MARKED_BYTES; at += 1) output[at] = ~(input[at] ?? 0) & 0xff;
  return computeBlobId(output);
}

/** The same for the same seed. */
export function createInput(seed: number): Uint8Array {
  const draw = seededRandom(seed);
  const bytes = new Uint8Array(BLOB_BYTES);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, draw(WORD));
  return bytes;
}

/** An input for each job, so that blobs come, go and make room for others all the time. */
export class OwnInputs {
  readonly #folder: string;
  readonly #seed: number;
  #count = 0;

  constructor(folder: string, seed: number) {
    this.#folder = folder;
    this.#seed = seed;
  }

  async create(): Promise<LargeInput> {
    this.#count += 1;
    const path = join(this.#folder, `input-${this.#count}`);
    const bytes = createInput(this.#seed * 1_000 + this.#count);
    await mkdir(this.#folder, { recursive: true });
    await writeFile(path, bytes);
    return { path, output: computeOutput(bytes) };
  }
}
