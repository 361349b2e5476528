import type { PeerKey } from '../../../domain/ids.ts';
import type { ClaimRefusal, NeighbourClaim, NeighbourRequest, NeighbourResponse } from '../../../domain/messages.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { DiversityGroup } from '../../../vrf/selection.ts';
import type { Epochs } from '../epochs/epochs.ts';
import type { NeighbourMetrics } from '../metrics.ts';
import type { NeighbourOptions } from '../options.ts';
import type { CandidateSource, NeighbourLinks } from '../ports.ts';
import type { InboundSlot } from '../slots.ts';
import type { TimerSet } from '../timer-set.ts';
import type { ClaimChecker } from './claim-checker.ts';
import { InboundSlots } from './inbound-slots.ts';

export interface InboundDeskModules {
  readonly clock: Clock;
  readonly timers: TimerSet;
  readonly epochs: Epochs;
  readonly table: CandidateSource;
  readonly links: NeighbourLinks;
  readonly checker: ClaimChecker;
  readonly metrics: NeighbourMetrics;
  readonly networkSize: () => number;
  /** This node has not watched for two epochs itself. */
  readonly isGenesis: () => boolean;
  /** A peer says that it ends the slot that this node claimed. */
  readonly onLeft: (peer: PeerKey, epoch: number) => void;
  readonly inBackground: (task: () => Promise<void>) => void;
  /** The peer gained or lost a slot. */
  readonly onChange: (peer: PeerKey) => void;
  readonly signal: AbortSignal;
}

/** neighbour/1, the answering side: claims on inbound slots, their end, and since when pairs are known. */
export class InboundDesk {
  readonly #modules: InboundDeskModules;
  readonly #options: NeighbourOptions;
  readonly #slots: InboundSlots;

  constructor(modules: InboundDeskModules, options: NeighbourOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#slots = new InboundSlots(options);
  }

  get slots(): Pick<InboundSlots, 'size' | 'get' | 'list'> {
    return this.#slots;
  }

  restore(slots: readonly InboundSlot[]): void {
    const { current } = this.#modules.epochs;
    this.#slots.restore(slots.filter(({ epoch }) => epoch + this.#options.slotEpochs > current));
    for (const { peer } of this.#slots.list()) this.#removeUnlessBack(peer);
  }

  begin(epoch: number): void {
    for (const { peer } of this.#slots.endBefore(epoch)) this.#modules.onChange(peer);
    this.#modules.checker.sweep();
  }

  async answer(peer: PeerKey, request: NeighbourRequest): Promise<NeighbourResponse> {
    switch (request.op) {
      case 'claim':
        return this.#answerClaim(peer, request);
      case 'leave':
        if (request.claim === 'yours') this.#modules.onLeft(peer, request.epoch);
        else if (this.#slots.get(peer)?.epoch === request.epoch) this.#remove(peer);
        return { kind: 'done' };
      case 'known':
        return { kind: 'known', since: request.pairs.map((pair) => this.#findSince(pair)) };
      default:
        return request satisfies never;
    }
  }

  noteConnection(peer: PeerKey, isConnected: boolean): void {
    if (this.#slots.get(peer) === undefined) return;
    if (!isConnected) return this.#removeUnlessBack(peer);
    const ended = this.#slots.regroup(peer, this.#findGroups(peer));
    if (ended !== null) this.#dismiss(ended);
  }

  async #answerClaim(peer: PeerKey, claim: NeighbourClaim): Promise<NeighbourResponse> {
    const { checker, signal, links } = this.#modules;
    if (signal.aborted) return this.#refuse('stopping', '');
    const checked = await checker.check({ ...claim, peer }, signal).catch((error: unknown) => {
      if (signal.aborted) return null;
      throw error;
    });
    if (checked === null) return this.#refuse('stopping', '');
    const { refusal, rank } = checked;
    if (refusal !== null) {
      if (refusal.penalty > 0) links.penalise(peer, refusal.penalty);
      return this.#refuse(refusal.code, refusal.detail);
    }
    return rank === null
      ? this.#refuse('bad-proof', 'no rank')
      : this.#place(peer, claim, { rank, isYoung: checked.isYoung });
  }

  #place(
    peer: PeerKey,
    { epoch, proof, vrfPublicKey }: NeighbourClaim,
    { rank, isYoung }: { readonly rank: Uint8Array; readonly isYoung: boolean },
  ): NeighbourResponse {
    const { table, links, clock, metrics } = this.#modules;
    table.noteObserved(peer, links.observedAddresses(peer));
    const groups = this.#findGroups(peer);
    const why = isYoung ? 'genesis' : 'ranked';
    const slot: InboundSlot = { peer, epoch, proof, vrfPublicKey, rank, sinceMs: clock.nowMs(), why, groups };
    const placement = this.#slots.place(slot, { takesYoung: this.#modules.isGenesis() });
    if (placement.kind === 'refused') {
      if (placement.ended !== null) this.#modules.onChange(peer);
      return this.#refuse(placement.code, placement.detail);
    }
    if (placement.evicted !== null) this.#dismiss(placement.evicted);
    metrics.claims.increment({ code: 'accepted' });
    this.#modules.onChange(peer);
    return { kind: 'accepted', networkSize: this.#modules.networkSize() };
  }

  #refuse(code: ClaimRefusal, detail: string): NeighbourResponse {
    this.#modules.metrics.claims.increment({ code });
    return { kind: 'refused', code, detail };
  }

  #findSince(pair: { readonly peer: PeerKey; readonly vrfPublicKey: Uint8Array }): number | null {
    const known = this.#modules.table.get(pair.peer);
    return known !== undefined && areBytesEqual(known.vrfPublicKey, pair.vrfPublicKey) ? known.firstSeenEpoch : null;
  }

  /** Whoever has no place in the table is somewhere all the same. */
  #findGroups(peer: PeerKey): readonly DiversityGroup[] {
    const { table, links } = this.#modules;
    return table.get(peer)?.candidate.groups ?? table.groupsAt(links.observedAddresses(peer));
  }

  /** Tells an evicted peer that it is one no more. */
  #dismiss({ peer, epoch }: InboundSlot): void {
    const { links, signal, inBackground } = this.#modules;
    this.#modules.onChange(peer);
    if (!links.isConnected(peer)) return;
    inBackground(async () => {
      // Whoever does not hear it is refused when it claims again.
      await links.request(peer, { op: 'leave', epoch, claim: 'yours' }, { signal }).catch(() => undefined);
    });
  }

  #removeUnlessBack(peer: PeerKey): void {
    const { timers, epochs, links } = this.#modules;
    const slot = this.#slots.get(peer);
    timers.after(epochs.within(this.#options.graceMs, 8), () => {
      if (this.#slots.get(peer) === slot && !links.isConnected(peer)) this.#remove(peer);
    });
  }

  #remove(peer: PeerKey): void {
    if (this.#slots.remove(peer) !== null) this.#modules.onChange(peer);
  }
}
