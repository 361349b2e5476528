import { type Announcement, MAX_ANNOUNCEMENT_MS } from '../../domain/announcement.ts';
import type { CapabilityClass } from '../../domain/capability.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { Signed } from '../../domain/signed.ts';
import { ACCEPT, type Verdict } from '../../lib/verdict.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';

/** How an announcement of a job is judged. `penalty` counts against who passed it on. */
export const ANNOUNCEMENT_RULES = {
  NETWORK_ANNOUNCEMENT_TOO_LARGE: { kind: 'reject', penalty: 10, meaning: 'it is larger than one may be' },
  NETWORK_ANNOUNCEMENT_MALFORMED: { kind: 'reject', penalty: 20, meaning: 'it is not a validly signed announcement' },
  NETWORK_ANNOUNCEMENT_WRONG_SIGNER: {
    kind: 'reject',
    penalty: 20,
    meaning: 'its signer is not the requester that it names',
  },
  NETWORK_ANNOUNCEMENT_WRONG_PUBLISHER: {
    kind: 'reject',
    penalty: 20,
    meaning: 'another peer than its requester published it',
  },
  NETWORK_ANNOUNCEMENT_OTHER_NETWORK: { kind: 'reject', penalty: 20, meaning: 'it belongs to another network' },
  NETWORK_ANNOUNCEMENT_WRONG_TOPIC: {
    kind: 'reject',
    penalty: 20,
    meaning: "its capability class is not the topic's",
  },
  NETWORK_ANNOUNCEMENT_BAD_LIFETIME: { kind: 'reject', penalty: 10, meaning: 'it lives no time, or more than 60 s' },
  NETWORK_ANNOUNCEMENT_FLOOD: {
    kind: 'reject',
    penalty: 2,
    meaning: 'the neighbour itself is the requester, and announces too often',
  },
  NETWORK_ANNOUNCEMENT_EXPIRED: { kind: 'ignore', penalty: 0, meaning: 'it expired more than 30 s ago' },
  NETWORK_ANNOUNCEMENT_NOT_YET: { kind: 'ignore', penalty: 0, meaning: 'it was issued more than 30 s in the future' },
  NETWORK_ANNOUNCEMENT_SEEN: { kind: 'ignore', penalty: 0, meaning: 'it came before' },
  NETWORK_ANNOUNCEMENT_REQUESTER_RATE: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'its requester announces too often; the neighbour only passed it on',
  },
  NETWORK_ANNOUNCEMENT_RATE: { kind: 'ignore', penalty: 0, meaning: 'the neighbour passes on too many messages' },
  NETWORK_ANNOUNCEMENT_UNSERVED: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'this node takes no jobs of that class, and passes none on',
  },
} as const satisfies Record<string, { kind: 'ignore' | 'reject'; penalty: number; meaning: string }>;
export type AnnouncementRuleCode = keyof typeof ANNOUNCEMENT_RULES;

export function refuseAnnouncement(code: AnnouncementRuleCode): Verdict {
  const rule = ANNOUNCEMENT_RULES[code];
  return rule.kind === 'reject' ? { kind: 'reject', code, penalty: rule.penalty } : { kind: 'ignore', code };
}

export interface AnnouncementContext {
  readonly networkId: string;
  /** Of the topic that it came on. */
  readonly capabilityClass: CapabilityClass;
  /** Whose gossip message it is. */
  readonly publisher: PeerKey;
  readonly nowMs: number;
}

/** Judges an announcement whose signature is valid and whose form fits the schema (design section 4). */
export function judgeAnnouncement({ value, signer }: Signed<Announcement>, context: AnnouncementContext): Verdict {
  if (signer !== value.requester) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_WRONG_SIGNER');
  // Published by its own requester only, so that nobody can flood the mesh with those of others.
  if (signer !== context.publisher) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_WRONG_PUBLISHER');
  if (value.network !== context.networkId) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_OTHER_NETWORK');
  if (value.capabilityClass !== context.capabilityClass) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_WRONG_TOPIC');
  const lifeMs = value.expiresAtMs - value.issuedAtMs;
  if (lifeMs <= 0 || lifeMs > MAX_ANNOUNCEMENT_MS) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_BAD_LIFETIME');
  if (value.expiresAtMs + CLOCK_SKEW_MS < context.nowMs) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_EXPIRED');
  if (value.issuedAtMs - CLOCK_SKEW_MS > context.nowMs) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_NOT_YET');
  return ACCEPT;
}
