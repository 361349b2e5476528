import { z } from 'zod';
import { MAX_ANSWERED_ACCOUNT_BYTES, MAX_MULTIPLE_ACCOUNTS } from '../../constants.ts';
import type { AccountState } from '../../svm/interface.ts';
import { slotFor, withContext } from '../commitments.ts';
import { defineMethod } from '../define-method.ts';
import { encodeAccount, matchesFilters } from '../encode-account.ts';
import { RpcFault } from '../faults.ts';
import type { RpcContext, RpcMethod } from '../interface.ts';
import {
  type AccountConfig,
  accountConfigSchema,
  accountFields,
  addressSchema,
  commitmentConfigSchema,
  programFields,
  u64Schema,
} from '../schemas.ts';

const LARGEST_ACCOUNTS = 20;

function readerAt({ ledger }: RpcContext, slot: number) {
  return (address: string) => ledger.account(address, slot);
}

/** @throws RpcFault before an answer is made that would not fit into a string */
function assertFits(states: readonly (AccountState | undefined)[], dataSlice: AccountConfig['dataSlice']): void {
  const sizes = states.map((state) => Math.min(state?.data.length ?? 0, dataSlice?.length ?? Infinity));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total <= MAX_ANSWERED_ACCOUNT_BYTES) return;
  const reason = `${total} bytes of accounts, and one answer holds ${MAX_ANSWERED_ACCOUNT_BYTES}`;
  throw new RpcFault('invalidParams', `${reason}: ask for fewer accounts, or for a dataSlice of them`);
}

const getAccountInfo = defineMethod({
  name: 'getAccountInfo',
  params: z.tuple([addressSchema, accountConfigSchema.optional()]),
  run: (context, address, config) => {
    const slot = slotFor(context.ledger, config);
    const read = readerAt(context, slot);
    const state = read(address);
    return withContext(slot, state === undefined ? null : encodeAccount(address, state, { config, read }));
  },
});

const getMultipleAccounts = defineMethod({
  name: 'getMultipleAccounts',
  params: z.tuple([
    z.array(addressSchema).max(MAX_MULTIPLE_ACCOUNTS, `Too many inputs provided; max ${MAX_MULTIPLE_ACCOUNTS}`),
    z.object(accountFields).optional(),
  ]),
  run: (context, addresses, given) => {
    // As Solana's nodes do: base64 here, base58 for a single account.
    const config = { ...given, encoding: given?.encoding ?? ('base64' as const) };
    const slot = slotFor(context.ledger, given);
    const read = readerAt(context, slot);
    const states = addresses.map(read);
    assertFits(states, given?.dataSlice);
    const accounts = addresses.map((address, index) => {
      const state = states[index];
      return state === undefined
        ? null
        : encodeAccount(address, state, { config: { ...config, dataSlice: given?.dataSlice }, read });
    });
    return withContext(slot, accounts);
  },
});

const getProgramAccounts = defineMethod({
  name: 'getProgramAccounts',
  params: z.tuple([
    addressSchema,
    z.object({ ...programFields, withContext: z.boolean().nullish(), sortResults: z.boolean().nullish() }).optional(),
  ]),
  run: (context, program, config) => {
    const slot = slotFor(context.ledger, config);
    const read = readerAt(context, slot);
    const filters = config?.filters ?? [];
    const found = [...context.ledger.programAccounts(program, slot)].filter(([, state]) =>
      matchesFilters(state, filters),
    );
    assertFits(
      found.map(([, state]) => state),
      config?.dataSlice,
    );
    const accounts = found
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([pubkey, state]) => ({ pubkey, account: encodeAccount(pubkey, state, { config, read }) }));
    return config?.withContext === true ? withContext(slot, accounts) : accounts;
  },
});

const getBalance = defineMethod({
  name: 'getBalance',
  params: z.tuple([addressSchema, commitmentConfigSchema.optional()]),
  run: (context, address, config) => {
    const slot = slotFor(context.ledger, config);
    return withContext(slot, context.ledger.account(address, slot)?.lamports ?? 0n);
  },
});

const getMinimumBalanceForRentExemption = defineMethod({
  name: 'getMinimumBalanceForRentExemption',
  params: z.tuple([u64Schema, commitmentConfigSchema.optional()]),
  run: ({ ledger }, length) => ledger.minimumBalance(length),
});

const getLargestAccounts = defineMethod({
  name: 'getLargestAccounts',
  params: z.tuple([z.object({ commitment: accountFields.commitment, filter: z.string().nullish() }).optional()]),
  run: ({ ledger }, config) => {
    const slot = slotFor(ledger, { commitment: config?.commitment, minContextSlot: undefined });
    const largest = [...ledger.allAccounts(slot)]
      .map(([address, { lamports }]) => ({ address, lamports }))
      .sort((a, b) => (a.lamports < b.lamports ? 1 : -1))
      .slice(0, LARGEST_ACCOUNTS);
    return withContext(slot, largest);
  },
});

const getSupply = defineMethod({
  name: 'getSupply',
  params: z.tuple([z.object({ commitment: accountFields.commitment }).optional()]),
  run: ({ ledger }, config) => {
    const slot = slotFor(ledger, { commitment: config?.commitment, minContextSlot: undefined });
    let total = 0n;
    for (const [, { lamports }] of ledger.allAccounts(slot)) total += lamports;
    return withContext(slot, { total, circulating: total, nonCirculating: 0, nonCirculatingAccounts: [] });
  },
});

export const ACCOUNT_METHODS: readonly RpcMethod[] = [
  getAccountInfo,
  getMultipleAccounts,
  getProgramAccounts,
  getBalance,
  getMinimumBalanceForRentExemption,
  getLargestAccounts,
  getSupply,
];
