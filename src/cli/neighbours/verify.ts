import { z } from 'zod';
import { PeerKey } from '../../domain/ids.ts';
import type { NeighbourCheck } from '../../network/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { type CliOutput, defineCommand } from '../interface.ts';

export const neighboursVerify = defineCommand({
  name: 'neighbours verify',
  summary: 'check again why a peer is a neighbour',
  details:
    'An inbound neighbour is checked by the proof that it once showed, an outbound one by the proof of this node: epoch, beacon, record, key, proof, rank, age, bound. Exit code 0 if every check passed, 1 if not or if the peer is no neighbour.',
  arguments: [{ name: 'peer', description: 'whole peer id', isRequired: true }],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof neighbours verify 12D3KooW…', does: 'Each check with its verdict.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    const peer = PeerKey(text);
    await using client = await context.connect();
    const { checks } = await client.call('neighbours.verify', { peer }, { signal: context.signal });
    context.output.result({ peer, checks }, () => renderNeighbourChecks(checks, context.output));
    return checks.every(({ isValid }) => isValid) ? EXIT_CODES.ok : EXIT_CODES.failed;
  },
});

export function renderNeighbourChecks(
  checks: readonly JsonForm<NeighbourCheck>[],
  output: Pick<CliOutput, 'table'>,
): string[] {
  return checks.flatMap(({ peer, direction, isValid, steps }) =>
    direction === null
      ? [`${peer} is no neighbour of this node`]
      : [
          `${peer}, ${direction}: ${isValid ? 'valid' : 'NOT valid'}`,
          ...output.table(
            ['CHECK', 'VERDICT', 'DETAIL'],
            steps.map(({ name, verdict, detail }) => [name, verdict, detail]),
          ),
        ],
  );
}
