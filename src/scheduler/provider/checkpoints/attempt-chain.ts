import { CHECKPOINT_CHAIN, MAX_CHECKPOINTS } from '../../../domain/checkpoint.ts';
import { encodeObject } from '../../../domain/object-type.ts';
import {
  type ChainLink,
  type ChainOwner,
  type ChainStart,
  computeCheckpointRoot,
  computeLinkHead,
  computeStartHead,
  encodeLinks,
} from '../../../proofs/checkpoint-chain.ts';

/** A chain as a receipt names it. */
export interface EncodedChain {
  readonly root: Uint8Array;
  /** A canonical `fogproof/checkpoint-chain@1`. */
  readonly bytes: Uint8Array;
  readonly links: number;
}

export interface AppendedLink {
  /** From 1: the start is 0. */
  readonly index: number;
  readonly previous: Uint8Array;
  readonly head: Uint8Array;
}

/** The checkpoint chain of one attempt in memory (docs/stepping.md section 5): 200 bytes a link. */
export class AttemptChain {
  readonly start: ChainStart;
  readonly startHead: Uint8Array;
  readonly #owner: ChainOwner;
  readonly #inputRoot: Uint8Array;
  readonly #links: ChainLink[] = [];
  readonly #heads: Uint8Array[] = [];

  constructor(owner: ChainOwner, inputRoot: Uint8Array, start: ChainStart) {
    this.#owner = owner;
    this.#inputRoot = inputRoot;
    this.start = start;
    this.startHead = computeStartHead(owner, inputRoot, start);
  }

  /** Links after the start. */
  get length(): number {
    return this.#links.length;
  }

  get lastStep(): number {
    return this.#links.at(-1)?.step ?? this.start.step;
  }

  /** Of the last link; 0 where there is none. */
  get lastAtMs(): number {
    return this.#links.at(-1)?.atMs ?? 0;
  }

  get isFull(): boolean {
    return this.#links.length >= MAX_CHECKPOINTS;
  }

  append(link: ChainLink): AppendedLink {
    const previous = this.#heads.at(-1) ?? this.startHead;
    const head = computeLinkHead(this.#owner, previous, link);
    this.#links.push(link);
    this.#heads.push(head);
    return { index: this.#links.length, previous, head };
  }

  encode(): EncodedChain {
    const { job, lease } = this.#owner;
    const { step, parent, stateRoot } = this.start;
    const bytes = encodeObject(CHECKPOINT_CHAIN, {
      type: 'fogproof/checkpoint-chain@1',
      job,
      lease,
      inputRoot: this.#inputRoot,
      start: { step, parent, stateRoot },
      links: encodeLinks(this.#links),
    });
    return { root: computeCheckpointRoot(this.#heads, this.startHead), bytes, links: this.#links.length };
  }
}
