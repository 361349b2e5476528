import { setTimeout as sleep } from 'node:timers/promises';
import type { InclusionCheck } from '../chain/anchoring/inclusion-check.ts';
import { ChainError } from '../chain/errors.ts';
import type {
  AnchorService,
  AnchorView,
  ChainReader,
  ChainSigner,
  ChainTransaction,
  WalletView,
} from '../chain/interface.ts';
import type { Lamports, TransactionSignature } from '../domain/chain.ts';
import { createDeadline } from '../lib/abort.ts';
import { isDaemonError } from '../lib/errors.ts';
import type { AnchorCheck, ChainControl, NodeStatus } from '../rpc/interface.ts';
import type { ReceiptOutbox } from '../scheduler/receipt-outbox.ts';
import { NodeError } from './errors.ts';

export interface NodeChainModules {
  readonly reader: ChainReader;
  readonly signer: ChainSigner;
  readonly anchoring: AnchorService;
  readonly inclusion: InclusionCheck;
  readonly outbox: Pick<ReceiptOutbox, 'settle'>;
}

/** Longest wait for the balance when somebody asks for it, ms. */
const BALANCE_TIMEOUT_MS = 5_000;
/** A problem that stands after this long is told to whoever waits for an anchor, ms. */
const PROBLEM_GRACE_MS = 3_000;
/** Longest wait until an airdrop is confirmed, ms: block hashes expire after about a minute. */
const AIRDROP_TIMEOUT_MS = 90_000;
const AIRDROP_POLL_MS = 200;

/** The chain as the control socket uses it. */
export class NodeChain implements ChainControl {
  readonly #modules: NodeChainModules;

  constructor(modules: NodeChainModules) {
    this.#modules = modules;
  }

  async wallet(): Promise<WalletView> {
    const { reader, signer } = this.#modules;
    return {
      address: signer.address,
      signer: signer.description,
      lamports: await this.#readBalance(),
      cluster: reader.status().cluster,
    };
  }

  async describe(): Promise<NonNullable<NodeStatus['chain']>> {
    const { reader, anchoring } = this.#modules;
    // The question for the balance comes first: what the endpoints are like is known after it.
    const wallet = await this.wallet();
    return { ...reader.status(), wallet, anchoring: anchoring.status() };
  }

  /** Null if no endpoint answers: the status says why. */
  async #readBalance(): Promise<Lamports | null> {
    const { reader, signer } = this.#modules;
    using deadline = createDeadline(BALANCE_TIMEOUT_MS);
    try {
      return await reader.balance(signer.address, { commitment: 'confirmed', signal: deadline.signal });
    } catch (error) {
      if (isDaemonError(error) || deadline.signal.aborted) return null;
      throw error;
    }
  }

  async airdrop(
    lamports: Lamports,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly signature: TransactionSignature; readonly lamports: Lamports }> {
    const { reader, signer } = this.#modules;
    using deadline = createDeadline(AIRDROP_TIMEOUT_MS, options.signal);
    const { signal } = deadline;
    const signature = await reader.requestAirdrop(signer.address, lamports, { signal });
    try {
      const { failure } = await this.#awaitTransaction(signature, signal);
      if (failure !== null) {
        const reason = `its transaction ${signature} failed: ${failure.detail}`;
        throw new ChainError({ code: 'CHAIN_FAUCET_REFUSED', reason });
      }
      return { signature, lamports: await reader.balance(signer.address, { commitment: 'confirmed', signal }) };
    } catch (error) {
      if (!signal.aborted || options.signal.aborted) throw error;
      throw new NodeError({ code: 'NODE_AIRDROP_LOST', signature }, { cause: error });
    }
  }

  async #awaitTransaction(signature: TransactionSignature, signal: AbortSignal): Promise<ChainTransaction> {
    for (;;) {
      const found = await this.#modules.reader.transaction(signature, { commitment: 'confirmed', signal });
      if (found !== undefined) return found;
      await sleep(AIRDROP_POLL_MS, undefined, { signal });
    }
  }

  listAnchors(limit: number): Promise<readonly AnchorView[]> {
    return this.#modules.anchoring.list({ limit });
  }

  async flushAnchors(options: { readonly signal: AbortSignal }): Promise<AnchorView | null> {
    const { anchoring, outbox } = this.#modules;
    await outbox.settle();
    const sealed = (await anchoring.flush()) ?? (await this.#newestOnTheWay());
    return sealed === null ? null : await this.#untilFinal(sealed.batch, options);
  }

  /** Batches go one after the other: when the newest is final, all are. */
  async #newestOnTheWay(): Promise<AnchorView | null> {
    const [newest] = await this.#modules.anchoring.list({ limit: 1 });
    return newest === undefined || newest.state === 'finalized' ? null : newest;
  }

  /** What only waits for its time is waited for; what something is in the way of is told. */
  async #untilFinal(batch: number, { signal }: { readonly signal: AbortSignal }): Promise<AnchorView> {
    const { anchoring } = this.#modules;
    for (;;) {
      using deadline = createDeadline(PROBLEM_GRACE_MS, signal);
      try {
        return await anchoring.wait(batch, { signal: deadline.signal });
      } catch (error) {
        if (signal.aborted || !deadline.signal.aborted) throw error;
        const problem = anchoring.status().problem;
        if (problem !== null) {
          throw new NodeError({ code: 'NODE_ANCHOR_WAITS', batch, problem: problem.code, message: problem.message });
        }
      }
    }
  }

  async verifyAnchors(
    receiptDigests: readonly Uint8Array[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly AnchorCheck[]> {
    const checked = await Promise.all(receiptDigests.map((digest) => this.#modules.inclusion.run(digest, options)));
    return checked.map(({ anchor: { receipt, entry, leafIndex, batchSize }, ...check }) => {
      const { against, transaction, slot, feeLamports, computeUnits } = check;
      return { receipt, entry, leafIndex, batchSize, against, transaction, slot, feeLamports, computeUnits };
    });
  }
}

/** On a network without a chain. */
export class NoChain implements ChainControl {
  readonly #network: string;

  constructor(options: { readonly network: string }) {
    this.#network = options.network;
  }

  wallet(): Promise<never> {
    return this.#refuse();
  }

  airdrop(): Promise<never> {
    return this.#refuse();
  }

  listAnchors(): Promise<never> {
    return this.#refuse();
  }

  verifyAnchors(): Promise<never> {
    return this.#refuse();
  }

  flushAnchors(): Promise<never> {
    return this.#refuse();
  }

  #refuse(): Promise<never> {
    return Promise.reject(new NodeError({ code: 'NODE_NO_CHAIN', network: this.#network }));
  }
}
