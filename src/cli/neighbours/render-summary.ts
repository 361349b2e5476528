import type { NeighbourStatus } from '../../network/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { plural } from '../format.ts';

export type NeighbourSummary = Omit<JsonForm<NeighbourStatus>, 'neighbours' | 'refusals'>;

/** The state of the choice in a few sentences: for `neighbours` and `node status`. */
export function renderNeighbourSummary(summary: NeighbourSummary): string[] {
  const { outbound, slots, inbound, inboundSlots, candidates, networkSize } = summary;
  const chosen = `${outbound} of ${plural(slots, 'neighbour')}; neighbour of ${inbound}, of at most ${inboundSlots}`;
  const known = `${candidates.eligible} of ${plural(candidates.known, 'known peer')} may be chosen`;
  return [
    `${chosen}; ${known}; about ${plural(networkSize, 'node')} in the network`,
    renderEpoch(summary),
    ...(summary.isGenesis ? ['genesis: not up for two epochs, so everybody that is known may be chosen'] : []),
  ];
}

function renderEpoch({ epoch, chosenAtEpoch, problem, isPredictable }: NeighbourSummary): string {
  if (chosenAtEpoch === null) {
    return problem === null
      ? `epoch ${epoch}: the first choice is about to be made`
      : `epoch ${epoch}: no choice yet: ${problem.code}: ${problem.message}`;
  }
  const beacon = isPredictable === true ? ', by a predictable beacon' : '';
  if (problem === null) return `epoch ${epoch}, chosen at ${chosenAtEpoch}${beacon}`;
  return `epoch ${epoch}: the choice of ${chosenAtEpoch} stands${beacon}: ${problem.code}: ${problem.message}`;
}
