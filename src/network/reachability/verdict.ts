import type { Reachability } from '../interface.ts';
import { INBOUND_EVIDENCE_MS, OUTBOUND_EVIDENCE_PEERS, UNREACHED_AFTER_MS } from './constants.ts';

/** What is known about whether peers outside can connect to this node. */
export interface ReachEvidence {
  readonly nowMs: number;
  readonly listens: boolean;
  readonly isLoopbackOnly: boolean;
  /** Told by the operator. */
  readonly announced: readonly string[];
  /** Public addresses at which peers dialled this node back. */
  readonly confirmed: readonly string[];
  /** When a peer outside last connected to this node, not through a relay. */
  readonly lastInboundMs: number | null;
  /** Peers outside to which this node has connected, and when the first of those was. */
  readonly outboundPeers: number;
  readonly firstOutboundMs: number | null;
}

export const NOT_REACHED: Reachability = {
  kind: 'unknown',
  reason: 'the network is not running',
  relays: [],
  relaying: null,
};

export type ReachVerdict = Pick<Reachability, 'kind' | 'reason'>;

export function judgeReachability(evidence: ReachEvidence): ReachVerdict {
  const { nowMs, announced, confirmed, lastInboundMs } = evidence;
  const [told] = announced;
  if (told !== undefined) return { kind: 'public', reason: `the operator announces ${told}` };
  if (evidence.isLoopbackOnly) return { kind: 'unknown', reason: 'it listens for this machine only' };
  if (!evidence.listens) return { kind: 'private', reason: 'it listens on no address' };
  const [dialled] = confirmed;
  if (dialled !== undefined) return { kind: 'public', reason: `peers dialled back ${dialled}` };
  if (lastInboundMs !== null && nowMs - lastInboundMs < INBOUND_EVIDENCE_MS) {
    return { kind: 'public', reason: 'a peer outside connected to it within the hour' };
  }
  const { outboundPeers, firstOutboundMs } = evidence;
  const isOld = firstOutboundMs !== null && nowMs - firstOutboundMs >= UNREACHED_AFTER_MS;
  if (isOld && outboundPeers >= OUTBOUND_EVIDENCE_PEERS) {
    return { kind: 'private', reason: `it connected to ${outboundPeers} peers outside, and none of them to it` };
  }
  return { kind: 'unknown', reason: 'no peer outside has tried to connect to it' };
}
