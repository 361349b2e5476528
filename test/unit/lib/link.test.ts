import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { expect, it } from 'vitest';
import {
  computeObjectCid,
  computeObjectId,
  computeRawCid,
  computeRawId,
  DAG_CBOR_CODE,
  RAW_CODE,
} from '../../../src/lib/cid.ts';
import { isLinkText, LINK_BYTES, Link, readLinkBytes, writeLinkBytes } from '../../../src/lib/link.ts';

const digests = fc.uint8Array({ minLength: 32, maxLength: 32 });
const cids = digests.chain((seed) => fc.constantFrom(computeRawCid(seed), computeObjectCid(seed)));

function writeText(codec: number, text: string): Uint8Array | null {
  const target = new Uint8Array(LINK_BYTES);
  return writeLinkBytes(target, 0, new Link(codec, text)) ? target : null;
}

/** What multiformats makes of a text; null if it is no CID, or not the one text of it. */
function parseByLibrary(text: string): CID | null {
  try {
    const cid = CID.parse(text);
    return cid.toString() === text ? cid : null;
  } catch {
    return null;
  }
}

it('gives the text and the bytes that the general library gives', () => {
  fc.assert(
    fc.property(cids, (cid) => {
      const link = readLinkBytes(cid.bytes, 0, cid.bytes.length);
      expect(link).toEqual(new Link(cid.code, cid.toString()));
      expect(writeText(cid.code, cid.toString())).toEqual(new Uint8Array(cid.bytes));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(computeObjectId(bytes)).toBe(computeObjectCid(bytes).toString());
      expect(computeRawId(bytes)).toBe(computeRawCid(bytes).toString());
    }),
  );
});

it('takes no text that the general library refuses, and none of another codec', () => {
  const letter = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567AZ01=é'.split(''));
  fc.assert(
    fc.property(cids, fc.nat({ max: 58 }), letter, (cid, at, changed) => {
      const original = cid.toString();
      const text = `${original.slice(0, at)}${changed}${original.slice(at + 1)}`;
      const bytes = writeText(cid.code, text);
      expect(isLinkText(cid.code, text)).toBe(bytes !== null);
      if (bytes !== null) expect(bytes).toEqual(new Uint8Array(parseByLibrary(text)?.bytes ?? []));
      expect(writeText(cid.code === RAW_CODE ? DAG_CBOR_CODE : RAW_CODE, original)).toBeNull();
    }),
    { numRuns: 1_000 },
  );
  for (const text of ['', 'b', 'bafkrei', `${'a'.repeat(59)}`, `b${'a'.repeat(57)}`, `b${'a'.repeat(59)}`]) {
    expect(writeText(RAW_CODE, text)).toBeNull();
  }
});

it('reads no bytes of another form', () => {
  fc.assert(
    fc.property(cids, fc.nat({ max: 3 }), fc.nat({ max: 255 }), (cid, at, byte) => {
      const bytes = new Uint8Array(cid.bytes);
      bytes[at] = byte;
      const link = readLinkBytes(bytes, 0, bytes.length);
      if (link === null) return;
      expect([bytes[0], bytes[2], bytes[3]]).toEqual([1, 0x12, 32]);
      expect(link.text).toBe(CID.decode(bytes).toString());
    }),
  );
  const { bytes } = computeRawCid(new Uint8Array(1));
  expect(readLinkBytes(bytes, 0, 35)).toBeNull();
  expect(readLinkBytes(bytes, 1, 36)).toBeNull();
});
