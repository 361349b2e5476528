import { z } from 'zod';
import type { AccountState } from '../../svm/interface.ts';
import { TOKEN_2022_PROGRAM, TOKEN_PROGRAM } from '../../svm/program-ids.ts';
import { isTokenProgram, readTokenAccount, readTokenMint, type TokenMint } from '../../svm/token-state.ts';
import { slotFor, withContext } from '../commitments.ts';
import { defineMethod } from '../define-method.ts';
import { encodeAccount } from '../encode-account.ts';
import { encodeTokenAmount } from '../encode-token.ts';
import { RpcFault } from '../faults.ts';
import type { RpcContext, RpcMethod } from '../interface.ts';
import { type AccountConfig, accountConfigSchema, addressSchema, commitmentConfigSchema } from '../schemas.ts';

const LARGEST_TOKEN_ACCOUNTS = 20;

function mintAt({ ledger }: RpcContext, mint: string, slot: number): TokenMint {
  const state = readTokenMint(ledger.account(mint, slot));
  if (state === undefined) throw new RpcFault('invalidParams', 'Invalid param: could not find mint');
  return state;
}

const getTokenAccountBalance = defineMethod({
  name: 'getTokenAccountBalance',
  params: z.tuple([addressSchema, commitmentConfigSchema.optional()]),
  run: (context, address, config) => {
    const slot = slotFor(context.ledger, config);
    const state = context.ledger.account(address, slot);
    if (state === undefined) throw new RpcFault('invalidParams', 'Invalid param: could not find account');
    const token = readTokenAccount(state);
    if (token === undefined) throw new RpcFault('invalidParams', 'Invalid param: not a Token account');
    return withContext(slot, encodeTokenAmount(token.amount, mintAt(context, token.mint, slot).decimals));
  },
});

const getTokenSupply = defineMethod({
  name: 'getTokenSupply',
  params: z.tuple([addressSchema, commitmentConfigSchema.optional()]),
  run: (context, address, config) => {
    const slot = slotFor(context.ledger, config);
    if (context.ledger.account(address, slot) === undefined) {
      throw new RpcFault('invalidParams', 'Invalid param: could not find account');
    }
    const mint = readTokenMint(context.ledger.account(address, slot));
    if (mint === undefined) throw new RpcFault('invalidParams', 'Invalid param: not a Token mint');
    return withContext(slot, encodeTokenAmount(mint.supply, mint.decimals));
  },
});

const getTokenLargestAccounts = defineMethod({
  name: 'getTokenLargestAccounts',
  params: z.tuple([addressSchema, commitmentConfigSchema.optional()]),
  run: (context, address, config) => {
    const { ledger } = context;
    const slot = slotFor(ledger, config);
    const program = ledger.account(address, slot)?.owner ?? '';
    const mint = readTokenMint(ledger.account(address, slot));
    if (mint === undefined) throw new RpcFault('invalidParams', 'Invalid param: not a Token mint');
    const accounts = [...ledger.programAccounts(program, slot)]
      .flatMap(([account, state]) => {
        const token = readTokenAccount(state);
        return token?.mint === address ? [{ account, amount: token.amount }] : [];
      })
      .sort((a, b) => (a.amount < b.amount ? 1 : -1))
      .slice(0, LARGEST_TOKEN_ACCOUNTS)
      .map(({ account, amount }) => ({ address: account, ...encodeTokenAmount(amount, mint.decimals) }));
    return withContext(slot, accounts);
  },
});

const tokenFilterSchema = z.union([z.object({ mint: addressSchema }), z.object({ programId: addressSchema })]);
type TokenFilter = z.output<typeof tokenFilterSchema>;

interface TokenQuery {
  readonly filter: TokenFilter;
  readonly config: AccountConfig | undefined;
  readonly matches: (token: { readonly owner: string; readonly delegate: string | null }) => boolean;
}

function findTokenAccounts(context: RpcContext, { filter, config, matches }: TokenQuery): unknown {
  const { ledger } = context;
  const slot = slotFor(ledger, config);
  const read = (address: string): AccountState | undefined => ledger.account(address, slot);
  const accounts = programsFor(context, filter, slot)
    .flatMap((program) => [...ledger.programAccounts(program, slot)])
    .filter(([, state]) => {
      const token = readTokenAccount(state);
      return token !== undefined && matches(token) && (!('mint' in filter) || token.mint === filter.mint);
    })
    .map(([pubkey, state]) => ({ pubkey, account: encodeAccount(pubkey, state, { config, read }) }));
  return withContext(slot, accounts);
}

function programsFor(context: RpcContext, filter: TokenFilter, slot: number): readonly string[] {
  if ('programId' in filter) {
    if (!isTokenProgram(filter.programId))
      throw new RpcFault('invalidParams', 'Invalid param: unrecognized Token program id');
    return [filter.programId];
  }
  mintAt(context, filter.mint, slot);
  return [TOKEN_PROGRAM, TOKEN_2022_PROGRAM];
}

const getTokenAccountsByOwner = defineMethod({
  name: 'getTokenAccountsByOwner',
  params: z.tuple([addressSchema, tokenFilterSchema, accountConfigSchema.optional()]),
  run: (context, owner, filter, config) =>
    findTokenAccounts(context, { filter, config, matches: (token) => token.owner === owner }),
});

const getTokenAccountsByDelegate = defineMethod({
  name: 'getTokenAccountsByDelegate',
  params: z.tuple([addressSchema, tokenFilterSchema, accountConfigSchema.optional()]),
  run: (context, delegate, filter, config) =>
    findTokenAccounts(context, { filter, config, matches: (token) => token.delegate === delegate }),
});

export const TOKEN_METHODS: readonly RpcMethod[] = [
  getTokenAccountBalance,
  getTokenSupply,
  getTokenLargestAccounts,
  getTokenAccountsByOwner,
  getTokenAccountsByDelegate,
];
