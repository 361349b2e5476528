import { z } from 'zod';
import { EXAMPLE_WALLET, walletViewSchema } from './chain-views.ts';
import { EXAMPLE_SIGNATURE, lamportsSchema, noParamsSchema, transactionSignatureSchema } from './common.ts';

export const WALLET_METHODS = {
  'wallet.show': {
    summary: 'The wallet of this node.',
    description: 'The address that pays and signs on the chain of the network, and what it holds.',
    params: noParamsSchema,
    result: walletViewSchema,
    isConverted: true,
    example: { params: {}, result: EXAMPLE_WALLET },
  },
  'wallet.airdrop': {
    summary: 'Asks the faucet of the chain for lamports.',
    description: 'A local chain, devnet and testnet have one. Answers when they are there, with the balance then.',
    params: z.strictObject({ lamports: lamportsSchema('How much to ask for.') }),
    result: z.strictObject({ signature: transactionSignatureSchema, lamports: lamportsSchema('Balance after it.') }),
    isConverted: true,
    example: {
      params: { lamports: '2000000000' },
      result: { signature: EXAMPLE_SIGNATURE, lamports: '2000000000' },
    },
  },
} as const;
