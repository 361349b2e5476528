import type { PeerKey } from '../../domain/ids.ts';
import type { DiversityGroup } from '../../vrf/selection.ts';
import type { NeighbourReason } from '../interface.ts';

interface SlotFacts {
  readonly peer: PeerKey;
  /** The epoch of the proof. */
  readonly epoch: number;
  /** VRF proof of whoever chose, 80 bytes. */
  readonly proof: Uint8Array;
  /** 32 bytes. */
  readonly rank: Uint8Array;
  readonly sinceMs: number;
  readonly why: NeighbourReason;
}

/** A peer that this node chose. */
export interface OutboundSlot extends SlotFacts {
  /** The first epoch in which it is over. */
  readonly endsAtEpoch: number;
}

/** A peer that chose this node. */
export interface InboundSlot extends SlotFacts {
  readonly vrfPublicKey: Uint8Array;
  readonly groups: readonly DiversityGroup[];
}
