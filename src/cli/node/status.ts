import { z } from 'zod';
import { formatDuration, formatSize } from '../../lib/quantity.ts';
import type { NodeStatus } from '../../rpc/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatDateTime, plural, renderFields, shortId, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { renderNeighbourSummary } from '../neighbours/render-summary.ts';
import { renderChain } from './render-chain.ts';

export const nodeStatus = defineCommand({
  name: 'node status',
  summary: 'show what the daemon is doing',
  arguments: [],
  options: z.strictObject({}),
  examples: [
    {
      line: 'fogproof node status',
      does: 'Identity, network, peers, work, chain, beacon, and what is weaker than it could be.',
    },
    { line: 'fogproof node status --json', does: 'The same for a script; exit code 4 if no daemon runs.' },
  ],
  run: async (_, context) => {
    await using client = await context.connect();
    const status = await client.call('node.status', {}, { signal: context.signal });
    context.output.result(status, () => renderStatus(status, context.output));
    return EXIT_CODES.ok;
  },
});

export function renderStatus(status: JsonForm<NodeStatus>, output: Pick<CliOutput, 'table'>): string[] {
  const { network, provider, jobs } = status;
  const refused = network.bootstrap.filter(({ outcome }) => outcome === 'refused');
  const lines = renderFields([
    ['peer', status.peer],
    [
      'network',
      `${status.networkId} (${status.preset})${network.isDegraded ? ': degraded, no bootstrap peer answers' : ''}`,
    ],
    ['version', `${status.version}, process ${status.pid}`],
    [
      'up',
      `${formatDuration(status.uptimeMs)}, since ${formatDateTime(status.startedAtMs)}, ready after ${Math.round(status.readyAfterMs)} ms`,
    ],
    ['memory', formatSize(status.memoryBytes)],
    ['listen', network.listen.length === 0 ? 'nowhere' : network.listen.join('\n         ')],
    ['reached', renderReachability(network.reachability)],
    ['peers', `${network.connections} connected, ${status.peersKnown} known, ${network.dhtPeers} in the DHT`],
    ['neighbours', renderNeighbourSummary(status.neighbours).join('\n            ')],
    ['gossip', renderGossip(network.gossip)],
    ['work', renderWork(provider)],
    ['queue', renderQueue(provider)],
    ['jobs', `${jobs.active} active, ${jobs.total} in all`],
    ...renderChain(status),
    ['home', status.home],
    ['socket', status.socket],
    ...refused.map(({ address, reason }) => ['refused', `${address}: ${reason ?? 'no reason given'}`] as const),
    ...(network.duplicateIdentity === null
      ? []
      : [
          [
            'warning',
            `another daemon runs under this identity at ${network.duplicateIdentity.addresses.join(', ')}`,
          ] as const,
        ]),
    ...status.remarks.map((remark) => ['remark', remark] as const),
  ]);
  if (provider.attempts.length === 0) return lines;
  const rows = provider.attempts.map(({ job, lease, requester, phase }) => [
    shortId(job),
    shortId(lease),
    shortPeer(requester),
    phase,
  ]);
  return [...lines, '', ...output.table(['JOB', 'LEASE', 'FOR', 'PHASE'], rows)];
}

function renderReachability({
  kind,
  reason,
  relays,
  relaying,
}: JsonForm<NodeStatus>['network']['reachability']): string {
  const through = relays.length === 0 ? '' : `, reached through ${plural(relays.length, 'relay')} ${relays.join(', ')}`;
  const serves = relaying === null ? '' : `; relays for ${relaying.taken} of at most ${relaying.of}`;
  return `${kind}${through}${serves} (${reason})`;
}

function renderGossip(gossip: JsonForm<NodeStatus>['network']['gossip']): string | undefined {
  const topics = Object.entries(gossip).map(([topic, { meshPeers }]) => `${topic} (${meshPeers})`);
  return topics.length === 0 ? undefined : topics.join(', ');
}

function renderQueue({ isEnabled, queue }: JsonForm<NodeStatus>['provider']): string | undefined {
  if (!isEnabled || (queue.attempts === 0 && queue.expectedWaitMs === 0)) return undefined;
  return `${plural(queue.attempts, 'attempt')} waiting; a new job would start in ${formatDuration(queue.expectedWaitMs)}`;
}

function renderWork(provider: JsonForm<NodeStatus>['provider']): string {
  const { isEnabled, isDraining, closed, slots, completed, failed } = provider;
  if (!isEnabled) return 'takes no jobs of others';
  const running = `${slots.running} of ${plural(slots.total, 'slot')} running`;
  const state = isDraining && closed === null ? 'draining' : `${renderClosed(closed)}${running}`;
  return `${state}, ${slots.reserved} reserved; ${completed} completed, ${failed} failed`;
}

function renderClosed(closed: JsonForm<NodeStatus>['provider']['closed']): string {
  if (closed === null) return '';
  const how = closed.reason === 'panic' ? 'stopped by `node panic`' : 'drained';
  return `${how} since ${formatDateTime(closed.sinceMs)} (\`fogproof node resume\` ends that), `;
}
