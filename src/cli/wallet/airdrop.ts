import { z } from 'zod';
import { Lamports } from '../../domain/chain.ts';
import { UsageError } from '../../lib/errors.ts';
import { formatDuration } from '../../lib/quantity.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { formatSol, parseSol } from '../sol-amount.ts';

/** What devnet's faucet gives at once without asking back. */
const DEFAULT_SOL = '1';

export const walletAirdrop = defineCommand({
  name: 'wallet airdrop',
  summary: 'get free SOL from the faucet of a local chain, devnet or testnet',
  details:
    'Waits until it is there: well under a second on a local chain, up to a minute on devnet and testnet, whose faucets give little and are often empty. There is no faucet on mainnet.',
  arguments: [{ name: 'sol', description: `how much, in SOL (default: ${DEFAULT_SOL})`, isRequired: false }],
  options: z.strictObject({}),
  examples: [
    { line: 'fogproof wallet airdrop', does: 'Get 1 SOL, enough for about 200,000 anchors.' },
    { line: 'fogproof wallet airdrop 0.5', does: 'Get half of it, where the faucet is stingy.' },
  ],
  run: async ({ arguments: [sol = DEFAULT_SOL] }, context) => {
    const lamports = parseAmount(sol);
    await using client = await context.connect();
    const { cluster } = await client.call('wallet.show', {}, { signal: context.signal });
    if (cluster?.name === 'mainnet-beta') {
      throw new UsageError(
        'mainnet gives nothing for free: there is no faucet',
        'Buy SOL and send it to the address of `fogproof wallet show`.',
      );
    }
    const startedAtMs = performance.now();
    const where = cluster?.name ?? 'this chain';
    context.output.progress(`asking the faucet of ${where} for ${formatSol(lamports)}`);
    const given = await client.call('wallet.airdrop', { lamports }, { signal: context.signal });
    const tookMs = Math.round(performance.now() - startedAtMs);
    context.output.result({ ...given, asked: lamports, tookMs }, () =>
      renderFields([
        ['received', `${formatSol(lamports)}, after ${formatDuration(tookMs)}`],
        ['balance', `${formatSol(BigInt(given.lamports))} (${given.lamports} lamports)`],
        ['transaction', given.signature],
      ]),
    );
    return EXIT_CODES.ok;
  },
});

function parseAmount(text: string): Lamports {
  const lamports = parseSol(text);
  if (lamports !== undefined && lamports > 0n) return Lamports(lamports);
  throw new UsageError(`'${text}' is no amount of SOL`, 'Such as 2 or 0.5; a SOL has nine decimals.');
}
