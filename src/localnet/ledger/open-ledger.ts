import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import {
  FAUCET_LAMPORTS,
  IDENTITY_LAMPORTS,
  SLOT_HASHES_ENTRIES,
  SLOTS_PER_EPOCH,
  STATUS_CACHE_SLOTS,
  STORE_VERSION,
} from '../constants.ts';
import { LocalnetError } from '../errors.ts';
import type { GenesisProgram } from '../interface.ts';
import type { GenesisAccount } from '../options.ts';
import { decodeAccount, decodeGenesis, decodeHeader, encodeJson, type StoredGenesis } from '../store/codecs.ts';
import type { ChainStore } from '../store/interface.ts';
import { ACCOUNT_RANGE, BLOCK_RANGE, blockKey, GENESIS_KEY } from '../store/keys.ts';
import type { AccountState } from '../svm/interface.ts';
import { SYSTEM_PROGRAM, UPGRADEABLE_LOADER } from '../svm/program-ids.ts';
import { SvmMachine } from '../svm/svm-machine.ts';
import { AccountTable } from './account-table.ts';
import { BlockQueue } from './block-queue.ts';
import { addressOf, computeBlockhash, createGenesis } from './genesis.ts';
import { deployGenesisProgram } from './genesis-programs.ts';
import { encodeAccountChanges, History, type Mention } from './history.ts';
import type { BlockHeader } from './interface.ts';
import { StatusCache } from './status-cache.ts';

export interface OpenLedgerOptions {
  readonly directory: string;
  readonly maxTransactions: number;
  readonly maxEmptyBlocks: number;
  readonly programs: readonly GenesisProgram[];
  readonly accounts: readonly GenesisAccount[];
}

/** A chain as it was left, with every transaction that was acknowledged in a closed block. */
export interface LedgerState {
  readonly genesis: StoredGenesis;
  readonly machine: SvmMachine;
  readonly table: AccountTable;
  readonly blocks: BlockQueue;
  readonly statuses: StatusCache;
  readonly history: History;
  /** Unix seconds when the epoch of the newest block began. */
  readonly epochStart: number;
}

type LoadedState = Omit<LedgerState, 'epochStart'>;

const U64_MAX = 2n ** 64n - 1n;

/** Makes a chain, or brings it back. @throws LocalnetError LOCALNET_CORRUPT, LOCALNET_NEWER_STATE, LOCALNET_BAD_PROGRAM */
export async function openLedger(
  modules: { readonly store: ChainStore; readonly clock: Clock; readonly random: Random },
  options: OpenLedgerOptions,
): Promise<LedgerState> {
  const { store } = modules;
  const history = new History(store, options);
  await history.load();
  const state = {
    genesis: await loadGenesis(modules, options),
    machine: new SvmMachine(),
    table: new AccountTable(),
    blocks: new BlockQueue(),
    statuses: new StatusCache(),
    history,
  };
  for (const [address, account] of state.machine.builtIns()) state.table.load(address, account);
  await loadAccounts(store, state, options.directory);
  await deployPrograms(store, state, options.programs);
  await loadBlocks(modules, state, options.directory);
  const newest = state.blocks.newest?.slot ?? 0;
  const first = await history.header(newest - (newest % SLOTS_PER_EPOCH));
  return { ...state, epochStart: first?.blockTime ?? Math.floor(state.genesis.createdAtMs / 1000) };
}

async function loadGenesis(
  modules: { readonly store: ChainStore; readonly clock: Clock; readonly random: Random },
  { directory, accounts }: OpenLedgerOptions,
): Promise<StoredGenesis> {
  const stored = await modules.store.get(GENESIS_KEY);
  if (stored !== undefined) {
    const genesis = decodeGenesis(stored, { directory, key: GENESIS_KEY });
    if (genesis.version > STORE_VERSION) {
      throw new LocalnetError({ code: 'LOCALNET_NEWER_STATE', directory, found: genesis.version });
    }
    return genesis;
  }
  const genesis = createGenesis(modules);
  await modules.store.write(
    [
      { key: GENESIS_KEY, value: encodeJson(genesis) },
      ...encodeAccountChanges(
        new Map([
          [addressOf(genesis.faucetSeed), createWallet(FAUCET_LAMPORTS)],
          [addressOf(genesis.identitySeed), createWallet(IDENTITY_LAMPORTS)],
          ...accounts.map(({ address, state }) => [address as string, state] as const),
        ]),
      ),
    ],
    { durable: true },
  );
  return genesis;
}

function createWallet(lamports: bigint): AccountState {
  return { lamports, owner: SYSTEM_PROGRAM, data: new Uint8Array(), executable: false, rentEpoch: U64_MAX };
}

/** Programs come last: the machine loads them from their program data. */
async function loadAccounts(store: ChainStore, { machine, table }: LoadedState, directory: string): Promise<void> {
  const programs: [string, AccountState][] = [];
  for await (const [key, value] of store.range(ACCOUNT_RANGE)) {
    const address = key.slice(key.indexOf('/') + 1);
    const account = decodeAccount(value, { directory, key });
    table.load(address, account);
    if (account.executable && account.owner === UPGRADEABLE_LOADER) programs.push([address, account]);
    else machine.write(address, account);
  }
  for (const [address, account] of programs) machine.write(address, account);
}

async function deployPrograms(
  store: ChainStore,
  { machine, table }: LoadedState,
  programs: readonly GenesisProgram[],
): Promise<void> {
  for (const program of programs) {
    const accounts = deployGenesisProgram(program, machine);
    for (const [address, account] of accounts) table.load(address, account);
    if (accounts.size > 0) await store.write(encodeAccountChanges(accounts), { durable: true });
  }
}

/** The last blocks and their transactions. Blocks that a crash cut off before they were written are closed again. */
async function loadBlocks(
  modules: { readonly store: ChainStore; readonly clock: Clock },
  state: LoadedState,
  directory: string,
): Promise<void> {
  const { blocks, history, statuses, genesis } = state;
  const newest: BlockHeader[] = [];
  for await (const [key, value] of modules.store.range({ ...BLOCK_RANGE, reverse: true, limit: SLOT_HASHES_ENTRIES })) {
    newest.push(decodeHeader(value, { directory, key }));
  }
  for (const header of newest.reverse()) blocks.push(header);
  const open = new Map<number, Mention[]>();
  const last = blocks.newest?.slot ?? -1;
  for await (const mention of history.mentionsFrom(Math.max(0, last - STATUS_CACHE_SLOTS))) {
    const { slot, signature, error } = mention;
    statuses.add(signature, { slot, error });
    if (slot > last) open.set(slot, [...(open.get(slot) ?? []), mention]);
  }
  const unfinished = Math.max(last, ...open.keys());
  for (let slot = last + 1; slot <= unfinished; slot += 1) {
    const header = closeBlock(blocks, open.get(slot) ?? [], {
      slot,
      genesis: genesis.genesis,
      fallbackTime: modules.clock.nowMs(),
    });
    await modules.store.write([{ key: blockKey(slot), value: encodeJson(header) }]);
  }
}

function closeBlock(
  blocks: BlockQueue,
  mentions: readonly Mention[],
  at: { slot: number; genesis: string; fallbackTime: number },
): BlockHeader {
  const previous = blocks.newest;
  const previousBlockhash = previous?.blockhash ?? at.genesis;
  const signatures = mentions.map(({ signature }) => signature);
  const header = {
    slot: at.slot,
    blockhash: computeBlockhash(previousBlockhash, at.slot, signatures),
    previousBlockhash,
    blockTime: mentions[0]?.blockTime ?? previous?.blockTime ?? Math.floor(at.fallbackTime / 1000),
    transactionCount: mentions.length,
    totalTransactions: (previous?.totalTransactions ?? 0) + mentions.length,
  };
  blocks.push(header);
  return header;
}
