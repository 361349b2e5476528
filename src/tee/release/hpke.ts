/** HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; one message for each context. */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { importPublicKey, type KeyPair } from './key-pair.ts';

export interface HpkeContext {
  readonly info: Uint8Array;
  readonly associatedData: Uint8Array;
}

export interface HpkeMessage {
  readonly encapsulatedKey: Uint8Array;
  readonly sealed: Uint8Array;
}

export interface HpkeSealing extends HpkeContext {
  /** X25519, raw. */
  readonly recipientKey: Uint8Array;
  readonly plain: Uint8Array;
  /** Not given: a fresh one. Given by tests, which have the RFC's. */
  readonly ephemeralKeys?: KeyPair;
}

/** Rejects for a recipient key that is none, or of small order (RFC 9180, section 7.1.4). */
export async function sealHpke(sealing: HpkeSealing): Promise<HpkeMessage> {
  const recipientPublicKey = await importPublicKey(sealing.recipientKey);
  const ephemeral = sealing.ephemeralKeys === undefined ? {} : { ekm: sealing.ephemeralKeys };
  const { ct, enc } = await createSuite().seal(
    { recipientPublicKey, info: new Uint8Array(sealing.info), ...ephemeral },
    new Uint8Array(sealing.plain),
    new Uint8Array(sealing.associatedData),
  );
  return { encapsulatedKey: new Uint8Array(enc), sealed: new Uint8Array(ct) };
}

/** Rejects for anything that was not sealed to these keys in this context. */
export async function openHpke(keys: KeyPair, message: HpkeMessage, context: HpkeContext): Promise<Uint8Array> {
  const plain = await createSuite().open(
    {
      recipientKey: keys,
      enc: new Uint8Array(message.encapsulatedKey),
      info: new Uint8Array(context.info),
    },
    new Uint8Array(message.sealed),
    new Uint8Array(context.associatedData),
  );
  return new Uint8Array(plain);
}

function createSuite(): CipherSuite {
  return new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}
