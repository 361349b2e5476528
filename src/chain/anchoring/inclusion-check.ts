import { ANCHOR_LEAF_KINDS, type Anchor, encodeLogEntry } from '../../domain/anchor.ts';
import { encodeBase58, type Lamports, SolanaAddress, type TransactionSignature } from '../../domain/chain.ts';
import { encodeHex } from '../../lib/bytes.ts';
import type { Random } from '../../lib/random.ts';
import { computeLeafHash, MerkleTree } from '../../proofs/merkle.ts';
import type { Database } from '../../storage/interface.ts';
import { encodeVerifyLogged, encodeVerifyRecent } from '../generated/proof-anchor.ts';
import type { AnchorService, CallOptions, ChainInstruction, ChainReader, TransactionSender } from '../interface.ts';
import { AnchorLog, type LogState } from './anchor-log.ts';
import { BatchRecords, type LogPlace } from './batch-record.ts';
import { RING_ENTRIES, VERIFY_COMPUTE_UNITS } from './constants.ts';
import { AnchoringError } from './errors.ts';

export interface InclusionCheckModules {
  readonly anchoring: Pick<AnchorService, 'proof'>;
  readonly database: Database;
  readonly reader: ChainReader;
  readonly sender: TransactionSender;
  readonly random: Random;
}

/** That the program itself, on chain, found the receipt under a root of the log. */
export interface CheckedInclusion {
  readonly anchor: Anchor;
  /** `recent`: against the ring of the last 64 entries. `logged`: against the head of the log. */
  readonly against: 'recent' | 'logged';
  readonly transaction: TransactionSignature;
  readonly slot: number;
  readonly feeLamports: Lamports | null;
  readonly computeUnits: number | null;
}

/** Has `proof-anchor` verify an inclusion proof in a transaction of its own: a public record of the check. */
export class InclusionCheck {
  readonly #modules: InclusionCheckModules;
  readonly #records: BatchRecords;

  constructor(modules: InclusionCheckModules) {
    this.#modules = modules;
    this.#records = new BatchRecords(modules);
  }

  /**
   * Answers when the transaction is final.
   * @throws AnchoringError ANCHORING_NOT_ANCHORED, ANCHORING_OTHER_CHAIN, ANCHORING_LOG_CLOSED,
   * ANCHORING_ENTRIES_MISSING, ANCHORING_REFUSED, ChainError
   */
  async run(receiptDigest: Uint8Array, { signal }: CallOptions): Promise<CheckedInclusion> {
    const { anchoring, sender, random } = this.#modules;
    const digest = encodeHex(receiptDigest);
    const anchor = await anchoring.proof(receiptDigest);
    if (anchor === undefined) throw new AnchoringError({ code: 'ANCHORING_NOT_ANCHORED', digest });
    this.#assertThisChain(anchor);
    const log = await this.#readLog(anchor, signal);
    const against = log.size - anchor.entry <= RING_ENTRIES ? 'recent' : 'logged';
    const instruction =
      against === 'recent'
        ? describeRecent(anchor, receiptDigest)
        : await this.#describeLogged(anchor, receiptDigest, log);
    const key = `verify/${digest}/${encodeHex(random.bytes(8))}`;
    const intent = { key, purpose: `verify receipt ${digest.slice(0, 12)} on chain`, instructions: [instruction] };
    await sender.submit({ ...intent, computeUnitLimit: VERIFY_COMPUTE_UNITS }, { signal });
    const { signature, slot, feeLamports, computeUnits, state, problem, failure } = await sender.wait(key, {
      until: 'finalized',
      signal,
    });
    if (state === 'finalized' && signature !== null && slot !== null) {
      return { anchor, against, transaction: signature, slot, feeLamports, computeUnits };
    }
    const reason = problem?.message ?? failure?.detail ?? state;
    throw new AnchoringError({ code: 'ANCHORING_REFUSED', digest, reason });
  }

  /** A log of another chain is nowhere on this one, and was not closed for that. */
  #assertThisChain({ genesis }: Anchor): void {
    const anchored = encodeBase58(genesis);
    const { expectedGenesis: network } = this.#modules.reader.status();
    if (anchored !== network) throw new AnchoringError({ code: 'ANCHORING_OTHER_CHAIN', anchored, network });
  }

  async #readLog(anchor: Anchor, signal: AbortSignal): Promise<LogState> {
    const [program, log, owner] = [anchor.program, anchor.log, anchor.owner].map((bytes) =>
      SolanaAddress(encodeBase58(bytes)),
    ) as [SolanaAddress, SolanaAddress, SolanaAddress];
    const state = await new AnchorLog(this.#modules, { program, log, owner }).read({ commitment: 'confirmed', signal });
    if (state?.generation !== anchor.generation) throw new AnchoringError({ code: 'ANCHORING_LOG_CLOSED', log });
    return state;
  }

  /** The log's tree from the batches of this node: complete unless somebody else appended to it. */
  async #describeLogged(anchor: Anchor, digest: Uint8Array, log: LogState): Promise<ChainInstruction> {
    const entries = new Map<number, Uint8Array>();
    for await (const [, { landing, root, leaves }] of this.#records.oldestFirst()) {
      if (landing === null || root === null || !isSameLog(landing.place, anchor)) continue;
      const { entry } = landing.place;
      if (entry >= log.size) continue;
      entries.set(entry, computeLeafHash(encodeLogEntry({ batchRoot: root, batchSize: leaves })));
    }
    // The size is an endpoint's word: nothing of that length is made before the entries are there.
    const missing = log.size - entries.size;
    if (missing > 0) {
      throw new AnchoringError({ code: 'ANCHORING_ENTRIES_MISSING', entry: anchor.entry, missing });
    }
    const known = Array.from({ length: log.size }, (_, entry) => entries.get(entry)).flatMap((hash) => hash ?? []);
    return encodeVerifyLogged(
      SolanaAddress(encodeBase58(anchor.program)),
      { log: SolanaAddress(encodeBase58(anchor.log)) },
      {
        ...describeLeaf(anchor, digest),
        batchSize: BigInt(anchor.batchSize),
        logPath: new MerkleTree(known).computeInclusionPath(anchor.entry),
      },
    );
  }
}

/** The database may hold batches of another chain, of an earlier network. */
function isSameLog(place: LogPlace, anchor: Anchor): boolean {
  return (
    place.generation === anchor.generation &&
    place.log === encodeBase58(anchor.log) &&
    place.genesis === encodeBase58(anchor.genesis)
  );
}

function describeRecent(anchor: Anchor, digest: Uint8Array): ChainInstruction {
  const accounts = { log: SolanaAddress(encodeBase58(anchor.log)) };
  return encodeVerifyRecent(SolanaAddress(encodeBase58(anchor.program)), accounts, describeLeaf(anchor, digest));
}

function describeLeaf(anchor: Anchor, digest: Uint8Array) {
  return {
    generation: BigInt(anchor.generation),
    entry: BigInt(anchor.entry),
    kind: ANCHOR_LEAF_KINDS.receipt,
    digest,
    leafIndex: BigInt(anchor.leafIndex),
    path: anchor.path,
  };
}
