/** Makes examples/inference/build: a trained model, and held-out rows as items for it. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNpy } from '../../src/lib/npy.ts';
import { encodeOnnx } from './onnx-model.ts';
import {
  CLASSES,
  type DigitRow,
  type DigitsNetwork,
  HIDDEN,
  PIXEL_RANGE,
  PIXELS,
  parseDigits,
  trainDigits,
} from './train-digits.ts';

const ROOT = join(import.meta.dirname, '../..');
const DATA = join(ROOT, 'examples/digits/data');
const BUILD = join(ROOT, 'examples/inference/build');
/** Held-out rows that the example's job reads. */
const ITEMS = 24;

export interface DigitsExample {
  readonly model: string;
  /** A folder with one .npy for each of the first held-out rows. */
  readonly items: string;
}

/** The held-out rows of examples/digits. */
export function readHeldOut(): readonly DigitRow[] {
  return parseDigits(readFileSync(join(DATA, 'test.csv'), 'utf8'));
}

/** A row as the model takes it. */
export function toNpy(rows: readonly DigitRow[]): Uint8Array {
  const pixels = Float32Array.from(rows.flatMap((row) => row.pixels));
  return encodeNpy({ type: 'float32', shape: [rows.length, PIXELS], bytes: new Uint8Array(pixels.buffer) });
}

/** Does nothing where neither the data nor these scripts have changed. */
export function buildDigits(request: { readonly isForced: boolean }): DigitsExample {
  const example = { model: join(BUILD, 'digits.onnx'), items: join(BUILD, 'items') };
  const stamp = join(BUILD, 'stamp');
  const digest = computeSourceDigest();
  const isFresh = existsSync(stamp) && readFileSync(stamp, 'utf8') === digest;
  if (isFresh && !request.isForced) return example;
  rmSync(BUILD, { recursive: true, force: true });
  mkdirSync(example.items, { recursive: true });
  const network = trainDigits(parseDigits(readFileSync(join(DATA, 'train.csv'), 'utf8')));
  writeFileSync(example.model, encodeDigits(network));
  for (const [index, row] of readHeldOut().slice(0, ITEMS).entries()) {
    const name = `row-${String(index).padStart(2, '0')}.npy`;
    writeFileSync(join(example.items, name), toNpy([row]));
  }
  writeFileSync(stamp, digest);
  return example;
}

function computeSourceDigest(): string {
  const hash = createHash('sha256')
    .update(readFileSync(join(DATA, 'train.csv')))
    .update(readFileSync(join(DATA, 'test.csv')));
  for (const file of readdirSync(import.meta.dirname).sort())
    hash.update(readFileSync(join(import.meta.dirname, file)));
  return hash.digest('hex');
}

function encodeDigits({ firstWeights, firstBiases, secondWeights, secondBiases }: DigitsNetwork): Uint8Array {
  return encodeOnnx({
    inputs: [{ name: 'pixels', shape: ['rows', PIXELS] }],
    outputs: [{ name: 'probabilities', shape: ['rows', CLASSES] }],
    weights: [
      { name: 'range', shape: [], values: [PIXEL_RANGE] },
      { name: 'first_weights', shape: [PIXELS, HIDDEN], values: [...firstWeights] },
      { name: 'first_biases', shape: [HIDDEN], values: [...firstBiases] },
      { name: 'second_weights', shape: [HIDDEN, CLASSES], values: [...secondWeights] },
      { name: 'second_biases', shape: [CLASSES], values: [...secondBiases] },
    ],
    nodes: [
      { operator: 'Div', inputs: ['pixels', 'range'], outputs: ['scaled'] },
      { operator: 'Gemm', inputs: ['scaled', 'first_weights', 'first_biases'], outputs: ['first'] },
      { operator: 'Relu', inputs: ['first'], outputs: ['hidden'] },
      { operator: 'Gemm', inputs: ['hidden', 'second_weights', 'second_biases'], outputs: ['scores'] },
      { operator: 'Softmax', inputs: ['scores'], outputs: ['probabilities'], attributes: [{ name: 'axis', int: 1 }] },
    ],
  });
}
