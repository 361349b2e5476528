import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../src/lib/bytes.ts';
import { decodeCanonical, encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { NetworkError } from '../../../src/network/errors.ts';
import {
  decodeFrame,
  encodeFrame,
  FRAME_KINDS,
  type FrameKind,
  MAX_REQUEST_ID,
} from '../../../src/network/reqresp/frame-codec.ts';
import { FrameReader } from '../../../src/network/reqresp/frame-reader.ts';

const kinds = fc.constantFrom(...Object.values(FRAME_KINDS));
const ids = fc.oneof(
  fc.integer({ min: 0, max: MAX_REQUEST_ID }),
  fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, MAX_REQUEST_ID),
);
const bodies = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 2000 }), fc.integer(), fc.constant(null));

function readAll(chunks: readonly Uint8Array[], maxBytes = 2 ** 20) {
  const frames: Uint8Array[] = [];
  const oversize: number[] = [];
  const reader = new FrameReader(
    { onFrame: (frame) => frames.push(frame.slice()), onOversize: (size) => oversize.push(size) },
    maxBytes,
  );
  for (const chunk of chunks) reader.push(chunk);
  return { frames, oversize, reader };
}

describe('frames', () => {
  it('come back as they were sent, and are dag-cbor as a whole', () => {
    fc.assert(
      fc.property(kinds, ids, bodies, (kind, id, value) => {
        const body = encodeCanonical(value);
        const bytes = encodeFrame(kind, id, body);
        expect(new DataView(bytes.buffer).getUint32(0)).toBe(bytes.length - 4);
        expect(bytes.subarray(4)).toEqual(encodeCanonical([kind, id, value]));
        const frame = decodeFrame(bytes.subarray(4));
        expect(frame.kind).toBe(kind);
        expect(frame.id).toBe(id);
        expect(frame.body).toEqual(body);
      }),
    );
  });

  it('are refused with a coded error when they are garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          const frame = decodeFrame(bytes);
          expect(encodeFrame(frame.kind, frame.id, frame.body).subarray(4)).toEqual(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(NetworkError);
          expect((error as NetworkError).code).toBe('NETWORK_BAD_FRAME');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['another array length', [0x82, 0, 1]],
    ['an unknown kind', [0x83, 8, 1, 0xf6]],
    ['an id that is not shortest', [0x83, 0, 0x18, 5, 0xf6]],
    ['a 16-bit id that is not shortest', [0x83, 0, 0x19, 0, 5, 0xf6]],
    ['a negative id', [0x83, 0, 0x20, 0xf6]],
    ['a cut id', [0x83, 0, 0x1a, 1, 2]],
    ['no body', [0x83, 0, 1]],
    ['nothing', []],
  ])('are refused with %s', (_name, bytes) => {
    expect(() => decodeFrame(Uint8Array.from(bytes))).toThrow(NetworkError);
  });

  it('are cut from a stream whatever its chunks are', () => {
    const frames = fc.array(fc.record({ kind: kinds, id: ids, value: bodies }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 700 })), (list, sizes) => {
        const encoded = list.map(({ kind, id, value }) => encodeFrame(kind as FrameKind, id, encodeCanonical(value)));
        const whole = concatBytes(...encoded);
        const chunks: Uint8Array[] = [];
        for (let offset = 0; offset < whole.length; ) {
          const size = sizes.next().value as number;
          chunks.push(whole.subarray(offset, offset + size));
          offset += size;
        }
        const { frames: found, reader } = readAll(chunks);
        expect(found).toEqual(encoded.map((bytes) => bytes.subarray(4)));
        expect(reader.isInsideFrame).toBe(false);
      }),
    );
  });

  it('above the limit stop the reader before they are held in memory', () => {
    const { oversize, frames, reader } = readAll([Uint8Array.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3])], 1000);
    expect(oversize).toEqual([0xffff_ffff]);
    reader.push(encodeFrame(FRAME_KINDS.end, 1, encodeCanonical(null)));
    expect(frames).toEqual([]);
  });

  it('are known to be unfinished', () => {
    const bytes = encodeFrame(FRAME_KINDS.request, 1, encodeCanonical('x'.repeat(100)));
    expect(readAll([bytes.subarray(0, 2)]).reader.isInsideFrame).toBe(true);
    expect(readAll([bytes.subarray(0, 50)]).reader.isInsideFrame).toBe(true);
    expect(readAll([bytes]).reader.isInsideFrame).toBe(false);
  });

  it('hold floats where a schema wants them', () => {
    expect(decodeCanonical(encodeCanonical(1.5), { maxBytes: 16, floats: 'allow' })).toBe(1.5);
  });
});
