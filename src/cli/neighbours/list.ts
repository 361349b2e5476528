import { z } from 'zod';
import type { NeighbourStatus } from '../../network/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatWhen, plural, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { renderNeighbourSummary } from './render-summary.ts';

type List = JsonForm<NeighbourStatus>;

export const neighboursList = defineCommand({
  name: 'neighbours list',
  summary: 'list the neighbours of this node, and why they are',
  details:
    'Each epoch the VRF of a node ranks all peers that are old enough, and half of its slots go to the lowest ranks. RANK is the rank as a share of the highest that a peer accepts. WHY: ranked (at the turn of an epoch), healing (in place of one that was lost), genesis (ages could not be told yet). See docs/neighbours.md.',
  arguments: [],
  options: z.strictObject({
    refusals: z.boolean().default(false).describe('who refused in this epoch, and why').meta({ short: 'r' }),
    full: z.boolean().default(false).describe('whole peer ids'),
  }),
  examples: [
    { line: 'fogproof neighbours', does: 'Neighbours in both directions, and the state of the choice.' },
    { line: 'fogproof neighbours --refusals', does: 'With those of a low rank that did not become neighbours.' },
  ],
  run: async ({ options }, context) => {
    await using client = await context.connect();
    const list = await client.call('neighbours.list', {}, { signal: context.signal });
    context.output.result(list, () =>
      renderNeighbours(list, { output: context.output, ...options, nowMs: Date.now() }),
    );
    return EXIT_CODES.ok;
  },
});

interface RenderOptions {
  readonly output: Pick<CliOutput, 'table'>;
  readonly refusals: boolean;
  readonly full: boolean;
  readonly nowMs: number;
}

export function renderNeighbours(list: List, options: RenderOptions): string[] {
  const { output, refusals, full, nowMs } = options;
  const name = full ? (peer: string) => peer : shortPeer;
  const rows = list.neighbours.map((view) => [
    name(view.peer),
    view.isConnected ? view.direction : `${view.direction}, away`,
    `${(100 * view.shareOfBound).toFixed(2)} %`,
    `${view.epoch} to ${view.endsAtEpoch - 1}`,
    formatWhen(view.sinceMs, nowMs),
    view.why,
    view.groups.join(', ') || '-',
  ]);
  const shown =
    rows.length === 0 ? [] : output.table(['PEER', 'STATE', 'RANK', 'EPOCHS', 'SINCE', 'WHY', 'GROUP'], rows);
  const summary = renderNeighbourSummary(list);
  return [...shown, ...(rows.length === 0 ? [] : ['']), ...summary, ...(refusals ? renderRefusals(list, options) : [])];
}

function renderRefusals({ refusals }: List, { output, full }: RenderOptions): string[] {
  if (refusals.length === 0) return ['', 'nobody refused in this epoch'];
  const rows = refusals.map(({ peer, code, detail }) => [full ? peer : shortPeer(peer), code, detail]);
  return ['', ...output.table(['PEER', 'REASON', 'DETAIL'], rows), '', plural(refusals.length, 'refusal')];
}
