import { z } from 'zod';
import { ConfigError } from '../../config/errors.ts';
import { loadConfig } from '../../config/load-config.ts';
import { LOCAL_NETWORK, NetworkStore } from '../../config/network-store.ts';
import { resolveHome } from '../../config/paths.ts';
import { identifyCluster } from '../../domain/chain.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { type CliContext, defineCommand } from '../interface.ts';

export const networkList = defineCommand({
  name: 'network list',
  summary: 'list the networks of this data folder',
  arguments: [],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof network list', does: 'Show every network; the one in use has a star.' }],
  run: async (_, context) => {
    const home = resolveHome(context.environment, context.home);
    const store = new NetworkStore({ home });
    const ids = [...new Set([LOCAL_NETWORK.id, ...(await store.listIds())])];
    const current = await findCurrent(context, home);
    const networks = await Promise.all(
      ids.map(async (id) => {
        const { preset, bootstrap, chain, preSharedKey } = await store.read(id);
        return {
          id,
          isCurrent: id === current,
          preset,
          chain: chain.kind === 'none' ? null : (identifyCluster(chain.genesis).name ?? 'local'),
          bootstrap: bootstrap.length,
          isPrivate: preSharedKey !== null,
        };
      }),
    );
    context.output.result({ networks }, () =>
      context.output.table(
        ['', 'NETWORK', 'PRESET', 'CHAIN', 'BOOTSTRAP PEERS', 'PRIVATE'],
        networks.map((each) => [
          each.isCurrent ? '*' : '',
          each.id,
          each.preset,
          each.chain ?? 'none',
          String(each.bootstrap),
          each.isPrivate ? 'yes' : 'no',
        ]),
      ),
    );
    return EXIT_CODES.ok;
  },
});

/** The list is what helps when the network in use is not there. */
async function findCurrent(context: CliContext, home: string): Promise<string | null> {
  const { environment, workingDirectory } = context;
  try {
    return (await loadConfig({ environment, workingDirectory, flags: { home } })).network.id;
  } catch (error) {
    if (!(error instanceof ConfigError) || error.code !== 'CONFIG_NETWORK_UNKNOWN') throw error;
    context.output.note(error.message);
    return null;
  }
}
