import { z } from 'zod';
import { ConfigError } from '../../config/errors.ts';
import { describeOrigin } from '../../config/layers.ts';
import { type LoadedConfig, loadConfig } from '../../config/load-config.ts';
import { collectChainRemarks } from '../../config/resolve-chain.ts';
import type { NodeConfig } from '../../config/schema.ts';
import { findSetting, formatWithUnit, hideSecrets, nearestSetting } from '../../config/settings.ts';
import { hideUrlSecrets } from '../../lib/endpoint-address.ts';
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
    const { network, origins } = loaded;
    const settings = [...origins]
      .filter(([key]) => wanted === '' || key === wanted || key.startsWith(`${wanted}.`))
      .map(([key, origin]) => ({ ...describeSetting(key, loaded), origin }));
    if (settings.length === 0) {
      const nearest = nearestSetting(wanted);
      throw new ConfigError({ code: 'CONFIG_UNKNOWN_KEY', key: wanted, origin: 'argument', nearest });
    }
    context.output.result({ settings }, () =>
      context.output.table(
        ['SETTING', 'VALUE', 'FROM'],
        settings.map((setting) => [setting.key, formatSetting(setting, network.id), describeOrigin(setting.origin)]),
      ),
    );
    for (const remark of collectChainRemarks(loaded)) context.output.note(remark);
    return EXIT_CODES.ok;
  },
});

interface ShownSetting {
  readonly key: string;
  /** Keys of RPC providers stay out of terminals, logs and reports of defects. */
  readonly value: unknown;
  /** With its unit, where it has one. */
  readonly readable?: string;
  /** What the network names where this node names nothing of its own. */
  readonly ofNetwork?: readonly string[];
}

function describeSetting(key: string, { config, network }: LoadedConfig): ShownSetting {
  const setting = findSetting(key);
  if (setting === undefined) return { key, value: undefined };
  const value = readIn(config, key);
  const readable = formatWithUnit(setting, value);
  const { chain } = network;
  const isOfNetwork = key === 'chain.rpcUrls' && config.chain.rpcUrls.length === 0;
  return {
    key,
    value: hideSecrets(setting, value),
    ...(readable === undefined ? {} : { readable }),
    ...(isOfNetwork && chain.kind === 'solana' ? { ofNetwork: chain.rpcUrls.map(hideUrlSecrets) } : {}),
  };
}

function readIn(config: NodeConfig, path: string): unknown {
  let value: unknown = config;
  for (const key of path.split('.')) value = (value as Readonly<Record<string, unknown>>)[key];
  return value;
}

function formatSetting({ value, readable, ofNetwork }: ShownSetting, network: string): string {
  if (ofNetwork !== undefined && ofNetwork.length > 0)
    return `those of the network ${network}: ${ofNetwork.join(', ')}`;
  const text = formatValue(value);
  return readable === undefined ? text : `${text} (${readable})`;
}

function formatValue(value: unknown): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return value.length === 0 ? '(empty)' : value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
