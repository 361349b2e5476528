import type { BlobTransferStore } from '../../blob/interface.ts';
import type { BlobShape } from '../../domain/blob-shape.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { BlobFetchRequest, FetchOptions, FetchProgress } from './interface.ts';
import { type LeafSink, ReceptionSink } from './leaf-sink.ts';
import { LeafSwarm, type LeafSwarmModules } from './leaf-swarm.ts';
import type { TransferOptions } from './options.ts';
import type { SuppliedLeaves } from './supplied-leaves.ts';

export interface TreeTransferModules extends LeafSwarmModules {
  readonly store: BlobTransferStore;
  readonly supplied: SuppliedLeaves;
}

export interface TreeTransferOptions extends TransferOptions {
  readonly blob: BlobId;
  readonly shape: BlobShape;
  readonly isPrivate: boolean;
}

/** One blob on its way here, for all that wait for it. It ends when the last of them has gone. */
export class TreeTransfer {
  readonly #swarm: LeafSwarm;
  readonly #listeners = new Set<(progress: FetchProgress) => void>();
  readonly #done: Promise<void>;
  #participants = 0;

  constructor(modules: TreeTransferModules, options: TreeTransferOptions) {
    const sink = new ReceptionSink(modules, options);
    this.#swarm = createSwarm(modules, { ...options, sink }, (progress) => {
      for (const listen of this.#listeners) listen(progress);
    });
    this.#done = this.#run(modules, sink, options);
    this.#done.catch(() => undefined);
  }

  /** Settles when nothing of the transfer runs any more. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** True once there is nothing to join: wait for `done`, then begin anew. */
  get hasEnded(): boolean {
    return this.#swarm.hasEnded;
  }

  get bytesMoved(): number {
    return this.#swarm.bytesMoved;
  }

  /** Lends the transfer its sources and waits for its end. */
  async join(request: Pick<BlobFetchRequest, 'sources'>, options: FetchOptions): Promise<void> {
    const { signal, onProgress } = options;
    this.#participants += 1;
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    const finding = findSources(this.#swarm, request.sources);
    try {
      await (signal === undefined ? this.#done : raceSignal(this.#done, signal));
    } finally {
      finding[Symbol.dispose]();
      if (onProgress !== undefined) this.#listeners.delete(onProgress);
      this.#participants -= 1;
      if (this.#participants === 0) this.stop(new DOMException('nobody waits for the blob', 'AbortError'));
    }
  }

  stop(reason: Error): void {
    this.#swarm.stop(reason);
  }

  async #run(modules: TreeTransferModules, sink: ReceptionSink, { blob }: TreeTransferOptions): Promise<void> {
    using _pin = modules.store.pin(blob);
    await using reception = sink;
    await reception.resume();
    await this.#swarm.run();
    await reception.commit();
  }
}

export function createSwarm(
  modules: LeafSwarmModules,
  options: TransferOptions & { readonly blob: BlobId; readonly sink: LeafSink },
  onProgress: (progress: FetchProgress) => void,
): LeafSwarm {
  return new LeafSwarm(modules, { ...options, onProgress });
}

/** Hands a swarm its sources as they are found. Dispose to look for no more. */
export function findSources(swarm: LeafSwarm, sources: BlobFetchRequest['sources']): Disposable {
  if (Symbol.iterator in sources) {
    for (const peer of sources) swarm.addSource(peer);
    return { [Symbol.dispose]: () => undefined };
  }
  const expecting = swarm.expectSources();
  const iterator = sources[Symbol.asyncIterator]();
  let isOpen = true;
  const follow = async (): Promise<void> => {
    while (isOpen) {
      const next: IteratorResult<PeerKey> = await iterator.next();
      if (next.done === true) return;
      swarm.addSource(next.value);
    }
  };
  const end = (): void => {
    if (!isOpen) return;
    isOpen = false;
    expecting[Symbol.dispose]();
    // A search that is in the middle of a step ends after it; nobody waits for that.
    iterator.return?.().catch(() => undefined);
  };
  // A search that fails is one that found nobody else.
  follow().then(end, end);
  return { [Symbol.dispose]: end };
}
