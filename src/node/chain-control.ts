import { setTimeout as sleep } from 'node:timers/promises';
import type { AnchorService, AnchorView, ChainReader, ChainSigner, WalletView } from '../chain/interface.ts';
import type { Lamports, TransactionSignature } from '../domain/chain.ts';
import { createDeadline } from '../lib/abort.ts';
import { isDaemonError } from '../lib/errors.ts';
import type { ChainControl } from '../rpc/interface.ts';
import type { ReceiptOutbox } from '../scheduler/receipt-outbox.ts';
import { NodeError } from './errors.ts';

export interface NodeChainModules {
  readonly reader: ChainReader;
  readonly signer: ChainSigner;
  readonly anchoring: AnchorService;
  readonly outbox: Pick<ReceiptOutbox, 'settle'>;
}

/** Longest wait for the balance when somebody asks for it, ms. */
const BALANCE_TIMEOUT_MS = 5_000;
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
      while ((await reader.transaction(signature, { commitment: 'confirmed', signal })) === undefined) {
        await sleep(AIRDROP_POLL_MS, undefined, { signal });
      }
      return { signature, lamports: await reader.balance(signer.address, { commitment: 'confirmed', signal }) };
    } catch (error) {
      if (!signal.aborted || options.signal.aborted) throw error;
      throw new NodeError({ code: 'NODE_AIRDROP_LOST', signature }, { cause: error });
    }
  }

  listAnchors(limit: number): Promise<readonly AnchorView[]> {
    return this.#modules.anchoring.list({ limit });
  }

  async flushAnchors(options: { readonly signal: AbortSignal }): Promise<AnchorView | null> {
    const { anchoring, outbox } = this.#modules;
    await outbox.settle();
    const sealed = await anchoring.flush();
    return sealed === null ? null : await anchoring.wait(sealed.batch, options);
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

  flushAnchors(): Promise<never> {
    return this.#refuse();
  }

  #refuse(): Promise<never> {
    return Promise.reject(new NodeError({ code: 'NODE_NO_CHAIN', network: this.#network }));
  }
}
