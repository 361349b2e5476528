import type { SnapshotEntry } from '../../../blob/interface.ts';
import { MAX_CHECKPOINTS } from '../../../domain/checkpoint.ts';
import { UnixMs } from '../../../domain/ids.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import type { Clock } from '../../../lib/clock.ts';
import { type ChainLink, computeInputRoot, NO_PARENT } from '../../../proofs/checkpoint-chain.ts';
import type { CheckpointOrder, StateCheckpoint } from '../../../sandbox/interface.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { AttemptStopped } from '../attempts/attempt-stopped.ts';
import { AttemptChain, type EncodedChain } from './attempt-chain.ts';
import type { KnownLink, KnownLinks } from './known-links.ts';
import type { LinkClaims, LinkPublisher } from './link-publisher.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';
import { createPlainOrder, type SnapshotOrders } from './snapshot-orders.ts';

export interface AttemptCheckpointsModules {
  readonly publisher: LinkPublisher;
  readonly orders: SnapshotOrders;
  readonly keeper: SnapshotKeeper;
  readonly clock: Clock;
  /** Called before the first link is told. Never rejects. */
  readonly onFirstLink: () => Promise<void>;
}

/** What a checkpoint says of the state. */
type LinkState = Pick<StateCheckpoint, 'step' | 'fuel' | 'stateRoot' | 'metricsHash'>;

/**
 * The checkpoints of one running attempt, linked to a chain. Steps that are run again after a restart have to give the
 * states that were signed before. The start is told with the first link after it, and the end is in the receipt alone:
 * short attempts cost nothing. Attempts of a batch keep their chain in memory and tell of no link.
 */
export class AttemptCheckpoints {
  readonly #attempt: Attempt;
  readonly #modules: AttemptCheckpointsModules;
  readonly #known: KnownLinks;
  #chain: AttemptChain | null = null;
  /** The start, as long as nobody was told of it. */
  #untold: LinkState | null = null;
  #busy: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(attempt: Attempt, modules: AttemptCheckpointsModules) {
    this.#attempt = attempt;
    this.#modules = modules;
    this.#known = attempt.options.restored?.links ?? [];
  }

  /** @throws AttemptStopped STATE_MISMATCH; StorageError where the link cannot be journalled: both end the attempt */
  async checkpoint(state: StateCheckpoint): Promise<CheckpointOrder> {
    return await this.#track(() => this.#take(state));
  }

  /** Waits for the link that is being written, then takes no more: what follows is the receipt. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#busy;
    await this.#modules.orders[Symbol.asyncDispose]();
  }

  /** The chain so far; null before its start. */
  encode(): EncodedChain | null {
    return this.#chain?.encode() ?? null;
  }

  readonly #track = async <T>(work: () => Promise<T>): Promise<T> => {
    if (this.#isClosed) throw new AttemptStopped({ code: 'INTERNAL', detail: 'the attempt is over' });
    this.#attempt.hasLife = true;
    const done = work();
    this.#busy = Promise.allSettled([this.#busy, done]);
    return await done;
  };

  async #take(state: StateCheckpoint): Promise<CheckpointOrder> {
    switch (state.place) {
      case 'start':
        this.#begin(state);
        // Nothing was done that a snapshot would save.
        return createPlainOrder(this.#attempt.pauseReason === null ? 'continue' : 'halt');
      case 'middle':
        return await this.#link(this.#startedChain(state), state);
      case 'end':
        this.#finish(this.#startedChain(state), state);
        return createPlainOrder('continue');
      default:
        return state.place satisfies never;
    }
  }

  #begin(state: StateCheckpoint): void {
    const [first] = this.#known;
    if (first !== undefined) return this.#rebuild(state, first);
    const { resume } = this.#attempt.lease.value;
    const step = resume?.step ?? 0;
    if (state.step !== step) throw mismatch(`it begins after step ${state.step}, not ${step}`);
    if (resume !== undefined) assertState(state, resume);
    this.#chain = this.#createChain(state);
    this.#untold = pickState(state);
  }

  /** Goes on under the same lease: the chain as it was told, up to the state that the program goes on from. */
  #rebuild(state: StateCheckpoint, first: KnownLink): void {
    const place = this.#known.findIndex(({ step }) => step === state.step);
    const here = this.#known[place];
    if (here === undefined) throw mismatch(`no checkpoint was signed at step ${state.step}`);
    assertState(state, here);
    const chain = this.#createChain(first);
    for (const link of this.#known.slice(1, place + 1)) appendKnown(chain, link);
    this.#chain = chain;
  }

  #createChain({ step, stateRoot }: Pick<KnownLink, 'step' | 'stateRoot'>): AttemptChain {
    const { job, lease, id, jobId } = this.#attempt;
    const start = { step, parent: lease.value.resume?.head ?? null, stateRoot: stateRoot.slice() };
    return new AttemptChain({ job: jobId, lease: id }, computeInputRoot(job.value), start);
  }

  async #link(chain: AttemptChain, state: StateCheckpoint): Promise<CheckpointOrder> {
    // The start is one of them (docs/stepping.md section 2). The program's side stops there too.
    if (chain.length + 1 >= MAX_CHECKPOINTS) return createPlainOrder('continue');
    const known = this.#known[chain.length + 1];
    if (known !== undefined) return this.#relink(chain, state, known);
    const link = this.#describeLink(chain, state);
    if (this.#attempt.run.options.isBatch) {
      chain.append(link);
      return createPlainOrder('continue');
    }
    const { orders, keeper } = this.#modules;
    const isPausing = this.#attempt.pauseReason !== null;
    const next = isPausing ? 'halt' : 'continue';
    const keptUntilMs = keeper.keptUntilMs(this.#attempt);
    const isDue = orders.takesOne();
    const task = isPausing || isDue ? await orders.begin(state, { keptUntilMs }) : null;
    const publish = (entry: SnapshotEntry | null): Promise<void> =>
      this.#publish(chain, { link, fuel: state.fuel, entry });
    if (task !== null) return orders.order(task, { next, track: this.#track, publish });
    await publish(null);
    return createPlainOrder(next);
  }

  /** A step that was run before. A pause waits for one whose snapshot is here, or for a new one. */
  #relink(chain: AttemptChain, state: StateCheckpoint, known: KnownLink): CheckpointOrder {
    const { step } = state;
    if (step !== known.step) throw mismatch(`a checkpoint at step ${step} where step ${known.step} was signed`);
    assertState(state, known);
    appendKnown(chain, known);
    const isPausing = this.#attempt.pauseReason !== null;
    const isKept = isPausing && this.#modules.keeper.list(this.#attempt.id).some((entry) => entry.step === step);
    return createPlainOrder(isKept ? 'halt' : 'continue');
  }

  #finish(chain: AttemptChain, state: StateCheckpoint): void {
    const known = this.#known[chain.length + 1];
    if (known !== undefined) throw mismatch(`it ended at step ${state.step}, and step ${known.step} was signed`);
    // A training job that ends without another round has told of its last one.
    if (!chain.isFull && state.step > chain.lastStep) chain.append(this.#describeLink(chain, state));
  }

  #startedChain({ step, place }: StateCheckpoint): AttemptChain {
    const chain = this.#chain;
    const isInOrder = chain !== null && (step > chain.lastStep || (step === chain.lastStep && place === 'end'));
    if (isInOrder) return chain;
    throw new AttemptStopped({ code: 'INTERNAL', detail: `the executor gave step ${step} out of order` });
  }

  #describeLink(chain: AttemptChain, { step, stateRoot, metricsHash }: LinkState): ChainLink {
    const atMs = UnixMs(Math.max(this.#modules.clock.nowMs(), chain.lastAtMs));
    return { step, stateRoot: stateRoot.slice(), metricsHash: metricsHash.slice(), atMs };
  }

  async #publish(
    chain: AttemptChain,
    {
      link,
      fuel,
      entry,
    }: { readonly link: ChainLink; readonly fuel: number | null; readonly entry: SnapshotEntry | null },
  ): Promise<void> {
    const start = this.#untold;
    if (start !== null) await this.#modules.onFirstLink();
    const claims: LinkClaims[] = [];
    if (start !== null) {
      claims.push({ ...start, index: 0, previous: NO_PARENT, head: chain.startHead, atMs: link.atMs });
    }
    claims.push({ ...link, ...chain.append(link), fuel });
    await this.#modules.publisher.publish(claims, entry);
    this.#untold = null;
  }
}

function appendKnown(chain: AttemptChain, known: KnownLink): void {
  const { head } = chain.append(known);
  if (!areBytesEqual(head, known.head)) throw mismatch(`the chain is not what was signed at step ${known.step}`);
}

function assertState(state: StateCheckpoint, expected: Pick<KnownLink, 'stateRoot'>): void {
  if (areBytesEqual(state.stateRoot, expected.stateRoot)) return;
  throw mismatch(`the state after step ${state.step} is not the one that was signed`);
}

function mismatch(detail: string): AttemptStopped {
  return new AttemptStopped({ code: 'STATE_MISMATCH', detail });
}

function pickState({ step, fuel, stateRoot, metricsHash }: StateCheckpoint): LinkState {
  return { step, fuel, stateRoot: stateRoot.slice(), metricsHash: metricsHash.slice() };
}
