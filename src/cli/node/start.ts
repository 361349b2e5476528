import { z } from 'zod';
import { UsageError } from '../../lib/errors.ts';
import { formatDuration } from '../../lib/quantity.ts';
import type { NodeStatus } from '../../rpc/interface.ts';
import { type JsonForm, toJsonForm } from '../../rpc/json-form.ts';
import { plural } from '../format.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { startDetached } from './start-detached.ts';

const options = z.strictObject({
  detach: z.boolean().default(false).describe('run in the background; answers when it is ready').meta({ short: 'd' }),
  timeout: z
    .int()
    .min(1)
    .default(30)
    .describe('with --detach: seconds to wait until it is ready; one that is late goes on starting')
    .meta({ placeholder: 'SECONDS' }),
  listen: z.array(z.string()).default([]).describe('listen on this multiaddr').meta({ placeholder: 'ADDR' }),
  bootstrap: z.array(z.string()).default([]).describe('dial this peer at start').meta({ placeholder: 'ADDR' }),
  network: z.string().exactOptional().describe('id or file of the network').meta({ placeholder: 'NETWORK' }),
  rpcUrl: z
    .array(z.string())
    .default([])
    .describe("ask this Solana RPC endpoint instead of the network's; two must agree")
    .meta({ placeholder: 'URL' }),
  provide: z.boolean().default(true).describe("do not take other peers' jobs"),
  mdns: z.boolean().default(true).describe('do not look for peers on the local network'),
  slots: z.int().min(1).max(4096).exactOptional().describe('jobs at once'),
  set: z.array(z.string()).default([]).describe('any setting of `config print`').meta({ placeholder: 'KEY=VALUE' }),
  log: z
    .enum(['pretty', 'json', 'file'])
    .exactOptional()
    .describe('log on stderr as text or JSON, or only in the file (default: pretty on a terminal, else json)'),
});
type StartOptions = z.output<typeof options>;

export const nodeStart = defineCommand({
  name: 'node start',
  summary: 'start the daemon',
  details:
    'Runs in the foreground until Ctrl-C, unless --detach is given. Flags win over FOGPROOF_* variables, those over the configuration file.',
  arguments: [],
  options,
  examples: [
    { line: 'fogproof node start', does: 'Run the daemon here; Ctrl-C stops it in order.' },
    {
      line: 'fogproof node start --detach',
      does: 'Run it in the background; see it with `fogproof node logs --follow`.',
    },
    {
      line: 'fogproof node start --bootstrap /ip4/192.0.2.1/tcp/4717/p2p/12D3KooW… --no-provide',
      does: 'Join through a known peer, and only submit jobs.',
    },
    {
      line: 'fogproof node start --rpc-url https://rpc.one.example --rpc-url https://rpc.two.example',
      does: 'Ask two Solana RPC endpoints, which must agree; FOGPROOF_CHAIN_RPC_URLS keeps keys out of the process list.',
    },
    { line: 'fogproof node start --set provide.maxMemoryBytes=2GiB', does: 'Change one setting for this run.' },
  ],
  run: async ({ options: given }, context) => {
    const overrides = collectOverrides(given, context);
    if (given.detach) return startDetached(context, { timeoutMs: given.timeout * 1000 });
    // Loads the whole daemon: the one command that does.
    const { runNode } = await import('../../node/run-node.ts');
    return runNode({
      overrides,
      environment: context.environment,
      signal: context.signal,
      log: given.log ?? (context.output.isInteractive ? 'pretty' : 'json'),
      onReady: (status: NodeStatus) => announceReady(toJsonForm(status), context),
      ...(isTerminal(context) ? { readSecret: () => context.readSecret('Passphrase of the keystore') } : {}),
      ...(context.home === undefined ? {} : { home: context.home }),
    });
  },
});

/** The daemon may ask for its passphrase where somebody can answer. */
function isTerminal({ output }: CliContext): boolean {
  return output.isInteractive && process.stdin.isTTY === true;
}

/** Flags as settings, by their path. */
function collectOverrides(given: StartOptions, { home, socket }: CliContext): Record<string, unknown> {
  return {
    ...(home === undefined ? {} : { home }),
    ...(socket === undefined ? {} : { socket }),
    ...(given.listen.length === 0 ? {} : { listen: given.listen }),
    ...(given.bootstrap.length === 0 ? {} : { bootstrap: given.bootstrap }),
    ...(given.network === undefined ? {} : { network: given.network }),
    ...(given.rpcUrl.length === 0 ? {} : { 'chain.rpcUrls': given.rpcUrl }),
    ...(given.provide ? {} : { 'provide.enabled': false }),
    ...(given.mdns ? {} : { mdns: false }),
    ...(given.slots === undefined ? {} : { 'provide.slots': given.slots }),
    ...Object.fromEntries(given.set.map(parseSetting)),
  };
}

function parseSetting(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  throw new UsageError(
    `--set ${text}: expected KEY=VALUE`,
    'Such as --set provide.slots=2; `fogproof config print` lists the keys.',
  );
}

/** One line for a person or a script; a parent that waits hears it over its channel. */
function announceReady(status: JsonForm<NodeStatus>, { output }: CliContext): void {
  if (process.send !== undefined) {
    // Whoever started it may have stopped waiting.
    if (!process.connected) return;
    process.send({ kind: 'ready', status });
    process.disconnect();
    return;
  }
  if (output.isJson) output.item(status, '');
  else for (const line of [renderReady(status), ...status.remarks]) output.note(line);
}

export function renderReady(status: JsonForm<NodeStatus>): string {
  const { provider, network, readyAfterMs, peer, networkId } = status;
  const work = provider.isEnabled ? `takes jobs (${plural(provider.slots.total, 'slot')})` : 'takes no jobs';
  const where = network.listen[0] ?? 'nowhere';
  return `ready after ${formatDuration(readyAfterMs)}: ${peer} on ${where}, network ${networkId}, ${work}`;
}
