import type { SnapshotEntry, SnapshotKey } from '../../src/blob/interface.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import type { HeldSnapshots, SnapshotRequest, SnapshotSource } from '../../src/scheduler/requester/snapshot-keeper.ts';

const nameOf = ({ role, lease, step }: SnapshotKey): string => `${role}/${lease}/${step}`;

/** Which snapshots a requester holds, and a network that brings them when the test says so. */
export class FakeSnapshots implements SnapshotSource {
  readonly entries = new Map<string, SnapshotEntry>();
  readonly requests: SnapshotRequest[] = [];
  readonly released: SnapshotKey[] = [];
  /** Fetches that the test has to let go on; without it they are done at once. */
  isHeldUp = false;
  /** What the next fetches fail with. */
  failures: Error[] = [];
  /** Says that something of the newest fetch arrived. */
  progress: () => void = () => undefined;
  readonly #waiting: (() => void)[] = [];

  get store(): HeldSnapshots {
    return {
      find: (snapshot: BlobId) => [...this.entries.values()].find(({ reference }) => reference.blob === snapshot),
      list: ({ role, lease }) =>
        [...this.entries.values()].filter((entry) => entry.role === role && entry.lease === lease),
      release: async (key) => {
        this.released.push(key);
        this.entries.delete(nameOf(key));
      },
      keepUntil: async (key, keptUntilMs) => {
        const entry = this.entries.get(nameOf(key));
        if (entry !== undefined) this.entries.set(nameOf(key), { ...entry, keptUntilMs });
      },
    };
  }

  get steps(): number[] {
    return [...this.entries.values()].map(({ step }) => step).toSorted((a, b) => a - b);
  }

  async fetch(
    request: SnapshotRequest,
    { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress?: () => void },
  ): Promise<void> {
    this.requests.push(request);
    this.progress = () => onProgress?.();
    if (this.isHeldUp) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
    }
    signal.throwIfAborted();
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const { key, reference, expected, keptUntilMs } = request;
    this.entries.set(nameOf(key), {
      ...key,
      job: expected.job,
      reference,
      itemBytes: 1,
      addedBytes: 1,
      keptUntilMs,
    });
  }

  /** Lets the oldest fetch that waits go on. */
  letGo(): void {
    this.#waiting.shift()?.();
  }
}
