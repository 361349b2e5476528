/**
 * Event n of a lease, counted from 1: AES-256-GCM with the nonce u96(n), no associated data, under
 *   HKDF(content key, "fogproof/sealed-events@1" ‖ 0x00 ‖ CID of the lease)
 * of the canonical dag-cbor of the event.
 */
import { CID } from 'multiformats/cid';
import type { LeaseId } from '../../domain/ids.ts';
import { attemptEventSchema } from '../../domain/messages.ts';
import { decodeCanonical, encodeCanonical } from '../../lib/canonical-cbor.ts';
import { InternalError } from '../../lib/errors.ts';
import { TeeError } from '../errors.ts';
import type { EventSealer, PlainEvent, SealedEvent } from '../interface.ts';
import { encodeLabelled } from '../label.ts';
import { MAX_SEALED_EVENT_BYTES, NONCE_BYTES, TAG_BYTES } from './constants.ts';
import { deriveCipherKey, type SecretKey } from './derive-key.ts';

const { subtle } = globalThis.crypto;
const EVENT_KEY = 'fogproof/sealed-events@1';

export interface EventKey {
  readonly contentKey: Uint8Array;
  readonly lease: LeaseId;
}

/** Numbers the events of one lease and seals each under its number. */
export class NumberedEventSealer implements EventSealer {
  readonly #key: Promise<SecretKey>;
  #lastIndex = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(key: EventKey) {
    this.#key = deriveEventKey(key);
    // Whoever seals is told; without an event nobody need be.
    this.#key.catch(() => undefined);
  }

  seal(event: PlainEvent): Promise<SealedEvent> {
    const index = ++this.#lastIndex;
    const sealed = this.#last.then(() => this.#sealAs(index, event));
    this.#last = sealed.catch(() => undefined);
    return sealed;
  }

  async #sealAs(index: number, event: PlainEvent): Promise<SealedEvent> {
    const plain = new Uint8Array(encodeCanonical(event));
    if (plain.length + TAG_BYTES > MAX_SEALED_EVENT_BYTES) {
      throw new InternalError(`event ${index} has ${plain.length} bytes, more than a sealed event holds`);
    }
    const cipher = { name: 'AES-GCM', iv: encodeNonce(index) };
    const bytes = new Uint8Array(await subtle.encrypt(cipher, await this.#key, plain));
    return { kind: 'sealed', index, bytes };
  }
}

/**
 * Opens the events of many leases. To derive a key takes ten times as long as to open a line with it, so keys are held as
 * long as the array of the content key is, or until it is forgotten.
 */
export class EventOpener {
  readonly #keys = new WeakMap<Uint8Array, Map<LeaseId, Promise<SecretKey>>>();

  /** @throws TeeError TEE_NOT_OPENED */
  async open({ index, bytes }: SealedEvent, key: EventKey): Promise<PlainEvent> {
    const what = `the sealed event ${index}`;
    const event = attemptEventSchema.safeParse(await this.#decrypt({ index, bytes, what }, key));
    if (event.success && (event.data.kind === 'log' || event.data.kind === 'metric')) return event.data;
    throw new TeeError({ code: 'TEE_NOT_OPENED', what, reason: 'what is in it is neither a log line nor a metric' });
  }

  forget(contentKey: Uint8Array): void {
    this.#keys.delete(contentKey);
  }

  async #decrypt(
    { index, bytes, what }: Omit<SealedEvent, 'kind'> & { what: string },
    key: EventKey,
  ): Promise<unknown> {
    const cipher = { name: 'AES-GCM', iv: encodeNonce(index) };
    const secret = await this.#holdKey(key);
    try {
      const plain = new Uint8Array(await subtle.decrypt(cipher, secret, new Uint8Array(bytes)));
      return decodeCanonical(plain, { maxBytes: MAX_SEALED_EVENT_BYTES });
    } catch (cause) {
      const reason = 'it is altered, of another lease or number, or sealed with another key';
      throw new TeeError({ code: 'TEE_NOT_OPENED', what, reason }, { cause });
    }
  }

  #holdKey({ contentKey, lease }: EventKey): Promise<SecretKey> {
    const ofJob = this.#keys.get(contentKey) ?? new Map<LeaseId, Promise<SecretKey>>();
    this.#keys.set(contentKey, ofJob);
    const held = ofJob.get(lease) ?? deriveEventKey({ contentKey, lease });
    ofJob.set(lease, held);
    return held;
  }
}

function deriveEventKey({ contentKey, lease }: EventKey): Promise<SecretKey> {
  return deriveCipherKey(contentKey, encodeLabelled(EVENT_KEY, CID.parse(lease).bytes));
}

function encodeNonce(index: number): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setBigUint64(NONCE_BYTES - 8, BigInt(index));
  return nonce;
}
