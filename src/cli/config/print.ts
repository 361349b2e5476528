import { z } from 'zod';
import { ConfigError } from '../../config/errors.ts';
import { describeOrigin } from '../../config/layers.ts';
import { loadConfig } from '../../config/load-config.ts';
import { collectChainRemarks } from '../../config/resolve-chain.ts';
import type { NodeConfig } from '../../config/schema.ts';
import { findSetting, hideSecrets, nearestSetting } from '../../config/settings.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';

export const configPrint = defineCommand({
  name: 'config print',
  summary: 'show every setting, its value and where it comes from',
  details:
    'The first that has a setting wins: flags, FOGPROOF_* variables, config.yaml in the data folder, the preset of the network, defaults. Also checks them all. Of the addresses of RPC endpoints only the host is shown: the rest may hold a key.',
  arguments: [{ name: 'setting', description: 'only this one, or those of this section', isRequired: false }],
  options: z.strictObject({}),
  examples: [
    { line: 'fogproof config print', does: 'Show everything.' },
    { line: 'fogproof config print provide', does: 'Show what this node offers to others.' },
    { line: 'FOGPROOF_PROVIDE_SLOTS=2 fogproof config print provide.slots', does: 'See that a variable takes effect.' },
  ],
  run: async ({ arguments: [wanted = ''] }, context) => {
    const { environment, workingDirectory, home, socket } = context;
    const loaded = await loadConfig({ environment, workingDirectory, flags: { home, socket } });
    const { config, origins } = loaded;
    const settings = [...origins]
      .filter(([key]) => wanted === '' || key === wanted || key.startsWith(`${wanted}.`))
      .map(([key, origin]) => ({ key, value: readShown(config, key), origin }));
    if (settings.length === 0) {
      const nearest = nearestSetting(wanted);
      throw new ConfigError({ code: 'CONFIG_UNKNOWN_KEY', key: wanted, origin: 'argument', nearest });
    }
    context.output.result({ settings }, () =>
      context.output.table(
        ['SETTING', 'VALUE', 'FROM'],
        settings.map(({ key, value, origin }) => [key, formatValue(value), describeOrigin(origin)]),
      ),
    );
    for (const remark of collectChainRemarks(loaded)) context.output.note(remark);
    return EXIT_CODES.ok;
  },
});

/** Keys of RPC providers stay out of terminals, logs and reports of defects. */
function readShown(config: NodeConfig, key: string): unknown {
  const setting = findSetting(key);
  return setting === undefined ? undefined : hideSecrets(setting, readIn(config, key));
}

function readIn(config: NodeConfig, path: string): unknown {
  let value: unknown = config;
  for (const key of path.split('.')) value = (value as Readonly<Record<string, unknown>>)[key];
  return value;
}

function formatValue(value: unknown): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return value.length === 0 ? '(empty)' : value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
