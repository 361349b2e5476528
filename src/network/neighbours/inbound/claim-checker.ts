import type { PeerKey } from '../../../domain/ids.ts';
import type { ClaimRefusal } from '../../../domain/messages.ts';
import type { SignedWire } from '../../../domain/signed.ts';
import { areBytesEqual, encodeHex } from '../../../lib/bytes.ts';
import type { Clock } from '../../../lib/clock.ts';
import { TokenBucket } from '../../../lib/token-bucket.ts';
import type { VrfVerdict } from '../../../vrf/ecvrf.ts';
import { computeRank, isEligible, isRankWithinBound, type Rank } from '../../../vrf/selection.ts';
import { NEIGHBOUR_CHECKS, type NeighbourCheckName, type NeighbourCheckStep } from '../../interface.ts';
import { decodePeer } from '../candidates/candidate-table.ts';
import { MAX_REMEMBERED_PROOFS, PROOF_BURST, PROOFS_PER_SECOND } from '../constants.ts';
import type { Epochs } from '../epochs/epochs.ts';
import type { NeighbourOptions } from '../options.ts';
import type { CandidateSource, NodeFacts, NodeOpener, VrfSuite } from '../ports.ts';
import { CLAIM_RULES } from './claim-rules.ts';

export interface Claim {
  readonly peer: PeerKey;
  readonly epoch: number;
  readonly vrfPublicKey: Uint8Array;
  readonly proof: Uint8Array;
  /** As it was shown; null: the newest that is known counts. */
  readonly record: SignedWire | null;
}

export interface CheckedClaim {
  readonly steps: readonly NeighbourCheckStep[];
  /** Null: every check passed. */
  readonly refusal: { readonly code: ClaimRefusal; readonly detail: string; readonly penalty: number } | null;
  readonly rank: Rank | null;
  /** Its pair of peer and key is not two epochs old here. */
  readonly isYoung: boolean;
}

export interface ClaimCheckerModules {
  readonly epochs: Epochs;
  readonly clock: Clock;
  readonly vrf: VrfSuite;
  readonly table: CandidateSource;
  readonly openNode: NodeOpener;
  readonly networkSize: () => number;
}

type ClaimCheckerOptions = Pick<NeighbourOptions, 'self' | 'slots' | 'slack' | 'claimBeaconWaitMs'>;

/** The steps of one check in order; the first that fails ends it. */
class Steps {
  readonly #done: NeighbourCheckStep[] = [];
  rank: Rank | null = null;
  isYoung = false;

  pass(name: NeighbourCheckName, detail: string): void {
    this.#done.push({ name, verdict: 'passed', detail });
  }

  refuse(
    name: NeighbourCheckName,
    code: ClaimRefusal,
    detail: string,
    penalty: number = CLAIM_RULES[code].penalty,
  ): CheckedClaim {
    // What cannot be told is not held against anybody.
    const verdict = CLAIM_RULES[code].isForNow && code !== 'wrong-epoch' ? 'unchecked' : 'failed';
    this.#done.push({ name, verdict, detail });
    return this.#conclude({ code, detail: detail.slice(0, 200), penalty });
  }

  accept(): CheckedClaim {
    return this.#conclude(null);
  }

  #conclude(refusal: CheckedClaim['refusal']): CheckedClaim {
    const missing = NEIGHBOUR_CHECKS.slice(this.#done.length);
    const steps = [
      ...this.#done,
      ...missing.map((name) => ({ name, verdict: 'unchecked', detail: 'not reached' }) as const),
    ];
    return { steps, refusal, rank: this.rank, isYoung: this.isYoung };
  }
}

/**
 * Whether a peer's VRF chose this node (design section 5): the cheap checks first, the proof only when all else about
 * the claim is right, and once for each peer and epoch.
 */
export class ClaimChecker {
  readonly #modules: ClaimCheckerModules;
  readonly #options: ClaimCheckerOptions;
  readonly #ownBytes: Uint8Array;
  readonly #proofs: TokenBucket;
  readonly #verdicts = new Map<
    PeerKey,
    { readonly epoch: number; readonly proof: Uint8Array; readonly key: Uint8Array; readonly verdict: VrfVerdict }
  >();

  constructor(modules: ClaimCheckerModules, options: ClaimCheckerOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#ownBytes = decodePeer(options.self);
    this.#proofs = new TokenBucket({ perSecond: PROOFS_PER_SECOND, burst: PROOF_BURST }, modules.clock.monotonicMs());
  }

  get networkSize(): number {
    return this.#modules.networkSize();
  }

  async check(claim: Claim, signal: AbortSignal): Promise<CheckedClaim> {
    const { epochs } = this.#modules;
    const steps = new Steps();
    const detail = `epoch ${claim.epoch}; it is ${epochs.current} here`;
    const claimed = epochs.classify(claim.epoch);
    if (claimed.kind === 'outside') return steps.refuse('epoch', 'wrong-epoch', detail);
    // Its beacon is not known before it begins by the clock of this machine.
    if (claimed.kind === 'next') return steps.refuse('epoch', 'no-beacon', detail);
    steps.pass('epoch', detail);
    const input = await epochs.inputOf(claim.epoch, { waitMs: this.#options.claimBeaconWaitMs, signal });
    if (input.kind === 'unknown') return steps.refuse('beacon', 'no-beacon', input.message);
    steps.pass('beacon', input.isPredictable ? 'known, and predictable' : 'known');
    return (await this.#checkKey(claim, steps)) ?? this.#checkProof(claim, input.input, steps);
  }

  /** Forgets the verdicts on proofs of epochs that are over. */
  sweep(): void {
    for (const [peer, { epoch }] of this.#verdicts)
      if (this.#modules.epochs.classify(epoch).kind === 'outside') this.#verdicts.delete(peer);
  }

  async #checkKey(claim: Claim, steps: Steps): Promise<CheckedClaim | null> {
    const { table, openNode, epochs } = this.#modules;
    let vrfPublicKey = table.get(claim.peer)?.vrfPublicKey;
    if (claim.record !== null) {
      const opened = await openNode(claim.record, claim.peer);
      if (opened.kind === 'refused') return steps.refuse('record', 'bad-record', opened.detail, opened.penalty);
      const { node } = opened;
      // Of two records the table keeps the newer; what was shown now counts for this claim.
      table.note({ node, teller: claim.peer, epoch: epochs.current });
      vrfPublicKey = node.vrfPublicKey;
      steps.pass('record', describeExpiry(node, this.#modules.clock.nowMs()));
    } else if (vrfPublicKey === undefined) {
      return steps.refuse('record', 'bad-record', 'no record of it is known', 0);
    } else {
      steps.pass('record', 'the newest that is known');
    }
    if (!areBytesEqual(vrfPublicKey, claim.vrfPublicKey)) {
      return steps.refuse('key', 'key-mismatch', 'another VRF key than the record names');
    }
    steps.pass('key', encodeHex(vrfPublicKey));
    return null;
  }

  #checkProof(claim: Claim, input: Uint8Array, steps: Steps): CheckedClaim {
    const { table, networkSize } = this.#modules;
    const verdict = this.#verify(claim, input);
    if (verdict === null) return steps.refuse('proof', 'busy', CLAIM_RULES.busy.meaning);
    if (verdict.kind === 'invalid') return steps.refuse('proof', 'bad-proof', verdict.reason);
    steps.pass('proof', encodeHex(claim.proof));
    const rank = computeRank(verdict.output, this.#ownBytes);
    steps.rank = rank;
    steps.pass('rank', encodeHex(rank));
    const firstSeenEpoch = table.get(claim.peer)?.firstSeenEpoch;
    steps.isYoung = firstSeenEpoch === undefined || !isEligible({ firstSeenEpoch, epoch: claim.epoch });
    steps.pass('age', describeAge(firstSeenEpoch, steps.isYoung));
    const { slots, slack } = this.#options;
    const size = networkSize();
    if (!isRankWithinBound(rank, { slots, slack, networkSize: size })) {
      return steps.refuse('bound', 'above-bound', `above ${slack * slots}/${size} of all ranks`);
    }
    steps.pass('bound', `below ${slack * slots}/${size} of all ranks`);
    return steps.accept();
  }

  /** Null: no more proofs for now. */
  #verify({ peer, epoch, vrfPublicKey, proof }: Claim, input: Uint8Array): VrfVerdict | null {
    const known = this.#verdicts.get(peer);
    const isSame =
      known?.epoch === epoch && areBytesEqual(known.proof, proof) && areBytesEqual(known.key, vrfPublicKey);
    if (known !== undefined && isSame) return known.verdict;
    if (!this.#proofs.take(this.#modules.clock.monotonicMs())) return null;
    const verdict = this.#modules.vrf.verify(vrfPublicKey, input, proof);
    const [oldest] = this.#verdicts.keys();
    if (oldest !== undefined && this.#verdicts.size >= MAX_REMEMBERED_PROOFS) this.#verdicts.delete(oldest);
    this.#verdicts.set(peer, { epoch, proof, key: vrfPublicKey, verdict });
    return verdict;
  }
}

function describeExpiry({ expiresAtMs }: NodeFacts, nowMs: number): string {
  return `signed by it, valid for ${Math.max(0, Math.round((expiresAtMs - nowMs) / 1000))} s`;
}

function describeAge(firstSeenEpoch: number | undefined, isYoung: boolean): string {
  if (firstSeenEpoch === undefined) return 'not in the table of candidates: counts as young';
  return isYoung ? `known since epoch ${firstSeenEpoch}: young` : `known since epoch ${firstSeenEpoch}`;
}
