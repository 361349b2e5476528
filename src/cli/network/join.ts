import { z } from 'zod';
import { resolveHome } from '../../config/paths.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { joinNetwork, readNetworkArgument } from './network-argument.ts';
import { describeReplaced, findInStore } from './replaced.ts';

export const networkJoin = defineCommand({
  name: 'network join',
  summary: 'make a network the one of this data folder',
  details: 'A running daemon stays in its network until it is started again.',
  arguments: [{ name: 'network', description: 'file, invite, or id of a network joined before', isRequired: true }],
  options: z.strictObject({
    replace: z.boolean().default(false).describe('if another network of that id was joined before, replace it'),
  }),
  examples: [
    { line: 'fogproof network join lab.network.json', does: 'Join the network that the file describes.' },
    { line: 'fogproof network join fogproof1…', does: 'The same with an invite.' },
    { line: 'fogproof network join local', does: 'Go back to the network of this machine.' },
  ],
  run: async ({ arguments: [given = ''], options }, context) => {
    const home = resolveHome(context.environment, context.home);
    const network = await readNetworkArgument(given, { home, workingDirectory: context.workingDirectory });
    const replaced = options.replace ? await findInStore(home, network.id) : undefined;
    const path = await joinNetwork(home, network, { existing: options.replace ? 'replace' : 'keep' });
    const result = { network: network.id, preset: network.preset, path, replaced: replaced?.path ?? null };
    context.output.result(result, () => [
      `joined ${network.id} (${network.preset})`,
      ...(replaced === undefined ? [] : [`replaced ${describeReplaced(replaced)}`]),
    ]);
    context.output.note('A daemon that runs already joins it when it is started again.');
    return EXIT_CODES.ok;
  },
});
