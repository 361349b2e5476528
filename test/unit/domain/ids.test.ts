import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BlobId, blobLink, JobId, PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import { jobPathSchema } from '../../../src/domain/job.ts';
import { computeObjectCid, computeRawCid, RAW_CODE } from '../../../src/lib/cid.ts';

describe('ids', () => {
  const object = computeObjectCid(Uint8Array.of(0xa0)).toString();
  const blob = computeRawCid(Uint8Array.of(1)).toString();

  it('accept the base32 CIDv1 of their own codec only', () => {
    expect(JobId(object)).toBe(object);
    expect(BlobId(blob)).toBe(blob);
    expect(() => JobId(blob)).toThrow(/not a job id/);
    expect(() => BlobId(object)).toThrow(/not a blob id/);
    expect(() => JobId(object.toUpperCase())).toThrow();
    expect(() => JobId('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG')).toThrow();
  });

  it('refuse any other text with a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => PeerKey(text)).toThrow(/not a peer id/);
        expect(() => JobId(text)).toThrow(/not a job id/);
      }),
    );
  });

  it('take whole, non-negative ms only', () => {
    expect(UnixMs(0)).toBe(0);
    expect(new Date(UnixMs(8.64e15)).toISOString()).toMatch(/^\+275760/);
    for (const bad of [-1, 1.5, Number.NaN, 2 ** 53, 8.64e15 + 1]) expect(() => UnixMs(bad)).toThrow(/Unix time/);
  });
});

describe('links', () => {
  const identity = (length: number): CID => CID.createV1(RAW_CODE, Digest.create(0, new Uint8Array(length)));

  it('come back as they were, each time, beyond what is kept of them', () => {
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 5000; index++) {
        const cid = computeRawCid(Uint8Array.of(index, index >> 8));
        const text = z.decode(blobLink, cid);
        expect(text).toBe(cid.toString());
        expect(z.encode(blobLink, text).equals(cid)).toBe(true);
      }
    }
  });

  it('of any length are read without harm', () => {
    const long = identity(500_000);
    expect(z.decode(blobLink, long)).toBe(long.toString());
  });
});

describe('paths of a job', () => {
  it.each(['/a', '/a/b.c', '/..a', '/a..', '/.hidden', '/ü'])('accepts %s', (path) => {
    expect(jobPathSchema.safeParse(path).success).toBe(true);
  });

  it.each([
    '',
    '/',
    'a',
    '//a',
    '/a/',
    '/.',
    '/..',
    '/../a',
    '/a/..',
    '/a/./b',
    '/a/../b',
    '/a\0b',
    `/${'a'.repeat(600)}`,
  ])('refuses %j', (path) => {
    expect(jobPathSchema.safeParse(path).success).toBe(false);
  });
});
