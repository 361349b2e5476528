/**
 * NumPy's file format for one array, versions 1.0 to 3.0 (numpy.org/neps/nep-0001-npy-format.html): magic, version, length
 * of the header, a header that is a dictionary in Python's notation, then the elements in C order, little-endian.
 */

/** Types of elements by the names that ONNX Runtime has for them. */
export const TENSOR_TYPES = {
  float16: { descr: '<f2', bytes: 2 },
  float32: { descr: '<f4', bytes: 4 },
  float64: { descr: '<f8', bytes: 8 },
  int8: { descr: '|i1', bytes: 1 },
  int16: { descr: '<i2', bytes: 2 },
  int32: { descr: '<i4', bytes: 4 },
  int64: { descr: '<i8', bytes: 8 },
  uint8: { descr: '|u1', bytes: 1 },
  uint16: { descr: '<u2', bytes: 2 },
  uint32: { descr: '<u4', bytes: 4 },
  uint64: { descr: '<u8', bytes: 8 },
  bool: { descr: '|b1', bytes: 1 },
} as const satisfies Record<string, { readonly descr: string; readonly bytes: number }>;

export type TensorType = keyof typeof TENSOR_TYPES;

export interface Tensor {
  readonly type: TensorType;
  /** Empty of a single number. */
  readonly shape: readonly number[];
  /** The elements, little-endian, in C order. */
  readonly bytes: Uint8Array;
}

export type NpyParse =
  | { readonly kind: 'valid'; readonly tensor: Tensor; readonly headerBytes: number }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Dimensions of an array; NumPy 2 has at most 64, ONNX models have a handful. */
export const MAX_TENSOR_RANK = 32;
/** Largest header: three short entries. */
const MAX_HEADER_BYTES = 4096;
const MAGIC = '\x93NUMPY';
/** The elements begin at a multiple of it. */
const ALIGNMENT = 64;
const HEADER =
  /^\{((?: *'(?:descr|fortran_order|shape)' *: *(?:'[^']{1,8}'|True|False|\([0-9, ]*\)) *,?){3}) *\} *\n?$/;
const TYPES = new Map(Object.entries(TENSOR_TYPES).map(([name, { descr }]) => [descr as string, name as TensorType]));

/** The array in a file; `bytes` of it is a view. Never throws. */
export function parseNpy(file: Uint8Array): NpyParse {
  const start = findHeader(file);
  if (typeof start === 'string') return { kind: 'invalid', reason: start };
  const header = parseHeader(readAscii(file.subarray(start.offset, start.offset + start.length)));
  if (typeof header === 'string') return { kind: 'invalid', reason: header };
  const { type, shape } = header;
  const headerBytes = start.offset + start.length;
  const expected = countElements(shape) * TENSOR_TYPES[type].bytes;
  if (file.length - headerBytes !== expected) {
    const reason = `${file.length - headerBytes} bytes of elements where its shape has ${expected}`;
    return { kind: 'invalid', reason };
  }
  return { kind: 'valid', tensor: { type, shape, bytes: file.subarray(headerBytes) }, headerBytes };
}

/** The file of an array, as NumPy writes it. */
export function encodeNpy({ type, shape, bytes }: Tensor): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${TENSOR_TYPES[type].descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const unpadded = MAGIC.length + 4 + text.length + 1;
  const start = Math.ceil(unpadded / ALIGNMENT) * ALIGNMENT;
  const header = `${text.padEnd(start - MAGIC.length - 5, ' ')}\n`;
  const file = new Uint8Array(start + bytes.length);
  file.set(toBytes(MAGIC));
  file.set([1, 0, header.length & 0xff, header.length >> 8], MAGIC.length);
  file.set(toBytes(header), MAGIC.length + 4);
  file.set(bytes, start);
  return file;
}

/** Elements of an array of a shape; Infinity where a number cannot count them. */
export function countElements(shape: readonly number[]): number {
  const count = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
  return Number.isSafeInteger(count) ? count : Number.POSITIVE_INFINITY;
}

function findHeader(file: Uint8Array): { readonly offset: number; readonly length: number } | string {
  if (file.length < 10 || readAscii(file.subarray(0, MAGIC.length)) !== MAGIC) return 'it is no .npy file';
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const major = view.getUint8(6);
  if (major < 1 || major > 3) return `it is of version ${major} of the format`;
  const offset = major === 1 ? 10 : 12;
  if (file.length < offset) return 'its header is cut off';
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES) return `its header has ${length} bytes`;
  return file.length < offset + length ? 'its header is cut off' : { offset, length };
}

/** One character for each byte: what is no ASCII is in no header that is taken. */
function readAscii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function toBytes(ascii: string): Uint8Array {
  return Uint8Array.from({ length: ascii.length }, (_, index) => ascii.charCodeAt(index));
}

function parseHeader(text: string): Omit<Tensor, 'bytes'> | string {
  const body = HEADER.exec(text.trimEnd())?.[1];
  if (body === undefined) return 'its header is malformed';
  const descr = /'descr' *: *'([^']*)'/.exec(body)?.[1];
  const order = /'fortran_order' *: *(True|False)/.exec(body)?.[1];
  const tuple = /'shape' *: *\(([0-9, ]*)\)/.exec(body)?.[1];
  if (descr === undefined || order === undefined || tuple === undefined) return 'its header is malformed';
  const type = TYPES.get(/^[<|=][biu]1$/.test(descr) ? `|${descr.slice(1)}` : descr);
  if (type === undefined) return `its elements are '${descr}'; ${[...TYPES.keys()].join(', ')} are taken`;
  const shape = parseShape(tuple);
  if (shape === undefined) return 'its shape is malformed';
  // Of at most one dimension that is longer than 1 both orders are the same.
  if (order === 'True' && shape.filter((size) => size > 1).length > 1) {
    return 'it is in Fortran order: save numpy.ascontiguousarray of it';
  }
  return { type, shape };
}

function parseShape(tuple: string): readonly number[] | undefined {
  const text = tuple.replaceAll(' ', '').replace(/,$/, '');
  if (text === '') return tuple.includes(',') ? undefined : [];
  const parts = text.split(',');
  if (parts.length > MAX_TENSOR_RANK || !parts.every((part) => /^[0-9]{1,15}$/.test(part))) return undefined;
  // One dimension has its comma: in Python (3) is a number.
  if (parts.length === 1 && !tuple.includes(',')) return undefined;
  return parts.map(Number);
}
