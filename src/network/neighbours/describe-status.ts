import { encodeHex } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { NeighbourDirection, NeighbourStatus, NeighbourView } from '../interface.ts';
import type { EpochTurns } from './epochs/epoch-turns.ts';
import type { Epochs } from './epochs/epochs.ts';
import type { InboundDesk } from './inbound/inbound-desk.ts';
import type { NeighbourOptions } from './options.ts';
import type { NeighbourKeeper } from './outbound/neighbour-keeper.ts';
import type { CandidateSource, NeighbourLinks } from './ports.ts';
import type { InboundSlot, OutboundSlot } from './slots.ts';

export interface StatusSources {
  readonly table: CandidateSource;
  readonly clock: Clock;
  readonly links: NeighbourLinks;
  readonly keeper: NeighbourKeeper;
  readonly desk: InboundDesk;
  readonly turns: EpochTurns;
  readonly epochs: Epochs;
  readonly networkSize: number;
}

export function describeStatus(sources: StatusSources, options: NeighbourOptions): NeighbourStatus {
  const { table, clock, keeper, desk, turns, epochs, networkSize } = sources;
  const { turn } = turns;
  const epoch = epochs.current;
  const { isGenesis } = keeper;
  const eligible = [...table.eligible({ epoch, nowMs: clock.nowMs(), isGenesis })].length;
  return {
    epoch,
    chosenAtEpoch: turn?.epoch ?? null,
    problem: turns.problem,
    slots: options.slots,
    outbound: keeper.slots.size,
    inboundSlots: options.inboundSlots,
    inbound: desk.slots.size,
    isGenesis,
    isPredictable: turn?.isPredictable ?? null,
    networkSize,
    candidates: { known: table.size, eligible },
    neighbours: [
      ...keeper.slots.list().map((slot) => describeSlot(slot, 'outbound', slot.endsAtEpoch)),
      ...desk.slots.list().map((slot) => describeSlot(slot, 'inbound', slot.epoch + options.slotEpochs)),
    ],
    refusals: keeper.refusals,
  };

  function describeSlot(
    slot: OutboundSlot | InboundSlot,
    direction: NeighbourDirection,
    endsAtEpoch: number,
  ): NeighbourView {
    const bound = Math.min(1, (options.slack * options.slots) / networkSize);
    const groups = table.get(slot.peer)?.candidate.groups ?? [];
    return {
      peer: slot.peer,
      direction,
      epoch: slot.epoch,
      endsAtEpoch,
      rank: encodeHex(slot.rank),
      shareOfBound: readShare(slot.rank) / bound,
      sinceMs: slot.sinceMs,
      why: slot.why,
      isConnected: sources.links.isConnected(slot.peer),
      groups: groups.map(({ kind, key }) => `${kind} ${key}`),
    };
  }
}

/** A rank as a share of 2^256, to 48 bits. */
function readShare(rank: Uint8Array): number {
  return rank.slice(0, 6).reduceRight((share, byte) => (share + byte) / 256, 0);
}
