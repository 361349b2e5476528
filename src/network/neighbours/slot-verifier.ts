import type { PeerKey } from '../../domain/ids.ts';
import { areBytesEqual, encodeHex } from '../../lib/bytes.ts';
import { computeRank, isEligible, isRankWithinBound } from '../../vrf/selection.ts';
import {
  NEIGHBOUR_CHECKS,
  type NeighbourCheck,
  type NeighbourCheckName,
  type NeighbourCheckStep,
} from '../interface.ts';
import { decodePeer } from './candidates/candidate-table.ts';
import type { Epochs } from './epochs/epochs.ts';
import type { ClaimChecker } from './inbound/claim-checker.ts';
import type { NeighbourOptions } from './options.ts';
import type { CandidateSource, VrfSuite } from './ports.ts';
import type { InboundSlot, OutboundSlot } from './slots.ts';

export interface SlotVerifierModules {
  readonly epochs: Epochs;
  readonly checker: ClaimChecker;
  readonly vrf: VrfSuite;
  readonly table: CandidateSource;
}

/** Checks the slots of a peer again, from what was kept: `neighbours verify`. */
export class SlotVerifier {
  readonly #modules: SlotVerifierModules;
  readonly #options: NeighbourOptions;

  constructor(modules: SlotVerifierModules, options: NeighbourOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  async verify(
    peer: PeerKey,
    slots: { readonly outbound: OutboundSlot | undefined; readonly inbound: InboundSlot | undefined },
    signal: AbortSignal,
  ): Promise<readonly NeighbourCheck[]> {
    const checks: NeighbourCheck[] = [];
    if (slots.outbound !== undefined) {
      checks.push(this.#conclude(peer, 'outbound', await this.#verifyOwn(slots.outbound, signal)));
    }
    if (slots.inbound !== undefined) {
      checks.push(this.#conclude(peer, 'inbound', await this.#verifyShown(slots.inbound, signal)));
    }
    return checks.length > 0 ? checks : [{ peer, direction: null, isValid: false, steps: [] }];
  }

  async #verifyShown(slot: InboundSlot, signal: AbortSignal): Promise<readonly NeighbourCheckStep[]> {
    const { steps, rank } = await this.#modules.checker.check({ ...slot, record: null }, signal);
    return steps.map((step) =>
      step.name === 'rank' && rank !== null && !areBytesEqual(rank, slot.rank)
        ? { ...step, verdict: 'failed', detail: `${encodeHex(rank)}, not ${encodeHex(slot.rank)} as was kept` }
        : step,
    );
  }

  /** The own choice: that the VRF of this node drew the peer is for others to see; here the proof is simply made again. */
  async #verifyOwn(slot: OutboundSlot, signal: AbortSignal): Promise<readonly NeighbourCheckStep[]> {
    const { epochs, vrf, table } = this.#modules;
    const { waitMs, vrfPublicKey } = {
      waitMs: this.#options.claimBeaconWaitMs,
      vrfPublicKey: this.#options.vrfPublicKey,
    };
    const steps = new Map<NeighbourCheckName, NeighbourCheckStep>();
    const note = (name: NeighbourCheckName, isPassed: boolean, detail: string): void => {
      steps.set(name, { name, verdict: isPassed ? 'passed' : 'failed', detail });
    };
    note('epoch', slot.endsAtEpoch > epochs.current, `epoch ${slot.epoch}, to the end of ${slot.endsAtEpoch - 1}`);
    const known = table.get(slot.peer);
    if (known !== undefined) {
      note('record', known.expiresAtMs > 0, known.expiresAtMs > 0 ? 'known' : 'none seen since the start');
      note('key', true, encodeHex(known.vrfPublicKey));
      const isAged = isEligible({ firstSeenEpoch: known.firstSeenEpoch, epoch: slot.epoch });
      note('age', isAged || slot.why === 'genesis', `known since epoch ${known.firstSeenEpoch}, chosen as ${slot.why}`);
    }
    const input = await epochs.inputOf(slot.epoch, { waitMs, signal });
    if (input.kind === 'known') {
      note('beacon', true, input.isPredictable ? 'known, and predictable' : 'known');
      const verdict = vrf.verify(vrfPublicKey, input.input, slot.proof);
      note('proof', verdict.kind === 'valid', verdict.kind === 'valid' ? encodeHex(slot.proof) : verdict.reason);
      if (verdict.kind === 'valid') this.#noteRank(slot, verdict.output, note);
    }
    return NEIGHBOUR_CHECKS.map(
      (name) => steps.get(name) ?? { name, verdict: 'unchecked', detail: 'what it needs is not known here' },
    );
  }

  #noteRank(
    slot: OutboundSlot,
    output: Uint8Array,
    note: (name: NeighbourCheckName, isPassed: boolean, detail: string) => void,
  ): void {
    const rank = computeRank(output, decodePeer(slot.peer));
    note('rank', areBytesEqual(rank, slot.rank), encodeHex(rank));
    const { slots, slack } = this.#options;
    const networkSize = this.#modules.checker.networkSize;
    const isWithin = isRankWithinBound(rank, { slots, slack, networkSize });
    note('bound', isWithin, `${isWithin ? 'below' : 'above'} ${slack * slots}/${networkSize} of all ranks`);
  }

  #conclude(
    peer: PeerKey,
    direction: NeighbourCheck['direction'],
    steps: readonly NeighbourCheckStep[],
  ): NeighbourCheck {
    return { peer, direction, isValid: steps.every(({ verdict }) => verdict === 'passed'), steps };
  }
}
