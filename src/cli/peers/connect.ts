import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';

export const peersConnect = defineCommand({
  name: 'peers connect',
  summary: 'dial a peer',
  arguments: [{ name: 'address', description: 'multiaddr with its /p2p/ part', isRequired: true }],
  options: z.strictObject({}),
  examples: [
    { line: 'fogproof peers connect /ip4/192.0.2.1/tcp/4717/p2p/12D3KooW…', does: 'Connect to that peer now.' },
  ],
  run: async ({ arguments: [address = ''] }, context) => {
    await using client = await context.connect();
    const { peer } = await client.call('peers.connect', { address }, { signal: context.signal });
    context.output.result({ peer }, () => [`connected to ${peer}`]);
    return EXIT_CODES.ok;
  },
});
