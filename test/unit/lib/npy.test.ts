import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countElements,
  encodeNpy,
  parseNpy,
  TENSOR_TYPES,
  type Tensor,
  type TensorType,
} from '../../../src/lib/npy.ts';

const types = fc.constantFrom(...(Object.keys(TENSOR_TYPES) as TensorType[]));
const tensors: fc.Arbitrary<Tensor> = fc
  .record({
    type: types,
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    seed: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ type, shape, seed }) => {
    const length = countElements(shape) * TENSOR_TYPES[type].bytes;
    return { type, shape, bytes: Uint8Array.from({ length }, (_, index) => seed + index * 31) };
  });

/** A file whose header says this. */
function fileOf(header: string, elements = 0, version = 1): Uint8Array {
  const head = version === 1 ? 10 : 12;
  const file = Buffer.alloc(head + header.length + elements);
  file.write('\x93NUMPY', 0, 'latin1');
  file.writeUInt8(version, 6);
  if (version === 1) file.writeUInt16LE(header.length, 8);
  else file.writeUInt32LE(header.length, 8);
  file.write(header, head, 'latin1');
  return file;
}

const reasonOf = (file: Uint8Array): string => {
  const parsed = parseNpy(file);
  return parsed.kind === 'invalid' ? parsed.reason : `an array of ${parsed.tensor.type}`;
};

describe('files of NumPy', () => {
  it('come back as they were written, their elements at a multiple of 64', () => {
    fc.assert(
      fc.property(tensors, (tensor) => {
        const parsed = parseNpy(encodeNpy(tensor));
        expect(parsed).toMatchObject({ kind: 'valid', tensor: { type: tensor.type, shape: tensor.shape } });
        if (parsed.kind === 'invalid') return;
        expect(parsed.headerBytes % 64).toBe(0);
        expect(Buffer.from(parsed.tensor.bytes).equals(tensor.bytes)).toBe(true);
      }),
    );
  });

  it('are what numpy.save writes', () => {
    // numpy.save(file, numpy.arange(6, dtype='<i2').reshape(2, 3)) of NumPy 2.4.6
    const written = '4c6c78ed5e2780a5b2acf41a13bdd322ea64a73251e247a0db57109f7d402408';
    const bytes = new Uint8Array(Int16Array.of(0, 1, 2, 3, 4, 5).buffer);
    const file = encodeNpy({ type: 'int16', shape: [2, 3], bytes });
    expect(createHash('sha256').update(file).digest('hex')).toBe(written);
  });

  it('of garbage, cut off or with bits flipped, give a reason or an array that fits its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(parseNpy(bytes).kind).toBe('invalid');
      }),
    );
    fc.assert(
      fc.property(tensors, fc.nat(), fc.nat(7), (tensor, place, bit) => {
        const file = encodeNpy(tensor);
        expect(parseNpy(file.subarray(0, place % file.length)).kind).toBe('invalid');
        const flipped = file.slice();
        flipped[place % file.length] = (flipped[place % file.length] ?? 0) ^ (1 << bit);
        const parsed = parseNpy(flipped);
        if (parsed.kind === 'invalid') return;
        const { type, shape, bytes } = parsed.tensor;
        expect(bytes.length).toBe(countElements(shape) * TENSOR_TYPES[type].bytes);
      }),
    );
  });

  it.each<readonly [string, string]>([
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 'an array of float32'],
    ["{'shape': (1,), 'fortran_order': False, 'descr': '<f4'}\n", 'an array of float32'],
    ["{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", 'an array of float32'],
    ["{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 'Fortran order'],
    ["{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "its elements are '>f4'"],
    ["{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "its elements are '|O'"],
    ["{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 'its header is malformed'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1), }", 'its shape is malformed'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (,), }", 'its shape is malformed'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 'its header is malformed'],
    ["{'descr': '<f4', 'descr': '<f8', 'shape': (1,), }", 'its header is malformed'],
    ["__import__('os').system('true')", 'its header is malformed'],
    [
      "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999, 999999999999999), }",
      '4 bytes of elements where',
    ],
    [`{'descr': '<f4', 'fortran_order': False, 'shape': (${'1,'.repeat(33)}), }`, 'its shape is malformed'],
  ])('with the header %s: %s', (header, reason) => {
    expect(reasonOf(fileOf(header, 4))).toContain(reason);
    expect(reasonOf(fileOf(header, 4, 2))).toContain(reason);
  });

  it('of unknown versions, or with a header larger than any, are refused', () => {
    expect(reasonOf(fileOf('{}', 0, 4))).toContain('version 4');
    expect(reasonOf(fileOf(' '.repeat(5000)))).toContain('its header has 5000 bytes');
  });

  it('take no time that grows with a hostile header', () => {
    const header = `{${"'shape': (".repeat(300)}`;
    const startedAt = performance.now();
    expect(reasonOf(fileOf(header))).toContain('malformed');
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});
