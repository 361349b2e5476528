import { readFile } from 'node:fs/promises';
import { p256 } from '@noble/curves/nist.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { computePae, parseDsse, verifyDsse } from '../../src/bundle/dsse.ts';
import { BundleError } from '../../src/bundle/errors.ts';
import { parseStatement } from '../../src/bundle/in-toto.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';

const FOLDER = new URL('./dsse-intoto/', import.meta.url);

async function readVectors(name: string): Promise<unknown> {
  return JSON.parse(await readFile(new URL(name, FOLDER), 'utf8'));
}

const dsse = z
  .object({
    key: z.object({ X: z.string(), Y: z.string() }),
    pae: z.array(z.object({ payloadType: z.string(), payload: z.string(), pae: z.string() })),
    cases: z.array(z.object({ name: z.string(), valid: z.boolean(), envelope: z.unknown() })),
  })
  .parse(await readVectors('dsse.json'));
const statements = z
  .object({
    cases: z.array(z.object({ name: z.string(), valid: z.boolean(), reason: z.string(), statement: z.unknown() })),
  })
  .parse(await readVectors('statement-derived.json'));

describe('DSSE', () => {
  const publicKey = p256.Point.fromAffine({ x: BigInt(dsse.key.X), y: BigInt(dsse.key.Y) }).toBytes();

  it.each(dsse.pae)('encodes $payloadType ahead of signing', ({ payloadType, payload, pae }) => {
    const bytes = computePae(payloadType, new Uint8Array(Buffer.from(payload, 'hex')));
    expect(Buffer.from(bytes).toString('hex')).toBe(pae);
  });

  it.each(dsse.cases)('$name: valid is $valid', async ({ valid, envelope }) => {
    const parsed = parseDsse(encodeUtf8(JSON.stringify(envelope)));
    const accepted = await verifyDsse(parsed, async ({ signature }, message) => {
      return signature.length === 64 && p256.verify(signature, message, publicKey, { prehash: true, lowS: false });
    });
    expect(accepted.length > 0).toBe(valid);
  });
});

describe('in-toto Statement v1', () => {
  it('reads the published example', async () => {
    const bytes = new Uint8Array(await readFile(new URL('statement-v1.json', FOLDER)));
    expect(parseStatement(bytes).predicateType).toBe('https://in-toto.io/attestation/test-result/v0.1');
  });

  it.each(statements.cases)('$name: valid is $valid ($reason)', ({ valid, statement }) => {
    const parse = () => parseStatement(encodeUtf8(JSON.stringify(statement)));
    if (valid) expect(parse).not.toThrow();
    else expect(parse).toThrow(BundleError);
  });
});
