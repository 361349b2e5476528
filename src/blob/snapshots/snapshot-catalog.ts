import type { BlobId, JobId, LeaseId } from '../../domain/ids.ts';
import type { SnapshotEntry, SnapshotKey, SnapshotRole } from '../interface.ts';
import type { Pack, StoredItem } from './item-index.ts';
import { formatSnapshotKey } from './registration-codec.ts';

/** A snapshot's object and its items, as long as somebody keeps it. */
export interface StoredSnapshot {
  readonly id: BlobId;
  readonly job: JobId;
  readonly step: number;
  /** The pack that holds the object. */
  readonly pack: Pack;
  readonly sizeBytes: number;
  readonly items: readonly StoredItem[];
  readonly itemBytes: number;
  /** Duties to keep it, and writers that are about to have one. */
  holders: number;
  readonly registrations: Set<Registration>;
}

export interface Registration {
  readonly snapshot: StoredSnapshot;
  readonly entry: SnapshotEntry;
}

/** Which snapshots are here and who keeps them until when. In memory. */
export class SnapshotCatalog {
  readonly #snapshots = new Map<BlobId, StoredSnapshot>();
  readonly #registrations = new Map<string, Registration>();
  readonly #byLease = new Map<LeaseId, Set<Registration>>();
  #references = 0;

  /** References from snapshots to items. */
  get references(): number {
    return this.#references;
  }

  get size(): number {
    return this.#snapshots.size;
  }

  snapshots(): Iterable<StoredSnapshot> {
    return this.#snapshots.values();
  }

  find(id: BlobId): StoredSnapshot | undefined {
    return this.#snapshots.get(id);
  }

  findRegistration(key: SnapshotKey): Registration | undefined {
    return this.#registrations.get(formatSnapshotKey(key));
  }

  registrations(): Iterable<Registration> {
    return this.#registrations.values();
  }

  list(filter: { readonly role?: SnapshotRole; readonly lease?: LeaseId }): readonly SnapshotEntry[] {
    const { role, lease } = filter;
    const among = lease === undefined ? this.#registrations.values() : (this.#byLease.get(lease) ?? []);
    return [...among]
      .map(({ entry }) => entry)
      .filter((entry) => role === undefined || entry.role === role)
      .sort((a, b) => a.step - b.step);
  }

  addSnapshot(snapshot: StoredSnapshot): void {
    this.#snapshots.set(snapshot.id, snapshot);
    this.#references += snapshot.items.length;
  }

  removeSnapshot(snapshot: StoredSnapshot): void {
    if (this.#snapshots.get(snapshot.id) !== snapshot) return;
    this.#snapshots.delete(snapshot.id);
    this.#references -= snapshot.items.length;
  }

  /** Gives the one that it takes the place of. */
  register(registration: Registration): Registration | undefined {
    const { entry } = registration;
    const key = formatSnapshotKey(entry);
    const before = this.#registrations.get(key);
    if (before !== undefined) this.unregister(before);
    this.#registrations.set(key, registration);
    registration.snapshot.registrations.add(registration);
    const ofLease = this.#byLease.get(entry.lease) ?? new Set();
    this.#byLease.set(entry.lease, ofLease.add(registration));
    return before;
  }

  /** False if it is not registered any more. */
  unregister(registration: Registration): boolean {
    const { entry } = registration;
    const key = formatSnapshotKey(entry);
    if (this.#registrations.get(key) !== registration) return false;
    this.#registrations.delete(key);
    registration.snapshot.registrations.delete(registration);
    const ofLease = this.#byLease.get(entry.lease);
    ofLease?.delete(registration);
    if (ofLease?.size === 0) this.#byLease.delete(entry.lease);
    return true;
  }
}
