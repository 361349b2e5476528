import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { RecordEnvelope } from '@libp2p/peer-record';
import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import { LocalIdentity } from '../../../src/identity/local-identity.ts';
import { computeVrfPublicKey, deriveVrfKey } from '../../../src/identity/vrf-key.ts';
import { encodeHex, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeVrfOutput, verifyVrf } from '../../../src/vrf/ecvrf.ts';

const SEED = new Uint8Array(32).fill(7);

describe('LocalIdentity', () => {
  it('gives the same peer and VRF key for the same seed', async () => {
    const [one, two] = await Promise.all([LocalIdentity.fromSeed(SEED), LocalIdentity.fromSeed(SEED)]);
    expect(one.peer).toBe(two.peer);
    expect(one.peer).toBe(peerIdFromPrivateKey(one.privateKey).toString());
    expect(one.vrfPublicKey).toEqual(two.vrfPublicKey);
    const other = await LocalIdentity.fromSeed(new Uint8Array(32).fill(8));
    expect(other.peer).not.toBe(one.peer);
  });

  it('refuses a seed of another length', async () => {
    await expect(LocalIdentity.fromSeed(new Uint8Array(31))).rejects.toThrow();
  });

  it('seals the same bytes as libp2p does', async () => {
    const identity = await LocalIdentity.fromSeed(SEED);
    const payload = encodeUtf8('payload');
    const payloadType = encodeUtf8('type');
    const sealed = await identity.seal('domain', payloadType, payload);
    const record = { domain: 'domain', codec: payloadType, marshal: () => payload, equals: () => false };
    const byLibp2p = await RecordEnvelope.seal(record, identity.privateKey);
    expect(sealed).toEqual(byLibp2p.marshal());
    const opened = await RecordEnvelope.openAndCertify(sealed, 'domain');
    expect(opened.payload).toEqual(payload);
    await expect(RecordEnvelope.openAndCertify(sealed, 'another domain')).rejects.toThrow();
  });

  it('signs bare bytes with its identity key', async () => {
    const identity = await LocalIdentity.fromSeed(SEED);
    const message = encodeUtf8('message');
    const signature = await identity.sign(message);
    expect(signature).toHaveLength(64);
    expect(ed25519.verify(signature, message, identity.privateKey.publicKey.raw)).toBe(true);
    expect(ed25519.verify(signature, encodeUtf8('massage'), identity.privateKey.publicKey.raw)).toBe(false);
  });
});

describe('VRF key', () => {
  it('is not the identity key, and stays what it is across versions', async () => {
    const identity = await LocalIdentity.fromSeed(SEED);
    const { secretKey, publicKey } = deriveVrfKey(SEED);
    expect(publicKey).toEqual(identity.vrfPublicKey);
    expect(publicKey).not.toEqual(identity.privateKey.publicKey.raw);
    expect(secretKey).not.toEqual(SEED);
    // HKDF-SHA256(07 × 32, salt none, "fogproof/vrf@1", 32), computed with OpenSSL's `kdf`.
    expect(encodeHex(secretKey)).toBe('00007b83d3e35eef1753fe433331c7bc36cef166928d0da4ca46f914ea9e4717');
  });

  it.each([
    // RFC 9381 appendix B.3, examples 16 to 18: SK and PK.
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    ],
    [
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    ],
  ])('gives the public key of RFC 9381 for %s', (secret, expected) => {
    expect(encodeHex(computeVrfPublicKey(new Uint8Array(Buffer.from(secret, 'hex'))))).toBe(expected);
  });

  it('proves with it what its public key verifies', async () => {
    const identity = await LocalIdentity.fromSeed(new Uint8Array(32).fill(7));
    const input = new TextEncoder().encode('an input');
    const proof = await identity.proveVrf(input);
    expect(verifyVrf(identity.vrfPublicKey, input, proof)).toEqual({ kind: 'valid', output: computeVrfOutput(proof) });
    // The nonce of ECVRF is that of Ed25519: with the identity's own key a proof would give it away.
    expect(verifyVrf(identity.privateKey.publicKey.raw, input, proof).kind).toBe('invalid');
  });

  it('derives the key of the blob store, as another implementation of HKDF does', async () => {
    const identity = await LocalIdentity.fromSeed(Uint8Array.from({ length: 32 }, (_, index) => index));
    // Python: HMAC-SHA256 of RFC 5869 over the seed 00…1f with this info.
    expect(encodeHex(identity.deriveStoreKey())).toBe(
      'be6ce93ad0e9389d77229ee0fc3370683fd43fca0cbf4014bf6441d1b1117e26',
    );
  });
});
