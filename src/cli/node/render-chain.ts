import { formatDuration } from '../../lib/quantity.ts';
import type { NodeStatus } from '../../rpc/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { plural } from '../format.ts';
import { formatSol } from '../sol-amount.ts';

type Chain = NonNullable<JsonForm<NodeStatus>['chain']>;
type Field = readonly [string, string | undefined];

/** Lines of `node status` about the chain and the beacon. */
export function renderChain({ chain, beacon }: Pick<JsonForm<NodeStatus>, 'chain' | 'beacon'>): readonly Field[] {
  return [...(chain === null ? [['chain', 'none'] as const] : renderChainFields(chain)), ...renderBeacon(beacon)];
}

/** `devnet`, or what a chain is that is none of Solana's clusters. */
export function describeCluster(cluster: Chain['cluster']): string {
  if (cluster === null) return 'unknown: no endpoint of this chain answers';
  return cluster.name ?? `a chain of its own (genesis ${cluster.genesis})`;
}

function renderChainFields({ cluster, expectedGenesis, endpoints, wallet, anchoring }: Chain): readonly Field[] {
  const { lamports } = wallet;
  const onTheirWay = `${plural(anchoring.batchesInFlight, 'batch', 'batches')} on the way`;
  return [
    ['chain', cluster === null ? `genesis ${expectedGenesis}: ${explainUnknown(endpoints)}` : describeCluster(cluster)],
    ...endpoints.map((endpoint) => ['endpoint', renderEndpoint(endpoint)] as const),
    ['wallet', `${wallet.address}, ${lamports === null ? 'balance unknown' : formatSol(BigInt(lamports))}`],
    ['anchoring', `${anchoring.anchored} anchored, ${anchoring.waiting} waiting, ${onTheirWay}`],
    ['', anchoring.problem === null ? undefined : `${anchoring.problem.code}: ${anchoring.problem.message}`],
  ];
}

/** An endpoint that is refused does answer: it is on another chain. */
function explainUnknown(endpoints: Chain['endpoints']): string {
  const refused = endpoints.filter(({ state }) => state === 'refused').length;
  if (refused === 0) return 'no endpoint answers';
  return refused === endpoints.length ? 'every endpoint is on another chain' : 'no endpoint of this chain answers';
}

function renderEndpoint({ url, state, slot, latencyMs, problem }: Chain['endpoints'][number]): string {
  const facts = [
    state === 'untried' ? 'not asked yet' : state,
    ...(slot === null ? [] : [`slot ${slot}`]),
    ...(latencyMs === null ? [] : [`${Math.round(latencyMs)} ms`]),
  ];
  return `${url}: ${facts.join(', ')}${problem === null ? '' : `: ${problem}`}`;
}

const SOURCES = { chain: 'from the chain', time: 'from the time alone', fixed: 'from a fixed seed' } as const;

function renderBeacon(beacon: JsonForm<NodeStatus>['beacon']): readonly Field[] {
  const { source, isPredictable, currentRound, currentEpoch, roundMs, latestKnown, problem } = beacon;
  const length = formatDuration(roundMs);
  const strength = isPredictable ? ', predictable' : '';
  const newest = latestKnown === null ? 'no value yet' : `newest value: round ${latestKnown.round}`;
  const block = latestKnown?.block ?? null;
  return [
    ['beacon', `round ${currentRound} of ${length}, epoch ${currentEpoch}, ${SOURCES[source]}${strength}; ${newest}`],
    ['', block === null ? undefined : `from the block of slot ${block.slot}`],
    ['', problem === null ? undefined : `${problem.code}: ${problem.message}`],
  ];
}
