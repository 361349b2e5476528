import { multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { Signed } from '../../domain/signed.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { ACCEPT, type Verdict } from '../../lib/verdict.ts';
import { findVrfKeyFault } from '../../vrf/ecvrf.ts';
import { CLOCK_SKEW_MS, MAX_KNOWN_PEERS, MAX_RECORD_TTL_MS } from '../constants.ts';

/** How a node record is judged, whichever way it came. `penalty` counts against who passed it on. */
export const RECORD_RULES = {
  NETWORK_RECORD_TOO_LARGE: { kind: 'reject', penalty: 10, meaning: 'it is larger than a record may be' },
  NETWORK_RECORD_MALFORMED: { kind: 'reject', penalty: 20, meaning: 'it is not a validly signed node record' },
  NETWORK_RECORD_WRONG_SIGNER: { kind: 'reject', penalty: 20, meaning: 'its signer is not the peer that it names' },
  NETWORK_RECORD_WRONG_PUBLISHER: { kind: 'reject', penalty: 20, meaning: 'another peer than its own published it' },
  NETWORK_RECORD_OTHER_NETWORK: { kind: 'reject', penalty: 20, meaning: 'it belongs to another network' },
  NETWORK_RECORD_BAD_LIFETIME: { kind: 'reject', penalty: 10, meaning: 'it lives no time, or more than a day' },
  NETWORK_RECORD_BAD_ADDRESS: { kind: 'reject', penalty: 10, meaning: 'one of its addresses is no multiaddr' },
  NETWORK_RECORD_BAD_VRF_KEY: { kind: 'reject', penalty: 10, meaning: 'its VRF key is no key (RFC 9381, 5.4.5)' },
  NETWORK_RECORD_EXPIRED: { kind: 'ignore', penalty: 0, meaning: 'it expired more than 30 s ago' },
  NETWORK_RECORD_NOT_YET: { kind: 'ignore', penalty: 0, meaning: 'it was issued more than 30 s in the future' },
  NETWORK_RECORD_STALE: { kind: 'ignore', penalty: 0, meaning: 'its sequence is not above the one known' },
  NETWORK_RECORD_FLOOD: {
    kind: 'reject',
    penalty: 2,
    meaning: 'the neighbour itself is the publisher, and publishes too often',
  },
  NETWORK_RECORD_PUBLISHER_RATE: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'its peer publishes too often; the neighbour only passed it on',
  },
  NETWORK_RECORD_RATE: { kind: 'ignore', penalty: 0, meaning: 'the neighbour passes on too many messages' },
} as const satisfies Record<string, { kind: 'ignore' | 'reject'; penalty: number; meaning: string }>;
export type RecordRuleCode = keyof typeof RECORD_RULES;

export function createVerdict(code: RecordRuleCode): Verdict {
  const rule = RECORD_RULES[code];
  return rule.kind === 'reject' ? { kind: 'reject', code, penalty: rule.penalty } : { kind: 'ignore', code };
}

export interface RecordContext {
  readonly networkId: string;
  readonly nowMs: number;
  /** Sequence of the newest record known of that peer, 0 if none. */
  readonly knownSequence: number;
}

/** Judges a record whose signature is valid and whose form fits the schema (design section 4: newest sequence wins). */
export function judgeRecord(record: Signed<NodeRecord>, context: RecordContext): Verdict {
  const { value, signer } = record;
  if (signer !== value.peer) return createVerdict('NETWORK_RECORD_WRONG_SIGNER');
  if (value.network !== context.networkId) return createVerdict('NETWORK_RECORD_OTHER_NETWORK');
  const lifeMs = value.expiresAtMs - value.issuedAtMs;
  if (lifeMs <= 0 || lifeMs > MAX_RECORD_TTL_MS) return createVerdict('NETWORK_RECORD_BAD_LIFETIME');
  if (!value.addresses.every((address) => isOwnAddress(address, value.peer))) {
    return createVerdict('NETWORK_RECORD_BAD_ADDRESS');
  }
  if (value.expiresAtMs + CLOCK_SKEW_MS < context.nowMs) return createVerdict('NETWORK_RECORD_EXPIRED');
  if (value.issuedAtMs - CLOCK_SKEW_MS > context.nowMs) return createVerdict('NETWORK_RECORD_NOT_YET');
  if (value.sequence <= context.knownSequence) return createVerdict('NETWORK_RECORD_STALE');
  return isVrfKey(value.vrfPublicKey) ? ACCEPT : createVerdict('NETWORK_RECORD_BAD_VRF_KEY');
}

/** Peers announce the same key again and again; to decode a point takes longer than all other rules. */
const goodVrfKeys = new LRUCache<string, true>({ max: MAX_KNOWN_PEERS });

function isVrfKey(bytes: Uint8Array): boolean {
  const key = encodeHex(bytes);
  if (goodVrfKeys.has(key)) return true;
  if (findVrfKeyFault(bytes) !== null) return false;
  goodVrfKeys.set(key, true);
  return true;
}

/** A multiaddr that names no other peer. */
function isOwnAddress(text: string, peer: PeerKey): boolean {
  try {
    const named = multiaddr(text)
      .getComponents()
      .findLast((component) => component.name === 'p2p')?.value;
    return named === undefined || named === peer;
  } catch {
    return false;
  }
}
