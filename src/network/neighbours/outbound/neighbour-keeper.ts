import type { PeerKey } from '../../../domain/ids.ts';
import type { NeighbourResponse } from '../../../domain/messages.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import {
  type Candidate,
  chooseNeighbours,
  isGenesis,
  type RankedCandidate,
  rankCandidates,
  rankLowest,
} from '../../../vrf/selection.ts';
import type { NeighbourReason, NeighbourRefusal } from '../../interface.ts';
import { CrossCheck } from '../candidates/cross-check.ts';
import type { SizeEstimator } from '../candidates/size-estimator.ts';
import { MAX_CLAIM_ROUNDS, RANKED_KEPT } from '../constants.ts';
import type { Turn } from '../epochs/epoch-turns.ts';
import type { Epochs } from '../epochs/epochs.ts';
import { CLAIM_RULES } from '../inbound/claim-rules.ts';
import type { NeighbourMetrics } from '../metrics.ts';
import type { NeighbourOptions } from '../options.ts';
import type { CandidateSource, NeighbourLinks } from '../ports.ts';
import type { OutboundSlot } from '../slots.ts';
import type { TimerSet } from '../timer-set.ts';
import { OutboundSlots } from './outbound-slots.ts';
import { Refusals } from './refusals.ts';

export interface NeighbourKeeperModules {
  readonly clock: Clock;
  readonly timers: TimerSet;
  readonly random: Random;
  readonly epochs: Epochs;
  readonly table: CandidateSource;
  readonly links: NeighbourLinks;
  readonly sizes: SizeEstimator;
  readonly metrics: NeighbourMetrics;
  readonly inBackground: (task: () => Promise<void>) => void;
  /** The peer gained or lost a slot. */
  readonly onChange: (peer: PeerKey) => void;
  readonly signal: AbortSignal;
}

const CROWDED = { code: 'crowded', detail: 'where it really is, others are already' } as const;

/** The lowest ranks of a turn, of the table as it was. */
interface Ranking {
  readonly turn: Turn;
  readonly version: number;
  readonly isGenesis: boolean;
  readonly ranked: readonly RankedCandidate[];
  /** All candidates are in it: ranking again finds nobody else. */
  readonly isComplete: boolean;
}

/**
 * Chooses and keeps the neighbours of this node: half of the slots anew each epoch by the lowest ranks, a lost one
 * replaced by the next rank at once, whoever refuses passed over for the epoch.
 */
export class NeighbourKeeper {
  readonly #modules: NeighbourKeeperModules;
  readonly #options: NeighbourOptions;
  readonly #slots: OutboundSlots;
  readonly #refusals: Refusals;
  readonly #crossCheck: CrossCheck;
  /** Neighbours whose connection is gone, and since when (monotonic ms). */
  readonly #lost = new Map<PeerKey, number>();
  readonly #claiming = new Set<PeerKey>();
  #turn: Turn | null = null;
  #ranking: Ranking | null = null;
  #isFilling = false;
  #isFillWanted = false;
  /** The slots that the turn of the epoch has freed are being filled. */
  #isTurning = false;

  constructor(modules: NeighbourKeeperModules, options: NeighbourOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#slots = new OutboundSlots(options);
    this.#refusals = new Refusals(modules.clock);
    this.#crossCheck = new CrossCheck(modules, options);
  }

  get slots(): Pick<OutboundSlots, 'size' | 'free' | 'get' | 'list' | 'peers'> {
    return this.#slots;
  }

  get refusals(): readonly NeighbourRefusal[] {
    return this.#refusals.list();
  }

  /** This node has not watched for two epochs: nobody's age says anything. */
  get isGenesis(): boolean {
    const { table, epochs } = this.#modules;
    return table.beganEpoch === null || isGenesis({ upSinceEpoch: table.beganEpoch, epoch: epochs.current });
  }

  /** Slots of before a restart: taken for lost until they answer. */
  restore(slots: readonly OutboundSlot[]): void {
    const { current } = this.#modules.epochs;
    this.#slots.restore(slots.filter(({ endsAtEpoch }) => endsAtEpoch > current));
    for (const { peer } of this.#slots.list()) this.#noteLost(peer);
  }

  /** A new epoch: what is over ends, and the free slots go to the lowest ranks. */
  begin(turn: Turn): void {
    this.#turn = turn;
    this.#refusals.clear();
    for (const slot of this.#slots.endBefore(turn.epoch))
      this.#release(slot, { isEarly: slot.epoch + this.#options.slotEpochs > turn.epoch });
    this.#isTurning = true;
    this.fill();
  }

  /** Fills free slots, in the background; one run at a time. */
  fill(): void {
    this.#isFillWanted = true;
    if (this.#isFilling || this.#turn === null) return;
    this.#isFilling = true;
    this.#modules.inBackground(async () => {
      try {
        await this.#fillWhileWanted();
      } finally {
        this.#isFilling = false;
        this.#isTurning = false;
      }
    });
  }

  noteConnection(peer: PeerKey, isConnected: boolean): void {
    if (this.#slots.get(peer) === undefined) return;
    if (isConnected) this.#recoverSoon(peer, 0);
    else this.#noteLost(peer);
  }

  /** It came back from where as many candidates are as may be. */
  noteCrowded(peer: PeerKey): void {
    this.#drop(peer, { peer, ...CROWDED }, null);
  }

  /** The other side ended the slot. */
  noteLeft(peer: PeerKey, epoch: number): void {
    if (this.#slots.get(peer)?.epoch !== epoch) return;
    this.#drop(peer, { peer, code: 'left', detail: 'it let this node go' }, null);
  }

  /** Lets go of neighbours whose record has expired for good, and tries free slots again. */
  upkeep(): void {
    const { table, clock } = this.#modules;
    for (const { peer } of this.#slots.list()) {
      const known = table.get(peer);
      // Not seen since a restart: it is asked for its slot, that is enough.
      if (known === undefined || known.expiresAtMs === 0) continue;
      if (known.expiresAtMs + this.#options.skewMs > clock.nowMs()) continue;
      this.#drop(peer, { peer, code: 'expired', detail: 'its node record has expired' }, null);
    }
    this.fill();
  }

  async #fillWhileWanted(): Promise<void> {
    while (this.#isFillWanted && !this.#modules.signal.aborted) {
      this.#isFillWanted = false;
      await this.#fill();
    }
  }

  async #fill(): Promise<void> {
    const { signal } = this.#modules;
    for (let round = 0; round < MAX_CLAIM_ROUNDS && !signal.aborted; round += 1) {
      const turn = this.#turn;
      if (turn === null || this.#modules.links.ownRecord() === null) return;
      const chosen = this.#choose(turn);
      if (chosen.length === 0) return this.#seek();
      const known = chosen.flatMap(({ peer }) => this.#modules.table.get(peer) ?? []);
      const unknown = await this.#crossCheck.findUnknown(known, [...this.#slots.peers()], signal);
      for (const peer of unknown) {
        // Its record may be on its way to them.
        const retryMs = this.#modules.epochs.within(this.#options.upkeepMs, 8);
        this.#refuse({ peer, code: 'unknown-to-others', detail: 'neighbours do not know it' }, retryMs);
      }
      const checked = chosen.filter(({ peer }) => !unknown.has(peer));
      await Promise.all(checked.map((candidate) => this.#claim(candidate, turn)));
    }
  }

  #choose(turn: Turn): readonly RankedCandidate[] {
    const { free } = this.#slots;
    if (free <= 0) return [];
    const held = this.#slots.list().flatMap(({ peer }) => this.#modules.table.get(peer)?.candidate ?? []);
    const isUsable = ({ peer }: RankedCandidate): boolean =>
      this.#slots.get(peer) === undefined && !this.#refusals.isBarred(peer);
    const choose = (ranked: readonly RankedCandidate[]) =>
      chooseNeighbours({ ranked, slots: free, held, caps: this.#options.caps, isUsable });
    const kept = this.#rank(turn);
    const chosen = choose(kept.ranked);
    return chosen.length === free || kept.isComplete
      ? chosen
      : choose(rankCandidates(turn.output, this.#candidates(turn)));
  }

  /** The lowest ranks; all of them would be too many to keep. */
  #rank(turn: Turn): Ranking {
    const { version } = this.#modules.table;
    const last = this.#ranking;
    if (last?.turn === turn && last.version === version && last.isGenesis === this.isGenesis) return last;
    const ranked = rankLowest(turn.output, this.#candidates(turn), RANKED_KEPT);
    this.#ranking = { turn, version, isGenesis: this.isGenesis, ranked, isComplete: ranked.length < RANKED_KEPT };
    return this.#ranking;
  }

  *#candidates({ epoch }: Turn): Iterable<Candidate> {
    const { table, clock } = this.#modules;
    for (const { candidate } of table.eligible({ epoch, nowMs: clock.nowMs(), isGenesis: this.isGenesis })) {
      if (candidate.peer !== this.#options.self) yield candidate;
    }
  }

  async #claim(candidate: RankedCandidate, turn: Turn): Promise<void> {
    const { peer, rank } = candidate;
    const { clock } = this.#modules;
    const wasGenesis = this.isGenesis;
    const answer = await this.#send(peer, turn);
    if (this.#modules.signal.aborted) return;
    if (answer.kind === 'refused') return this.#refuse({ peer, ...answer }, this.#retryOf(answer.code));
    if (this.#turn !== turn || this.#slots.free <= 0) return this.#leave(peer, turn.epoch);
    const hasRoom = this.#modules.table.noteObserved(peer, this.#modules.links.observedAddresses(peer));
    if (!hasRoom || this.#isCrowded(peer)) {
      this.#leave(peer, turn.epoch);
      return this.#refuse({ peer, ...CROWDED }, null);
    }
    const { epoch, proof } = turn;
    const endsAtEpoch = this.#slots.findEnd(epoch);
    const why = this.#explain(wasGenesis);
    this.#slots.add({ peer, epoch, proof, rank, endsAtEpoch, sinceMs: clock.nowMs(), why });
    this.#modules.metrics.chosen.increment({ why });
    this.#modules.onChange(peer);
    // It may have gone between its answer and now.
    if (!this.#modules.links.isConnected(peer)) this.#noteLost(peer);
  }

  #explain(wasGenesis: boolean): NeighbourReason {
    if (wasGenesis) return 'genesis';
    return this.#isTurning ? 'ranked' : 'healing';
  }

  /** Shows the proof. Claiming the same slot twice is harmless. */
  async #send(
    peer: PeerKey,
    { epoch, proof }: Pick<Turn, 'epoch' | 'proof'>,
  ): Promise<{ kind: 'accepted' } | { kind: 'refused'; code: NeighbourRefusal['code']; detail: string }> {
    const { links, sizes, signal } = this.#modules;
    const record = links.ownRecord();
    if (record === null) return { kind: 'refused', code: 'unreachable', detail: 'there is no own record yet' };
    const { vrfPublicKey } = this.#options;
    let response: NeighbourResponse;
    try {
      response = await links.request(peer, { op: 'claim', epoch, vrfPublicKey, proof, record }, { signal });
    } catch (error) {
      return { kind: 'refused', code: 'unreachable', detail: describeError(error).slice(0, 200) };
    }
    if (response.kind === 'refused') return response;
    if (response.kind !== 'accepted')
      return { kind: 'refused', code: 'unreachable', detail: 'it answered something else' };
    sizes.noteReport(peer, response.networkSize);
    return { kind: 'accepted' };
  }

  /** Whether the groups of a peer, known better now that it is connected, exceed a cap. */
  #isCrowded(peer: PeerKey): boolean {
    const candidate = this.#modules.table.get(peer)?.candidate;
    if (candidate === undefined) return false;
    const held = this.#slots.list().flatMap((slot) => this.#modules.table.get(slot.peer)?.candidate ?? []);
    const ranked = [{ ...candidate, rank: new Uint8Array(32) }];
    return chooseNeighbours({ ranked, slots: 1, held, caps: this.#options.caps }).length === 0;
  }

  #retryOf(code: NeighbourRefusal['code']): number | null {
    const isForNow =
      code === 'unreachable' || (code in CLAIM_RULES && CLAIM_RULES[code as keyof typeof CLAIM_RULES].isForNow);
    return isForNow ? this.#modules.epochs.within(this.#options.upkeepMs, 8) : null;
  }

  #refuse(refusal: NeighbourRefusal, retryMs: number | null): void {
    this.#refusals.add(refusal, retryMs);
    this.#modules.metrics.refusedBy.increment({ code: refusal.code });
  }

  /** Ends a slot and fills it again. */
  #drop(peer: PeerKey, refusal: NeighbourRefusal, retryMs: number | null): void {
    const slot = this.#slots.remove(peer);
    if (slot === null) return;
    this.#refuse(refusal, retryMs);
    this.#modules.metrics.lost.increment({ code: refusal.code });
    this.#release(slot, { isEarly: refusal.code !== 'left' });
    this.fill();
  }

  #release(slot: OutboundSlot, { isEarly }: { readonly isEarly: boolean }): void {
    this.#lost.delete(slot.peer);
    if (isEarly) this.#leave(slot.peer, slot.epoch);
    this.#modules.onChange(slot.peer);
  }

  /** Tells the other side that its slot is free, if it is there to hear it. */
  #leave(peer: PeerKey, epoch: number): void {
    const { links, signal, inBackground } = this.#modules;
    if (!links.isConnected(peer)) return;
    inBackground(async () => {
      // Whoever does not hear it ends the slot with its epoch.
      await links.request(peer, { op: 'leave', epoch, claim: 'mine' }, { signal }).catch(() => undefined);
    });
  }

  #noteLost(peer: PeerKey): void {
    if (this.#lost.has(peer)) return;
    this.#lost.set(peer, this.#modules.clock.monotonicMs());
    this.#recoverSoon(peer, this.#modules.epochs.within(this.#options.graceMs, 8) / 4);
  }

  #recoverSoon(peer: PeerKey, delayMs: number): void {
    if (!this.#lost.has(peer)) return;
    this.#modules.timers.after(delayMs, () => this.#modules.inBackground(() => this.#recover(peer)));
  }

  /** Claims the slot of a lost neighbour again, until it answers or its grace is over. */
  async #recover(peer: PeerKey): Promise<void> {
    const { clock, epochs, signal } = this.#modules;
    const slot = this.#slots.get(peer);
    const lostAtMs = this.#lost.get(peer);
    if (slot === undefined || lostAtMs === undefined || this.#claiming.has(peer)) return;
    this.#claiming.add(peer);
    const answer = await this.#send(peer, slot);
    this.#claiming.delete(peer);
    if (signal.aborted || this.#slots.get(peer) !== slot || !this.#lost.has(peer)) return;
    if (answer.kind === 'accepted') {
      this.#lost.delete(peer);
      this.#modules.onChange(peer);
      return;
    }
    const graceMs = epochs.within(this.#options.graceMs, 8);
    const isOver = clock.monotonicMs() - lostAtMs >= graceMs;
    if (answer.code === 'unreachable' && !isOver) return this.#recoverSoon(peer, graceMs / 4);
    this.#drop(peer, { peer, code: answer.code, detail: answer.detail }, this.#retryOf(answer.code));
  }

  #seek(): void {
    if (this.#slots.free <= 0) return;
    this.#modules.links.seekCandidates([...this.#slots.peers()]);
  }
}
