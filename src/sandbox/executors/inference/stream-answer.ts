import { parseNpy, type Tensor, type TensorType } from '../../../lib/npy.ts';
import type { ExecutionSink } from '../../interface.ts';
import { MAX_STREAMED_ELEMENTS } from './constants.ts';
import type { ItemAnswer } from './result-cache.ts';

/** How an item came to its answer. */
export interface AnswerOrigin {
  readonly item: string;
  readonly isCached: boolean;
  /** Rows of the call that it was part of; null of one that was not run. */
  readonly batchRows: number | null;
}

/**
 * Tells of items as they are answered: one line of JSON each on stdout, with the elements of small outputs. Once the next line
 * would pass the job's limit of logs no more are told; the arrays are outputs of the job all the same.
 */
export class AnswerStream {
  readonly #sink: Pick<ExecutionSink, 'log'>;
  #leftBytes: number;
  #lines = 0;

  constructor(sink: Pick<ExecutionSink, 'log'>, { logBytes }: { readonly logBytes: number }) {
    this.#sink = sink;
    this.#leftBytes = logBytes;
  }

  tell(answer: ItemAnswer, { item, isCached, batchRows }: AnswerOrigin): void {
    if (this.#leftBytes <= 0) return;
    const outputs = Object.fromEntries(answer.outputs.map(({ name, file }) => [name, describeFile(file)]));
    const text = JSON.stringify({ item, ...(isCached ? { cached: true } : { rows: batchRows }), outputs });
    const sizeBytes = Buffer.byteLength(text);
    this.#leftBytes = sizeBytes <= this.#leftBytes ? this.#leftBytes - sizeBytes : 0;
    if (this.#leftBytes === 0) return;
    this.#lines += 1;
    this.#sink.log('stdout', text, this.#lines);
  }
}

function describeFile(file: Uint8Array): object {
  const parsed = parseNpy(file);
  if (parsed.kind === 'invalid') return {};
  const { tensor } = parsed;
  const values = listElements(tensor);
  return { type: tensor.type, shape: tensor.shape, ...(values === null ? {} : { values }) };
}

const READERS: Partial<Readonly<Record<TensorType, (view: DataView, index: number) => number | string>>> = {
  float32: (view, index) => finite(view.getFloat32(index * 4, true)),
  float64: (view, index) => finite(view.getFloat64(index * 8, true)),
  int8: (view, index) => view.getInt8(index),
  uint8: (view, index) => view.getUint8(index),
  bool: (view, index) => view.getUint8(index),
  int16: (view, index) => view.getInt16(index * 2, true),
  uint16: (view, index) => view.getUint16(index * 2, true),
  int32: (view, index) => view.getInt32(index * 4, true),
  uint32: (view, index) => view.getUint32(index * 4, true),
  int64: (view, index) => String(view.getBigInt64(index * 8, true)),
  uint64: (view, index) => String(view.getBigUint64(index * 8, true)),
};

/** JSON has no word for others. */
function finite(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** Null where there are too many, or of a type that has no reader here. */
function listElements({ type, shape, bytes }: Tensor): readonly (number | string)[] | null {
  const read = READERS[type];
  const count = shape.reduce((product, size) => product * size, 1);
  if (read === undefined || count > MAX_STREAMED_ELEMENTS) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, index) => read(view, index));
}
