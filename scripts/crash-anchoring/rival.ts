import { type Connection, Keypair, PublicKey, Transaction } from '@solana/web3.js';
import { parseLog } from '../../src/chain/anchoring/anchor-log.ts';
import { encodeAppend, encodeSetDelegate } from '../../src/chain/generated/proof-anchor.ts';
import type { ChainInstruction } from '../../src/chain/interface.ts';
import { SolanaAddress } from '../../src/domain/chain.ts';
import { encodeHex } from '../../src/lib/bytes.ts';

export interface RivalOptions {
  readonly connection: Connection;
  readonly program: SolanaAddress;
  readonly log: SolanaAddress;
  /** Owner of the log. */
  readonly wallet: Keypair;
}

/** A second writer: a delegate of the log's owner that appends roots of its own whenever it is told to. */
export class Rival {
  readonly #options: RivalOptions;
  readonly #key = Keypair.generate();
  #isDelegate = false;
  /** What it tried to write. */
  readonly roots = new Set<string>();

  constructor(options: RivalOptions) {
    this.#options = options;
  }

  get address(): PublicKey {
    return this.#key.publicKey;
  }

  /** Does nothing while there is no log; a lost race is no failure. */
  async append(root: Uint8Array): Promise<void> {
    const { connection, program, log, wallet } = this.#options;
    const account = await connection.getAccountInfo(new PublicKey(log), 'confirmed');
    if (account === null) return;
    const delegate = SolanaAddress(this.#key.publicKey.toBase58());
    if (!this.#isDelegate) {
      const owner = SolanaAddress(wallet.publicKey.toBase58());
      await this.#send(encodeSetDelegate(program, { owner, log }, { delegate }), wallet);
      this.#isDelegate = true;
      return;
    }
    const { generation, size } = parseLog(new Uint8Array(account.data), 0);
    const args = {
      generation: BigInt(generation),
      expectedSize: BigInt(size),
      batchRoot: root,
      batchSize: 1n,
    };
    this.roots.add(encodeHex(root));
    await this.#send(encodeAppend(program, { authority: delegate, log }, args), this.#key);
  }

  async #send(instruction: ChainInstruction, signer: Keypair): Promise<void> {
    const { connection } = this.#options;
    const transaction = new Transaction({ ...(await connection.getLatestBlockhash()), feePayer: signer.publicKey });
    transaction.add({
      programId: new PublicKey(instruction.program),
      keys: instruction.accounts.map(({ address, isSigner, isWritable }) => ({
        pubkey: new PublicKey(address),
        isSigner,
        isWritable,
      })),
      data: Buffer.from(instruction.data),
    });
    transaction.sign(signer);
    // Without preflight: what comes too late fails on the chain, as it would between two real writers.
    await connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
  }
}
