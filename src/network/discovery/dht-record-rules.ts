import { LRUCache } from 'lru-cache';
import { PeerKey } from '../../domain/ids.ts';
import { decodeUtf8, encodeUtf8 } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import { MAX_KNOWN_PEERS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import { judgeRecord } from '../peers/record-rules.ts';
import { decodeRecordWire, openRecord } from '../peers/record-wire.ts';

/** First segment of the keys under which node records stand in the DHT. */
export const DHT_RECORD_NAMESPACE = 'fogproof-record';

export function dhtRecordKey(peer: PeerKey): Uint8Array {
  return encodeUtf8(`/${DHT_RECORD_NAMESPACE}/${peer}`);
}

/** @throws DomainError, TypeError, NetworkError NETWORK_BAD_MESSAGE: the DHT refuses what throws */
function parseDhtRecordKey(key: Uint8Array): PeerKey {
  const [empty, namespace, peer, ...rest] = decodeUtf8(key).split('/');
  if (empty !== '' || namespace !== DHT_RECORD_NAMESPACE || peer === undefined || rest.length > 0) {
    throw new NetworkError({ code: 'NETWORK_BAD_MESSAGE', protocol: 'kad', path: 'key', reason: 'not a record key' });
  }
  return PeerKey(peer);
}

/** Validator and selector of node records in the DHT: design section 4, the newest valid sequence wins. */
export class DhtRecordRules {
  readonly #clock: Clock;
  readonly #networkId: string;
  /** The DHT would store an old valid record over a newer one; what was seen once is not gone below again. */
  readonly #sequences = new LRUCache<PeerKey, number>({ max: MAX_KNOWN_PEERS });

  constructor(clock: Clock, networkId: string) {
    this.#clock = clock;
    this.#networkId = networkId;
  }

  /** @throws NetworkError and others unless `value` is the peer's valid record, no older than one seen before */
  async validate(key: Uint8Array, value: Uint8Array): Promise<void> {
    const peer = parseDhtRecordKey(key);
    const opened = await openRecord(decodeRecordWire(value), peer);
    if (opened.kind === 'refused') throw refuse(opened.code);
    const seen = this.#sequences.get(peer) ?? 0;
    const verdict = judgeRecord(opened.record, {
      networkId: this.#networkId,
      nowMs: this.#clock.nowMs(),
      knownSequence: seen - 1,
    });
    if (verdict.kind !== 'accept') throw refuse(verdict.code);
    this.#sequences.set(peer, opened.record.value.sequence);
  }

  /** Index of the value with the highest sequence; those that do not open lose. */
  async select(values: readonly Uint8Array[]): Promise<number> {
    let best = 0;
    let bestSequence = -1;
    for (const [index, value] of values.entries()) {
      const sequence = await readSequence(value);
      if (sequence <= bestSequence) continue;
      best = index;
      bestSequence = sequence;
    }
    return best;
  }
}

async function readSequence(value: Uint8Array): Promise<number> {
  try {
    const opened = await openRecord(decodeRecordWire(value));
    return opened.kind === 'opened' ? opened.record.value.sequence : -1;
  } catch {
    return -1;
  }
}

function refuse(reason: string): NetworkError {
  return new NetworkError({ code: 'NETWORK_BAD_MESSAGE', protocol: 'kad', path: 'value', reason });
}
