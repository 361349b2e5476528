import { z } from 'zod';
import type { AccountChanges, Commitment, ExecutedTransaction } from '../ledger/interface.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { commitmentOf, withContext } from '../rpc/commitments.ts';
import { parseParams } from '../rpc/define-method.ts';
import { encodeAccount, matchesFilters } from '../rpc/encode-account.ts';
import { blockFieldsSchema, encodeBlock } from '../rpc/encode-block.ts';
import { keysOf } from '../rpc/encode-transaction.ts';
import { RpcFault } from '../rpc/faults.ts';
import type { ParamsSchema } from '../rpc/interface.ts';
import {
  type AccountConfig,
  accountConfigSchema,
  addressSchema,
  commitmentSchema,
  optional,
  programFields,
  signatureSchema,
} from '../rpc/schemas.ts';
import type { AccountState } from '../svm/interface.ts';
import { SYSTEM_PROGRAM, SYSVARS } from '../svm/program-ids.ts';
import type { Subscription, SubscriptionKind, SubscriptionOutlet } from './interface.ts';

interface KindDefinition<Schema extends ParamsSchema> {
  readonly name: string;
  readonly params: Schema;
  readonly create: (
    source: { readonly ledger: Ledger; readonly outlet: SubscriptionOutlet },
    ...params: z.output<Schema>
  ) => Subscription;
}

function defineKind<Schema extends ParamsSchema>({ name, params, create }: KindDefinition<Schema>): SubscriptionKind {
  return { name, create: (raw, ledger, outlet) => create({ ledger, outlet }, ...parseParams(params, raw)) };
}

/** What an account looks like once it is gone. */
const GONE: AccountState = {
  lamports: 0n,
  owner: SYSTEM_PROGRAM,
  data: new Uint8Array(),
  executable: false,
  rentEpoch: 0n,
};

/** Calls for every transaction as it reaches a commitment. */
function forTransactions(
  ledger: Ledger,
  commitment: Commitment,
  visit: (transaction: ExecutedTransaction) => void,
): Subscription {
  if (commitment === 'processed') return { onTransaction: visit };
  return {
    onCommitment: (reached, slot) => {
      if (reached === commitment) for (const transaction of ledger.recentTransactions(slot)) visit(transaction);
    },
  };
}

/** Calls with what changed: after each transaction, or once for a slot that reached the commitment. */
function forChanges(
  ledger: Ledger,
  commitment: Commitment,
  visit: (slot: number, changes: AccountChanges) => void,
): Subscription {
  if (commitment === 'processed') return { onTransaction: ({ record, changes }) => visit(record.slot, changes) };
  return {
    onCommitment: (reached, slot) => {
      if (reached !== commitment) return;
      visit(slot, new Map(ledger.changedIn(slot).map((address) => [address, ledger.account(address, slot)] as const)));
    },
  };
}

function encodeChanged(
  ledger: Ledger,
  change: { address: string; state: AccountState | undefined; slot: number },
  config: AccountConfig | undefined,
) {
  const read = (address: string): AccountState | undefined => ledger.account(address, change.slot);
  return encodeAccount(change.address, change.state ?? GONE, { config, read });
}

const account = defineKind({
  name: 'account',
  params: z.tuple([addressSchema, accountConfigSchema.optional()]),
  create: ({ ledger, outlet }, address, config) => {
    const commitment = commitmentOf(config);
    const emit = (slot: number, state: AccountState | undefined): void =>
      outlet.emit(withContext(slot, encodeChanged(ledger, { address, state, slot }, config)));
    // Sysvars change with the slot, not by transactions.
    if (SYSVARS.has(address)) return { onSlot: () => emit(ledger.slotAt(commitment), ledger.account(address, 0)) };
    return forChanges(ledger, commitment, (slot, changes) => {
      if (changes.has(address)) emit(slot, changes.get(address));
    });
  },
});

const program = defineKind({
  name: 'program',
  params: z.tuple([addressSchema, z.object(programFields).optional()]),
  create: ({ ledger, outlet }, owner, config) =>
    forChanges(ledger, commitmentOf(config), (slot, changes) => {
      for (const [pubkey, state] of changes) {
        if (state?.owner !== owner || !matchesFilters(state, config?.filters ?? [])) continue;
        outlet.emit(
          withContext(slot, { pubkey, account: encodeChanged(ledger, { address: pubkey, state, slot }, config) }),
        );
      }
    }),
});

const logs = defineKind({
  name: 'logs',
  params: z.tuple([
    z.union([
      z.literal(['all', 'allWithVotes']),
      z.object({ mentions: z.array(addressSchema).length(1, 'Invalid Request: Only 1 address supported') }),
    ]),
    z.object({ commitment: optional(commitmentSchema) }).optional(),
  ]),
  create: ({ ledger, outlet }, filter, config) => {
    const [mentioned] = typeof filter === 'string' ? [] : filter.mentions;
    return forTransactions(ledger, config?.commitment ?? 'finalized', ({ record }) => {
      if (mentioned !== undefined && !keysOf(record).includes(mentioned)) return;
      const { wire, meta, slot } = record;
      outlet.emit(withContext(slot, { signature: wire.signature, err: meta.error, logs: meta.logs }));
    });
  },
});

const signature = defineKind({
  name: 'signature',
  params: z.tuple([
    signatureSchema,
    z.object({ commitment: optional(commitmentSchema), enableReceivedNotification: optional(z.boolean()) }).optional(),
  ]),
  create: ({ ledger, outlet }, wanted, config) => {
    const commitment = config?.commitment ?? 'finalized';
    const settle = (): void => {
      const status = ledger.recentStatus(wanted);
      if (status === undefined || status.slot > ledger.slotAt(commitment)) return;
      outlet.emit(withContext(ledger.slotAt(commitment), { err: status.error }));
      outlet.end();
    };
    return {
      onReady: settle,
      onTransaction: ({ record }) => {
        if (record.wire.signature !== wanted) return;
        if (config?.enableReceivedNotification === true) outlet.emit(withContext(record.slot, 'receivedSignature'));
        settle();
      },
      onCommitment: (reached) => {
        if (reached === commitment) settle();
      },
    };
  },
});

const slot = defineKind({
  name: 'slot',
  params: z.tuple([]),
  create: ({ ledger, outlet }) => ({
    onSlot: (started) => outlet.emit({ slot: started, parent: started - 1, root: ledger.slotAt('finalized') }),
  }),
});

const root = defineKind({
  name: 'root',
  params: z.tuple([]),
  create: ({ outlet }) => ({
    onCommitment: (reached, rooted) => {
      if (reached === 'finalized') outlet.emit(rooted);
    },
  }),
});

const slotsUpdates = defineKind({
  name: 'slotsUpdates',
  params: z.tuple([]),
  create: ({ ledger, outlet }) => ({
    onSlot: (started) => {
      const timestamp = ledger.nowMs();
      const closed = started - 1;
      const numSuccessfulTransactions = ledger
        .recentTransactions(closed)
        .filter(({ record }) => record.meta.error === null).length;
      const numTransactionEntries = ledger.recentTransactions(closed).length;
      const stats = {
        numTransactionEntries,
        numSuccessfulTransactions,
        numFailedTransactions: numTransactionEntries - numSuccessfulTransactions,
        maxTransactionsPerEntry: numTransactionEntries,
      };
      outlet.emit({ type: 'completed', slot: closed, timestamp });
      outlet.emit({ type: 'frozen', slot: closed, timestamp, stats });
      outlet.emit({ type: 'firstShredReceived', slot: started, timestamp });
      outlet.emit({ type: 'createdBank', slot: started, parent: closed, timestamp });
    },
    onCommitment: (reached, at) =>
      outlet.emit({
        type: reached === 'confirmed' ? 'optimisticConfirmation' : 'root',
        slot: at,
        timestamp: ledger.nowMs(),
      }),
  }),
});

const block = defineKind({
  name: 'block',
  params: z.tuple([
    z.union([z.literal('all'), z.object({ mentionsAccountOrProgram: addressSchema })]),
    z.object({ ...blockFieldsSchema.shape, showRewards: optional(z.boolean()) }).optional(),
  ]),
  create: ({ ledger, outlet }, filter, config) => {
    const commitment = config?.commitment ?? 'finalized';
    if (commitment === 'processed') {
      throw new RpcFault('invalidParams', 'Method does not support commitment below `confirmed`');
    }
    return {
      onCommitment: (reached, at) => {
        const header = reached === commitment ? ledger.recentHeader(at) : undefined;
        if (header === undefined) return;
        const records = ledger
          .recentTransactions(at)
          .map(({ record }) => record)
          .filter((record) => filter === 'all' || keysOf(record).includes(filter.mentionsAccountOrProgram));
        if (filter !== 'all' && records.length === 0) return;
        outlet.emit(withContext(at, { slot: at, ...tryEncode(() => encodeBlock(header, records, config)) }));
      },
    };
  },
});

/** A version that the client did not ask for is told in the notification. */
function tryEncode(encode: () => object): object {
  try {
    return { err: null, block: encode() };
  } catch (error) {
    if (error instanceof RpcFault) return { err: { UnsupportedTransactionVersion: 0 }, block: null };
    throw error;
  }
}

export const SUBSCRIPTION_KINDS: ReadonlyMap<string, SubscriptionKind> = new Map(
  [account, program, logs, signature, slot, root, slotsUpdates, block].map((kind) => [kind.name, kind] as const),
);
