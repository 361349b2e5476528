import { constants, createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { WebEvidenceCrypto } from '../../../../src/tee/crypto/web-evidence-crypto.ts';
import type { SignatureScheme, SignedParts } from '../../../../src/tee/interface.ts';

const MESSAGE = encodeUtf8('a report');
const PSS = constants.RSA_PKCS1_PSS_PADDING;
const PKCS1 = constants.RSA_PKCS1_PADDING;

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const ed25519 = generateKeyPairSync('ed25519');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const shortRsa = generateKeyPairSync('rsa', { modulusLength: 1024 });

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function signWith({ publicKey, privateKey }: Pair, hash: string | null, options: object): SignedParts {
  const signature = new Uint8Array(sign(hash, MESSAGE, { key: privateKey, ...options }));
  return { publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })), message: MESSAGE, signature };
}

const SIGNED: Readonly<Record<SignatureScheme, SignedParts>> = {
  ed25519: signWith(ed25519, null, {}),
  'ecdsa-p256-sha256': signWith(p256, 'sha256', { dsaEncoding: 'ieee-p1363' }),
  'ecdsa-p384-sha384': signWith(p384, 'sha384', { dsaEncoding: 'ieee-p1363' }),
  'rsa-pss-sha256': signWith(rsa, 'sha256', { padding: PSS, saltLength: 32 }),
  'rsa-pss-sha384': signWith(rsa, 'sha384', { padding: PSS, saltLength: 48 }),
  'rsa-pkcs1-sha256': signWith(rsa, 'sha256', { padding: PKCS1 }),
  'rsa-pkcs1-sha384': signWith(rsa, 'sha384', { padding: PKCS1 }),
};
const SCHEMES = Object.keys(SIGNED) as SignatureScheme[];

function flip(bytes: Uint8Array, index: number): Uint8Array {
  return bytes.with(index, (bytes[index] ?? 0) ^ 1);
}

describe.each([
  ['NodeEvidenceCrypto', new NodeEvidenceCrypto()],
  ['WebEvidenceCrypto', new WebEvidenceCrypto({ subtle: globalThis.crypto.subtle })],
])('%s', (_, crypto) => {
  it.each(SCHEMES)('accepts %s, and no other scheme for it', async (scheme) => {
    const accepted = [];
    for (const tried of SCHEMES) if (await crypto.verify(tried, SIGNED[scheme])) accepted.push(tried);
    expect(accepted).toEqual([scheme]);
  });

  it.each(SCHEMES)('refuses %s with a bit changed in message or signature, or cut short', async (scheme) => {
    const parts = SIGNED[scheme];
    const { message, signature } = parts;
    expect(await crypto.verify(scheme, { ...parts, message: flip(message, 3) })).toBe(false);
    expect(await crypto.verify(scheme, { ...parts, signature: flip(signature, 3) })).toBe(false);
    expect(await crypto.verify(scheme, { ...parts, signature: signature.subarray(0, -1) })).toBe(false);
    expect(await crypto.verify(scheme, { ...parts, signature: new Uint8Array(signature.length) })).toBe(false);
  });

  it('refuses keys that are none', async () => {
    for (const publicKey of [
      new Uint8Array(),
      new Uint8Array(91),
      SIGNED['rsa-pss-sha256'].publicKey.subarray(0, 60),
    ]) {
      for (const scheme of SCHEMES) expect(await crypto.verify(scheme, { ...SIGNED[scheme], publicKey })).toBe(false);
    }
  });

  it('refuses short RSA keys and PSS salts of another length', async () => {
    expect(await crypto.verify('rsa-pkcs1-sha256', signWith(shortRsa, 'sha256', { padding: PKCS1 }))).toBe(false);
    const salted = signWith(rsa, 'sha384', { padding: PSS, saltLength: 32 });
    expect(await crypto.verify('rsa-pss-sha384', salted)).toBe(false);
  });

  it('hashes', async () => {
    for (const algorithm of ['SHA-256', 'SHA-384', 'SHA-512'] as const) {
      const expected = createHash(algorithm.replace('-', '')).update(MESSAGE).digest();
      expect(await crypto.digest(algorithm, MESSAGE)).toEqual(new Uint8Array(expected));
    }
  });
});
