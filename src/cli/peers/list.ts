import { z } from 'zod';
import { formatSize } from '../../lib/quantity.ts';
import type { PeerView } from '../../rpc/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';

export const peersList = defineCommand({
  name: 'peers list',
  summary: 'list the peers that this node knows',
  details: 'What a peer can do is what its own signed record declares.',
  arguments: [],
  options: z.strictObject({
    connected: z.boolean().default(false).describe('only those connected now').meta({ short: 'c' }),
    providers: z.boolean().default(false).describe('only those that take jobs').meta({ short: 'p' }),
    full: z.boolean().default(false).describe('whole peer ids, and their addresses'),
  }),
  examples: [
    { line: 'fogproof peers', does: 'Everybody known, connected ones first.' },
    { line: 'fogproof peers --providers --full', does: 'Who takes jobs, with addresses to dial.' },
  ],
  run: async ({ options }, context) => {
    await using client = await context.connect();
    const { peers } = await client.call('peers.list', {}, { signal: context.signal });
    const shown = peers
      .filter(({ isConnected }) => isConnected || !options.connected)
      .filter(({ record }) => record?.provides === true || !options.providers)
      .toSorted((a, b) => Number(b.isConnected) - Number(a.isConnected) || (a.latencyMs ?? 1e9) - (b.latencyMs ?? 1e9));
    context.output.result({ peers: shown }, () => renderPeers(shown, { output: context.output, isFull: options.full }));
    return EXIT_CODES.ok;
  },
});

export function renderPeers(
  peers: readonly PeerView[],
  { output, isFull }: { readonly output: Pick<CliOutput, 'table'>; readonly isFull: boolean },
): string[] {
  if (peers.length === 0)
    return ['no peers: dial one with `fogproof peers connect ADDR`, or start with --bootstrap ADDR'];
  const head = ['PEER', 'STATE', 'LATENCY', 'FROM', 'WORK', 'CORES', 'MEMORY', 'PRICE/H', 'VERSION'];
  const rows = peers.map((peer) => [
    isFull ? peer.peer : shortPeer(peer.peer),
    peer.isConnected ? (peer.direction ?? 'connected') : 'known',
    peer.latencyMs === null ? '-' : `${peer.latencyMs.toFixed(1)} ms`,
    peer.source,
    ...renderRecord(peer.record),
    ...(isFull ? [peer.addresses.join(' ')] : []),
  ]);
  const connected = peers.filter(({ isConnected }) => isConnected).length;
  return [
    ...output.table(isFull ? [...head, 'ADDRESSES'] : head, rows),
    '',
    `${plural(peers.length, 'peer')}, ${connected} connected`,
  ];
}

function renderRecord(record: PeerView['record']): string[] {
  if (record === null) return ['no record', '-', '-', '-', '-'];
  const work = record.provides ? [...record.executors, ...record.gpus].join(', ') : 'none';
  return [
    work,
    String(record.cpuCores),
    formatSize(record.memoryBytes),
    record.pricesPerHour.join(', '),
    record.software,
  ];
}
