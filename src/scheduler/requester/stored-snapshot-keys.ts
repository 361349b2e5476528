import type { JobId } from '../../domain/ids.ts';
import type { JobStore } from '../job-store.ts';

/** The keys that seal the snapshots of this node's own jobs, for who exports them on its requester's behalf. */
export class StoredSnapshotKeys {
  readonly #store: Pick<JobStore, 'loadRecord'>;

  constructor(store: Pick<JobStore, 'loadRecord'>) {
    this.#store = store;
  }

  /** 32 bytes; undefined where the job's snapshots are not sealed, or the job is not one of this node. */
  async snapshotKey(job: JobId): Promise<Uint8Array | undefined> {
    const record = await this.#store.loadRecord(job);
    return record?.snapshotKey ?? undefined;
  }
}
