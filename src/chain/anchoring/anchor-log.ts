import { decodeBase58, encodeBase58, SolanaAddress } from '../../domain/chain.ts';
import { createDeadline } from '../../lib/abort.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { findProgramAddress } from '../../proofs/program-address.ts';
import {
  computeLogSeeds,
  decodeLog,
  decodeProofAnchorInstruction,
  encodeAppend,
  encodeCreateLog,
  type ProofAnchorInstruction,
} from '../generated/proof-anchor.ts';
import type { CallOptions, ChainInstruction, ChainReader, ChainTransaction, Commitment } from '../interface.ts';
import type { LogPlace } from './batch-record.ts';
import { MAX_HISTORY, READ_TIMEOUT_MS, RING_ENTRIES } from './constants.ts';
import { AnchoringError } from './errors.ts';

/** What a root is known by. */
export interface BatchRoot {
  readonly root: Uint8Array;
  readonly leaves: number;
}

export interface LogEntry extends BatchRoot {
  readonly entry: number;
  readonly slot: number;
  readonly unixTimeMs: number;
}

/** A log's account, its numbers checked. */
export interface LogState {
  readonly owner: SolanaAddress;
  readonly generation: number;
  readonly size: number;
  /** The last 64 entries or fewer, oldest first. */
  readonly recent: readonly LogEntry[];
  /** Slot at which the endpoint read it. */
  readonly slot: number;
}

/** An `append` of a transaction that succeeded. */
export interface FoundAppend extends BatchRoot {
  readonly transaction: ChainTransaction;
  readonly authority: SolanaAddress;
  readonly generation: number;
  readonly entry: number;
}

const SYSTEM_PROGRAM = SolanaAddress('11111111111111111111111111111111');

const LOG_VERSION = 1;

export function computeLogAddress(program: SolanaAddress, owner: SolanaAddress): SolanaAddress {
  return SolanaAddress(encodeBase58(findProgramAddress(computeLogSeeds(owner), decodeBase58(program)).address));
}

export function createAppend(place: LogPlace, { root, leaves }: BatchRoot): ChainInstruction {
  return encodeAppend(
    place.program,
    { authority: place.owner, log: place.log },
    {
      generation: BigInt(place.generation),
      expectedSize: BigInt(place.entry),
      batchRoot: root,
      batchSize: BigInt(leaves),
    },
  );
}

export function createLog(program: SolanaAddress, owner: SolanaAddress): ChainInstruction {
  return encodeCreateLog(program, { payer: owner, owner, log: computeLogAddress(program, owner) });
}

/** The account's own bytes. @throws ChainError, RangeError if they are no log, or hold numbers above 2^53 */
export function parseLog(data: Uint8Array, slot: number): LogState {
  const log = decodeLog(data);
  if (log.version !== LOG_VERSION) throw new RangeError(`it is of version ${log.version}`);
  const size = toNumber(log.size);
  const count = Math.min(size, RING_ENTRIES);
  const recent = Array.from({ length: count }, (_, index) => {
    const entry = size - count + index;
    const found = log.ring[entry % RING_ENTRIES];
    if (found === undefined) throw new RangeError('the ring has no such entry');
    return {
      entry,
      root: found.batchRoot,
      leaves: toNumber(found.batchSize),
      slot: toNumber(found.slot),
      unixTimeMs: toNumber(found.unixTime) * 1000,
    };
  });
  return { owner: log.owner, generation: toNumber(log.generation), size, recent, slot };
}

function toNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value} is no number of a log`);
  return number;
}

/** All appends to `log` by top-level instructions of a transaction that succeeded. */
export function findAppends(
  transaction: ChainTransaction,
  { program, log }: Pick<LogPlace, 'program' | 'log'>,
): readonly FoundAppend[] {
  if (transaction.failure !== null) return [];
  return transaction.instructions.flatMap((instruction) => {
    if (instruction.program !== program) return [];
    const call = readCall(instruction);
    if (call?.kind !== 'append' || call.accounts.log !== log) return [];
    const { authority } = call.accounts;
    // The program demands it; a program that only looks like it must not write in somebody's name.
    if (!instruction.accounts.some(({ address, isSigner }) => isSigner && address === authority)) return [];
    const { generation, expectedSize, batchRoot, batchSize } = call.args;
    return [
      {
        transaction,
        authority,
        generation: Number(generation),
        entry: Number(expectedSize),
        root: batchRoot,
        leaves: Number(batchSize),
      },
    ];
  });
}

function isAtOrBefore(append: FoundAppend, place: Pick<LogPlace, 'generation' | 'entry'>): boolean {
  return append.generation === place.generation && append.entry <= place.entry;
}

function closesLog(
  transaction: ChainTransaction,
  place: Pick<LogPlace, 'program' | 'log'>,
  generation: number,
): boolean {
  if (transaction.failure !== null) return false;
  return transaction.instructions.some((instruction) => {
    const call = instruction.program === place.program ? readCall(instruction) : undefined;
    return call?.kind === 'closeLog' && call.accounts.log === place.log && Number(call.args.generation) === generation;
  });
}

/** Undefined for what the program would not have taken either. */
function readCall(instruction: ChainInstruction): ProofAnchorInstruction | undefined {
  try {
    return decodeProofAnchorInstruction(instruction);
  } catch (error) {
    if (isDaemonError(error)) return undefined;
    throw error;
  }
}

export function isSameRoot(a: BatchRoot, b: BatchRoot): boolean {
  return a.leaves === b.leaves && areBytesEqual(a.root, b.root);
}

/** Reads the log of one owner, its account and its history. Each reading has a deadline. */
export class AnchorLog {
  readonly #reader: ChainReader;
  readonly place: Pick<LogPlace, 'program' | 'log' | 'owner'>;

  constructor(modules: { readonly reader: ChainReader }, place: Pick<LogPlace, 'program' | 'log' | 'owner'>) {
    this.#reader = modules.reader;
    this.place = place;
  }

  /**
   * Undefined while there is none, and after it was closed.
   * @throws ChainError, AnchoringError ANCHORING_BAD_LOG
   */
  async read(options: CallOptions & { commitment: Commitment; minSlot?: number }): Promise<LogState | undefined> {
    using deadline = createDeadline(READ_TIMEOUT_MS, options.signal);
    const account = await this.#reader.account(this.place.log, { ...options, signal: deadline.signal });
    // Lamports that somebody sent to the address do not make it a log; create_log takes it over.
    if (account === undefined || account.owner === SYSTEM_PROGRAM) return undefined;
    if (account.owner !== this.place.program) throw this.#bad(`it belongs to program ${account.owner}`);
    let log: LogState;
    try {
      log = parseLog(account.data, account.slot);
    } catch (error) {
      throw this.#bad(error instanceof Error ? error.message : String(error), error);
    }
    if (log.owner !== this.place.owner) throw this.#bad(`it belongs to ${log.owner}`);
    return log;
  }

  /**
   * The transaction that appended `root`, looked for in history, newest first, back to `sinceSlot`.
   * `isWhole` is false where history does not reach back to the place `from`: nothing is known of the root then.
   * @throws ChainError, AnchoringError ANCHORING_BAD_LOG
   */
  async findAppend(
    root: BatchRoot,
    options: CallOptions & { readonly sinceSlot: number; readonly from: Pick<LogPlace, 'generation' | 'entry'> },
  ): Promise<{ readonly found: FoundAppend | undefined; readonly isWhole: boolean }> {
    using deadline = createDeadline(READ_TIMEOUT_MS, options.signal);
    let seen = 0;
    let isWhole = false;
    const history = this.#reader.history(this.place.log, {
      signal: deadline.signal,
      commitment: 'confirmed',
      sinceSlot: options.sinceSlot,
    });
    for await (const transaction of history) {
      const appends = findAppends(transaction, this.place);
      const found = appends.find((append) => isSameRoot(append, root));
      if (found !== undefined) return { found, isWhole: true };
      isWhole ||= appends.some((append) => isAtOrBefore(append, options.from));
      isWhole ||= closesLog(transaction, this.place, options.from.generation);
      seen += 1;
      if (seen >= MAX_HISTORY) throw this.#bad(`its history has more than ${MAX_HISTORY} transactions since`);
    }
    return { found: undefined, isWhole };
  }

  #bad(reason: string, cause?: unknown): AnchoringError {
    return new AnchoringError({ code: 'ANCHORING_BAD_LOG', log: this.place.log, reason }, { cause });
  }
}
