import { isDeepStrictEqual } from 'node:util';
import { type Keypair, PublicKey } from '@solana/web3.js';
import {
  type AppendArgs,
  computeLogSeeds,
  decodeLog,
  encodeAppend,
  encodeCloseLog,
  encodeCreateLog,
  encodeSetDelegate,
  encodeVerifyLogged,
  encodeVerifyRecent,
  type Log,
  type VerifyLoggedArgs,
  type VerifyRecentArgs,
} from '../../src/chain/generated/proof-anchor.ts';
import type { ChainInstruction } from '../../src/chain/interface.ts';
import { ANCHOR_LEAF_KINDS, type AnchorLeaf, encodeAnchorLeaf, encodeLogEntry } from '../../src/domain/anchor.ts';
import type { SolanaAddress } from '../../src/domain/chain.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';
import { computeLeafHash, MerkleTree } from '../../src/proofs/merkle.ts';
import { addressOf, type Outcome, ProgramChain } from './program-chain.ts';

export const digestOf = (text: string): Uint8Array => sha256(encodeUtf8(text));

/** A batch with as many leaves as asked for: receipts, every tenth one a checkpoint; or all of the kind that is given. */
export function buildBatch(name: string, size: number, kind?: number): Batch {
  const leaves = Array.from({ length: size }, (_, index): AnchorLeaf => {
    return { kind: index % 10 === 9 ? 'checkpoint' : 'receipt', digest: digestOf(`${name} ${index}`) };
  });
  return { leaves, tree: new MerkleTree(leaves.map((leaf) => computeLeafHash(encodeLeaf(leaf, kind)))) };
}

function encodeLeaf(leaf: AnchorLeaf, kind: number | undefined): Uint8Array {
  const bytes = encodeAnchorLeaf(leaf);
  return kind === undefined ? bytes : bytes.with(0, kind);
}

export interface Batch {
  readonly leaves: readonly AnchorLeaf[];
  readonly tree: MerkleTree;
}

export interface Entry {
  readonly batchRoot: Uint8Array;
  readonly batchSize: number;
}

/** The tree that the program keeps, built by the code that it has nothing in common with. */
export function buildLogTree(entries: readonly Entry[]): MerkleTree {
  return new MerkleTree(entries.map((entry) => computeLeafHash(encodeLogEntry(entry))));
}

/** What a refusal by the program looks like. */
export const refused = (code: number): Attempt => ({ error: code, changed: false });
export const ACCEPTED = { error: null, changed: true } as const satisfies Attempt;

export interface Attempt {
  readonly error: Outcome['error'];
  /** Whether anything about the log's account is different now. */
  readonly changed: boolean;
}

type Account = ChainInstruction['accounts'][number];

/** The instruction with something different about account number `index`. */
export function withAccount(instruction: ChainInstruction, index: number, change: Partial<Account>): ChainInstruction {
  const accounts = instruction.accounts.map((account, at) => (at === index ? { ...account, ...change } : account));
  return { ...instruction, accounts };
}

export function withAccounts(instruction: ChainInstruction, count: number): ChainInstruction {
  return { ...instruction, accounts: instruction.accounts.slice(0, count) };
}

export function withData(instruction: ChainInstruction, data: Uint8Array): ChainInstruction {
  return { ...instruction, data };
}

/** The instruction with its data cut off, or with zeros behind them. */
export function withLength(instruction: ChainInstruction, change: number): ChainInstruction {
  const data = new Uint8Array(instruction.data.length + change);
  data.set(instruction.data.subarray(0, data.length));
  return { ...instruction, data };
}

/** proof-anchor with one log of one owner. */
export class LogRig {
  readonly chain = new ProgramChain('proof_anchor');
  readonly owner: Keypair = this.chain.fund('owner');
  readonly delegate: Keypair = this.chain.fund('delegate');
  readonly stranger: Keypair = this.chain.fund('stranger');
  readonly log: SolanaAddress = this.logOf(this.owner);
  readonly entries: Entry[] = [];

  logOf(owner: Keypair): SolanaAddress {
    const seeds = computeLogSeeds(addressOf(owner)).map((seed) => Buffer.from(seed));
    return addressOf(PublicKey.findProgramAddressSync(seeds, new PublicKey(this.chain.program))[0]);
  }

  /** A rig whose log is made, one slot ago. */
  static created(): LogRig {
    const rig = new LogRig();
    const { error } = rig.send([rig.createLog()], rig.owner);
    if (error !== null) throw new Error(`create_log: ${error}`);
    rig.chain.advance();
    return rig;
  }

  state(): Log {
    const account = this.chain.read(this.log);
    if (account === undefined) throw new Error('there is no log');
    return decodeLog(account.data);
  }

  send(instructions: readonly ChainInstruction[], ...signers: readonly Keypair[]): Outcome {
    return this.chain.send(instructions, { signers });
  }

  attempt(instruction: ChainInstruction, ...signers: readonly Keypair[]): Attempt {
    const before = this.chain.read(this.log);
    const { error } = this.send([instruction], ...signers);
    return { error, changed: !isDeepStrictEqual(before, this.chain.read(this.log)) };
  }

  /** Changes the account as no transaction could. */
  forge(change: (data: Uint8Array) => void): void {
    const account = this.chain.read(this.log);
    if (account === undefined) throw new Error('there is no log');
    change(account.data);
    this.chain.write(this.log, account);
  }

  createLog(owner: Keypair = this.owner, payer: Keypair = owner): ChainInstruction {
    const accounts = { payer: addressOf(payer), owner: addressOf(owner), log: this.logOf(owner) };
    return encodeCreateLog(this.chain.program, accounts);
  }

  append(change: Partial<AppendArgs> = {}, authority: Keypair = this.owner): ChainInstruction {
    const { generation, size } = this.state();
    const args = { generation, expectedSize: size, batchRoot: digestOf('root'), batchSize: 1n, ...change };
    return encodeAppend(this.chain.program, { authority: addressOf(authority), log: this.log }, args);
  }

  setDelegate(delegate: SolanaAddress, owner: Keypair = this.owner): ChainInstruction {
    return encodeSetDelegate(this.chain.program, { owner: addressOf(owner), log: this.log }, { delegate });
  }

  closeLog(
    change: { readonly destination?: SolanaAddress; readonly owner?: Keypair; readonly generation?: bigint } = {},
  ) {
    const { owner = this.owner, destination = addressOf(owner), generation = this.state().generation } = change;
    return encodeCloseLog(this.chain.program, { owner: addressOf(owner), log: this.log, destination }, { generation });
  }

  /** Appends for the owner and remembers what was appended. @throws if the program refuses */
  anchor(entry: Entry): Outcome {
    const outcome = this.send(
      [this.append({ batchRoot: entry.batchRoot, batchSize: BigInt(entry.batchSize) })],
      this.owner,
    );
    if (outcome.error !== null) throw new Error(`append: ${outcome.error}`);
    this.entries.push(entry);
    return outcome;
  }

  anchorBatch({ tree }: Batch): Outcome {
    return this.anchor({ batchRoot: tree.root, batchSize: tree.size });
  }

  /** Appends entries that nobody asks for again. */
  fill(count: number): void {
    for (let index = 0; index < count; index += 1) {
      this.anchor({ batchRoot: digestOf(`filler ${this.entries.length}`), batchSize: 1 });
    }
  }

  /** What proves leaf `index` of the batch at `entry`. */
  recentProof(batch: Batch, index: number, entry: number): VerifyRecentArgs {
    const leaf = batch.leaves[index];
    if (leaf === undefined) throw new RangeError(`no leaf ${index}`);
    return {
      generation: this.state().generation,
      entry: BigInt(entry),
      kind: ANCHOR_LEAF_KINDS[leaf.kind],
      digest: leaf.digest,
      leafIndex: BigInt(index),
      path: batch.tree.computeInclusionPath(index),
    };
  }

  loggedProof(batch: Batch, index: number, entry: number): VerifyLoggedArgs {
    const logPath = buildLogTree(this.entries).computeInclusionPath(entry);
    return { ...this.recentProof(batch, index, entry), batchSize: BigInt(batch.tree.size), logPath };
  }

  verifyRecent(args: VerifyRecentArgs): ChainInstruction {
    return encodeVerifyRecent(this.chain.program, { log: this.log }, args);
  }

  verifyLogged(args: VerifyLoggedArgs): ChainInstruction {
    return encodeVerifyLogged(this.chain.program, { log: this.log }, args);
  }
}
