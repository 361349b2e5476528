import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { SystemClock } from '../../lib/clock.ts';
import { SystemRandom } from '../../lib/random.ts';
import type { LocalChain, LocalChainStatus } from '../../localnet/interface.ts';
import { LOCALNET_DEFAULTS, MAX_SLOT_MS, MIN_SLOT_MS } from '../../localnet/options.ts';
import { isHostName } from '../../localnet/server/host-check.ts';
import type { LogStream } from '../../telemetry/pino-logger.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { findLocations } from '../framework/locations.ts';
import { type CliContext, defineCommand } from '../interface.ts';

const MAX_PORT = 65_534;

function wholeNumber(minimum: number, maximum: number) {
  const error = `expected a whole number from ${minimum} to ${maximum}`;
  return z.int({ error }).min(minimum, { error }).max(maximum, { error });
}

const options = z.strictObject({
  port: wholeNumber(0, MAX_PORT)
    .default(LOCALNET_DEFAULTS.port)
    .describe('port of the JSON-RPC; WebSocket is on the one above it; 0 takes a free pair')
    .meta({ placeholder: 'PORT' }),
  host: z.string().default(LOCALNET_DEFAULTS.host).describe('address to listen on').meta({ placeholder: 'ADDR' }),
  allowHost: z
    .array(z.string().refine(isHostName, 'expected a host name such as box.example, without scheme, port or path'))
    .default([])
    .describe('name of this machine under which others may call, besides localhost and IP addresses')
    .meta({ placeholder: 'NAME' }),
  slotMs: wholeNumber(MIN_SLOT_MS, MAX_SLOT_MS)
    .default(LOCALNET_DEFAULTS.slotMs)
    .describe('length of a slot in ms')
    .meta({ placeholder: 'MS' }),
  account: z
    .array(z.string())
    .default([])
    .describe('a new chain begins with the account in this file, as `solana account --output json` writes it')
    .meta({ placeholder: 'FILE' }),
  reset: z.boolean().default(false).describe('throw the chain of this folder away and begin a new one'),
});
type LocalnetCommandOptions = z.output<typeof options>;

export const localnet = defineCommand({
  name: 'localnet',
  summary: 'run a local chain that speaks the Solana API',
  details:
    'A chain for development on this machine: the real Solana virtual machine behind JSON-RPC and WebSocket, with our programs and SPL Token, and an airdrop for everybody. It is no cluster: its tokens have no value, and whoever runs it knows every block hash beforehand. It is kept in the data folder and goes on where it stopped; several daemons may share it. Needs no daemon; runs until Ctrl-C or SIGTERM, which is how it ends well: exit code 0.',
  arguments: [],
  options,
  examples: [
    {
      line: 'fogproof localnet',
      does: 'Run it on port 8899 (WebSocket: 8900), where Solana tools look for one; `fogproof network create lab --rpc-url http://127.0.0.1:8899` makes a network that anchors on it.',
    },
    {
      line: 'fogproof localnet --port 0 --json',
      does: 'Run it on free ports and print one line of JSON with its addresses, for scripts.',
    },
    {
      line: 'fogproof localnet --reset',
      does: 'Forget everything and begin a new chain; networks made on the old one must be made again with `fogproof network create ID --replace`.',
    },
  ],
  run: async ({ options: given }, context) => {
    await using chain = await startChain(given, context);
    announce(chain.status(), context);
    if (given.reset) {
      context.output.note(
        `Networks made on the chain before must be made again: fogproof network create ID --rpc-url ${chain.status().url} --replace`,
      );
    }
    if (!context.signal.aborted) await once(context.signal, 'abort');
    return EXIT_CODES.ok;
  },
});

async function startChain(given: LocalnetCommandOptions, context: CliContext): Promise<LocalChain> {
  const [{ LiteLocalChain }, { PinoLogger }, { readPrograms }, { readAccountFile }] = await Promise.all([
    import('../../localnet/lite-local-chain.ts'),
    import('../../telemetry/pino-logger.ts'),
    import('./read-programs.ts'),
    import('./read-account-file.ts'),
  ]);
  const { port, host, slotMs, reset, allowHost, account } = given;
  const directory = join(findLocations(context).home, 'localnet');
  const programs = await readPrograms();
  const accounts = await Promise.all(account.map((file) => readAccountFile(resolve(context.workingDirectory, file))));
  const logger = await PinoLogger.open({ level: 'warn', file: null, stream: toLogStream(context) });
  const chain = new LiteLocalChain(
    { clock: new SystemClock(), random: new SystemRandom(), logger },
    { directory, reset, host, port, slotMs, allowedHosts: allowHost, programs, accounts },
  );
  try {
    await chain.start({ signal: context.signal });
    return chain;
  } catch (error) {
    await chain[Symbol.asyncDispose]();
    throw error;
  }
}

function toLogStream({ output }: CliContext): LogStream {
  const format = output.isJson || !output.isInteractive ? 'json' : 'pretty';
  return { format, hasColors: output.isInteractive, write: (text) => void process.stderr.write(text) };
}

/** One line of JSON for a script; for a person also what it is not. */
function announce(status: LocalChainStatus, { output }: CliContext): void {
  if (output.isJson) output.item({ ...status, isPredictable: true }, '');
  else for (const line of renderReady(status)) output.item(status, line);
  output.note('Ctrl-C stops it; it goes on from there with the next start.');
}

export function renderReady(status: LocalChainStatus): string[] {
  const { url, webSocketUrl, genesis, slot, slotMs, programs, transactions, directory } = status;
  return [
    'a local development chain: no cluster, tokens without value, block hashes that its operator can predict',
    ...renderFields([
      ['RPC', url],
      ['WebSocket', webSocketUrl],
      ['genesis', genesis],
      ['slot', `${slot}, every ${slotMs} ms`],
      ['transactions', transactions === 0 ? undefined : String(transactions)],
      ...programs.map(({ name, address }) => [name, address] as const),
      ['kept in', directory ?? undefined],
    ]),
  ];
}
