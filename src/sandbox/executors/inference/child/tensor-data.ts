import { TENSOR_TYPES, type TensorType } from '../../../../lib/npy.ts';
import type { WireTensor } from '../child-protocol.ts';

export interface TensorData extends WireTensor {
  readonly bytes: Uint8Array;
}

type ElementArray = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => ArrayBufferView;

/** Node's types have no Float16Array yet; where the engine has none, the runtime takes the bits. */
const Float16: ElementArray = (Reflect.get(globalThis, 'Float16Array') as ElementArray | undefined) ?? Uint16Array;

const ARRAYS: Readonly<Record<TensorType, ElementArray>> = {
  float16: Float16,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

function countBytes({ type, shape }: WireTensor): number {
  return shape.reduce((product, size) => product * size, TENSOR_TYPES[type].bytes);
}

/** An array whose bytes come from `read`, which gives memory of its own. */
export function readElements(tensor: WireTensor, read: (length: number) => Uint8Array): TensorData {
  const { name, type, shape } = tensor;
  return { name, type, shape, bytes: read(countBytes(tensor)) };
}

/** The elements as the runtime takes them; `bytes` has to begin at a multiple of their size. */
export function viewElements({ type, bytes }: TensorData): ArrayBufferView {
  return new ARRAYS[type](bytes.buffer, bytes.byteOffset, bytes.length / TENSOR_TYPES[type].bytes);
}

/** The arrays of several items one after the other in the first dimension. All have the same names, in one order. */
export function concatRows(items: readonly (readonly TensorData[])[]): readonly TensorData[] {
  return (items[0] ?? []).map(({ name, type, shape }, index) => {
    const parts = items.map((tensors) => tensors[index]).filter((part) => part !== undefined);
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.bytes.length, 0));
    let offset = 0;
    let rows = 0;
    for (const part of parts) {
      bytes.set(part.bytes, offset);
      offset += part.bytes.length;
      rows += part.shape[0] ?? 0;
    }
    return { name, type, shape: [rows, ...shape.slice(1)], bytes };
  });
}

/** What each item gets of the outputs, by its rows; null if these have not one row for each of the inputs. */
export function splitRows(
  outputs: readonly TensorData[],
  rowsOfItems: readonly number[],
): readonly (readonly TensorData[])[] | null {
  const total = rowsOfItems.reduce((sum, rows) => sum + rows, 0);
  if (total === 0 || outputs.some(({ shape }) => shape[0] !== total)) return null;
  let start = 0;
  return rowsOfItems.map((rows) => {
    const first = start;
    start += rows;
    return outputs.map(({ name, type, shape, bytes }) => {
      const rowBytes = bytes.length / total;
      const part = bytes.subarray(first * rowBytes, (first + rows) * rowBytes);
      return { name, type, shape: [rows, ...shape.slice(1)], bytes: part };
    });
  });
}
