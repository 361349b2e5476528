import type { ClaimRefusal } from '../../../domain/messages.ts';

export interface ClaimRule {
  /** Counts against whoever claims. */
  readonly penalty: number;
  /** Whoever claims may do so again in this epoch. */
  readonly isForNow: boolean;
  readonly meaning: string;
}

/** Why a claim on an inbound slot is refused. */
export const CLAIM_RULES = {
  'wrong-epoch': { penalty: 0, isForNow: true, meaning: 'it is neither for this epoch nor for the last' },
  'no-beacon': { penalty: 0, isForNow: true, meaning: 'the beacon of that epoch is not known here' },
  'bad-record': { penalty: 10, isForNow: false, meaning: 'the node record is not a valid one of whoever claims' },
  'key-mismatch': { penalty: 20, isForNow: false, meaning: 'the VRF key is not the one that the record names' },
  'bad-proof': { penalty: 25, isForNow: false, meaning: 'the proof is not of that key, network, epoch and beacon' },
  'too-young': {
    penalty: 0,
    isForNow: false,
    meaning: 'the key is not known for two epochs, and the slots for such are taken',
  },
  'above-bound': { penalty: 1, isForNow: false, meaning: 'the rank of this node is above the bound' },
  full: { penalty: 0, isForNow: false, meaning: 'all slots are taken by lower ranks, or those of its group' },
  busy: { penalty: 0, isForNow: true, meaning: 'too many proofs are to be checked at once' },
  stopping: { penalty: 0, isForNow: true, meaning: 'the node is stopping' },
} as const satisfies Record<ClaimRefusal, ClaimRule>;
