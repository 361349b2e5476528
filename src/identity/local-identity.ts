import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey, PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { RecordEnvelope } from '@libp2p/peer-record';
import { PeerKey } from '../domain/ids.ts';
import { proveVrf } from '../vrf/ecvrf.ts';
import { SEED_BYTES } from './constants.ts';
import type { Identity, StoreKeySource, WalletKeySource } from './interface.ts';
import { deriveStoreKey } from './store-key.ts';
import { deriveVrfKey } from './vrf-key.ts';
import { deriveWalletSeed } from './wallet-key.ts';

/** DER prefix of a PKCS #8 Ed25519 private key (RFC 8410 section 7): the 32-byte seed follows. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** An identity whose key is in this process's memory. */
export class LocalIdentity implements Identity, StoreKeySource, WalletKeySource {
  readonly peer: PeerKey;
  readonly privateKey: Ed25519PrivateKey;
  readonly vrfPublicKey: Uint8Array;
  readonly #signingKey: KeyObject;
  readonly #envelopeKey: PrivateKey;
  readonly #vrfSecretKey: Uint8Array;

  private constructor(seed: Uint8Array, privateKey: Ed25519PrivateKey) {
    this.privateKey = privateKey;
    this.peer = PeerKey(peerIdFromPrivateKey(privateKey).toString());
    const vrfKey = deriveVrfKey(seed);
    this.vrfPublicKey = vrfKey.publicKey;
    this.#vrfSecretKey = vrfKey.secretKey;
    this.#signingKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
    this.#envelopeKey = {
      type: privateKey.type,
      raw: privateKey.raw,
      publicKey: privateKey.publicKey,
      equals: (other) => privateKey.equals(other),
      // libp2p's key imports its seed anew for each signature; this one was imported once (38 µs a seal, not 96).
      sign: (message) => sign(null, message.subarray(), this.#signingKey),
    };
  }

  /** @param seed 32 bytes, secret */
  static async fromSeed(seed: Uint8Array): Promise<LocalIdentity> {
    return new LocalIdentity(seed, await generateKeyPairFromSeed('Ed25519', seed));
  }

  async seal(domain: string, payloadType: Uint8Array, payload: Uint8Array): Promise<Uint8Array> {
    const record = { domain, codec: payloadType, marshal: () => payload, equals: () => false };
    const envelope = await RecordEnvelope.seal(record, this.#envelopeKey);
    return envelope.marshal();
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(sign(null, bytes, this.#signingKey));
  }

  async proveVrf(input: Uint8Array): Promise<Uint8Array> {
    return proveVrf(this.#vrfSecretKey, input);
  }

  deriveWalletKey(): Uint8Array {
    // An Ed25519 key of libp2p is its seed followed by its public key.
    return deriveWalletSeed(this.privateKey.raw.subarray(0, SEED_BYTES));
  }

  deriveStoreKey(): Uint8Array {
    return deriveStoreKey(this.privateKey.raw.subarray(0, SEED_BYTES));
  }
}
