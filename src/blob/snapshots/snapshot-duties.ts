import type { Database, Repository } from '../../storage/interface.ts';
import type { SnapshotEntry, SnapshotKey } from '../interface.ts';
import type { ItemIndex } from './item-index.ts';
import { formatSnapshotKey, REGISTRATION_CODEC, type RegistrationRow } from './registration-codec.ts';
import type { Registration, SnapshotCatalog, StoredSnapshot } from './snapshot-catalog.ts';

export interface SnapshotDutiesModules {
  readonly database: Database;
  readonly catalog: SnapshotCatalog;
  readonly index: ItemIndex;
  /** Makes failures of the database errors of this folder. */
  readonly guard: <Result>(task: () => Promise<Result>) => Promise<Result>;
}

/** Who keeps which snapshot until when: in the database first, then in memory. */
export class SnapshotDuties {
  readonly #modules: SnapshotDutiesModules;
  readonly #rows: Repository<RegistrationRow>;
  /** Changes come one after the other, so that the last row written is the last one meant. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(modules: SnapshotDutiesModules) {
    this.#modules = modules;
    this.#rows = modules.database.repository('snapshots', REGISTRATION_CODEC);
  }

  rows(): AsyncIterable<readonly [key: string, row: RegistrationRow]> {
    return this.#rows.entries();
  }

  async removeRows(keys: readonly string[]): Promise<void> {
    await this.#modules.database.write(keys.map((key) => this.#rows.deleteOperation(key)));
  }

  /** Resolves when the changes that were begun have ended. */
  async settle(): Promise<void> {
    await this.#tail;
  }

  /** Takes the place of what was kept under the same key. */
  async keep(snapshot: StoredSnapshot, entry: SnapshotEntry): Promise<void> {
    await this.#inTurn(() => this.#write({ snapshot, entry }));
  }

  async keepUntil(key: SnapshotKey, keptUntilMs: number): Promise<void> {
    await this.#inTurn(async () => {
      const known = this.#modules.catalog.findRegistration(key);
      if (known !== undefined) await this.#write({ ...known, entry: { ...known.entry, keptUntilMs } });
    });
  }

  async release(key: SnapshotKey): Promise<void> {
    await this.#inTurn(async () => {
      const known = this.#modules.catalog.findRegistration(key);
      if (known !== undefined) await this.#remove([known]);
    });
  }

  async releaseEnded(nowMs: number): Promise<void> {
    await this.#inTurn(async () => {
      const all = [...this.#modules.catalog.registrations()];
      await this.#remove(all.filter(({ entry }) => entry.keptUntilMs <= nowMs));
    });
  }

  /** Whoever keeps these. */
  async forget(snapshots: readonly StoredSnapshot[]): Promise<void> {
    await this.#inTurn(() => this.#remove(snapshots.flatMap(({ registrations }) => [...registrations])));
  }

  /** One holder less; its items and its object go when nobody needs them. */
  letGo(snapshot: StoredSnapshot): void {
    snapshot.holders -= 1;
    if (snapshot.holders > 0) return;
    const { catalog, index } = this.#modules;
    catalog.removeSnapshot(snapshot);
    for (const item of snapshot.items) index.release(item);
    snapshot.pack.holders -= 1;
  }

  async #write(registration: Registration): Promise<void> {
    const { entry, snapshot } = registration;
    const { reference, addedBytes, keptUntilMs } = entry;
    const row = { snapshot: reference.blob, addedBytes, keptUntilMs };
    await this.#modules.guard(() => this.#rows.put(formatSnapshotKey(entry), row, { durable: true }));
    snapshot.holders += 1;
    const before = this.#modules.catalog.register(registration);
    if (before !== undefined) this.letGo(before.snapshot);
  }

  async #remove(registrations: readonly Registration[]): Promise<void> {
    if (registrations.length === 0) return;
    const { database, catalog, guard } = this.#modules;
    const operations = registrations.map(({ entry }) => this.#rows.deleteOperation(formatSnapshotKey(entry)));
    await guard(() => database.write(operations, { durable: true }));
    for (const registration of registrations) {
      if (catalog.unregister(registration)) this.letGo(registration.snapshot);
    }
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const changing = this.#tail.then(change);
    this.#tail = changing.catch(() => undefined);
    return changing;
  }
}
