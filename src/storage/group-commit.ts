import { GROUP_COMMIT_BYTES, GROUP_COMMIT_OPERATIONS } from './constants.ts';
import type { WriteOperation, WriteOptions } from './interface.ts';

interface PendingWrite {
  readonly operations: readonly WriteOperation[];
  readonly isDurable: boolean;
  readonly sizeBytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export type CommitFunction = (operations: readonly WriteOperation[], options: WriteOptions) => Promise<void>;

/**
 * One commit at a time; what is written meanwhile goes together into the next one, so that many durable writes share
 * one fsync. Order is kept, and each write stays atomic because a commit is. A commit that fails fails all its writes.
 */
export class GroupCommit {
  readonly #commit: CommitFunction;
  #pending: PendingWrite[] = [];
  #running: Promise<void> | undefined;

  constructor(modules: { readonly commit: CommitFunction }) {
    this.#commit = modules.commit;
  }

  write(operations: readonly WriteOperation[], options: WriteOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const isDurable = options.durable === true;
    this.#pending.push({ operations, isDurable, sizeBytes: computeSize(operations), resolve, reject });
    this.#running ??= this.#run();
    return promise;
  }

  /** Resolves when all that was written so far has ended. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // Lets the writes of the same turn of the event loop into the first commit.
    await Promise.resolve();
    while (this.#pending.length > 0) await this.#commitGroup(this.#takeGroup());
    this.#running = undefined;
  }

  #takeGroup(): PendingWrite[] {
    let operations = 0;
    let sizeBytes = 0;
    let count = 0;
    for (const write of this.#pending) {
      operations += write.operations.length;
      sizeBytes += write.sizeBytes;
      if (count > 0 && (operations > GROUP_COMMIT_OPERATIONS || sizeBytes > GROUP_COMMIT_BYTES)) break;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }

  async #commitGroup(group: readonly PendingWrite[]): Promise<void> {
    try {
      await this.#commit(
        group.flatMap((write) => write.operations),
        { durable: group.some((write) => write.isDurable) },
      );
      for (const write of group) write.resolve();
    } catch (error) {
      for (const write of group) write.reject(error);
    }
  }
}

function computeSize(operations: readonly WriteOperation[]): number {
  let sizeBytes = 0;
  for (const operation of operations) {
    sizeBytes += operation.key.length + (operation.kind === 'put' ? operation.value.length : 0);
  }
  return sizeBytes;
}
