import { z } from 'zod';
import type { WalletView } from '../../chain/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { describeCluster } from '../node/render-chain.ts';
import { formatSol } from '../sol-amount.ts';

export const walletShow = defineCommand({
  name: 'wallet show',
  summary: 'show the address that pays on the chain, and what it holds',
  details:
    'The key is derived from the identity unless chain.keypairFile or chain.signerCommand names another. Needs a network with a chain.',
  arguments: [],
  options: z.strictObject({}),
  examples: [
    { line: 'fogproof wallet', does: 'Address, signer, balance and cluster.' },
    { line: 'fogproof wallet show --json', does: 'The same for a script; lamports are a decimal string.' },
  ],
  run: async (_, context) => {
    await using client = await context.connect();
    const wallet = await client.call('wallet.show', {}, { signal: context.signal });
    context.output.result(wallet, () => renderWallet(wallet));
    return EXIT_CODES.ok;
  },
});

export function renderWallet({ address, signer, lamports, cluster }: JsonForm<WalletView>): string[] {
  return renderFields([
    ['address', address],
    ['key', signer],
    ['cluster', describeCluster(cluster)],
    ['balance', lamports === null ? 'unknown' : `${formatSol(BigInt(lamports))} (${lamports} lamports)`],
    ['next', suggestNext({ address, lamports, cluster })],
  ]);
}

function suggestNext({
  address,
  lamports,
  cluster,
}: Pick<JsonForm<WalletView>, 'address' | 'lamports' | 'cluster'>): string | undefined {
  if (lamports === null || cluster === null) return 'no endpoint answers: see `fogproof node status`';
  if (lamports !== '0') return undefined;
  return cluster.name === 'mainnet-beta'
    ? `send SOL to ${address}: without it nothing is anchored`
    : '`fogproof wallet airdrop`: without SOL nothing is anchored';
}
