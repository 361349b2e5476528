import { z } from 'zod';
import type { SnapshotRole } from '../../../blob/interface.ts';
import { integerSchema, type JobId, type LeaseId, type PeerKey, unixMsSchema } from '../../../domain/ids.ts';
import { createCborCodec } from '../../../storage/codecs.ts';
import type { Database, Repository, WriteOperation } from '../../../storage/interface.ts';

/** Ids that were checked before they were written. */
const ownId = <Id extends string>() => z.custom<Id>((value) => typeof value === 'string');

const dutySchema = z.strictObject({
  version: z.literal(1),
  job: ownId<JobId>(),
  requester: ownId<PeerKey>(),
  provider: ownId<PeerKey>(),
  /** Who is given the snapshots besides the requester. */
  holder: ownId<PeerKey>(),
  startStep: integerSchema(),
  keptUntilMs: unixMsSchema,
});

/** For whom the snapshots of a lease are kept here, and until when. */
export type SnapshotDuty = z.output<typeof dutySchema>;
export const SNAPSHOT_DUTY_CODEC = createCborCodec<SnapshotDuty>(dutySchema);

/** The duties of one role, on disk. */
export class SnapshotDuties {
  readonly #role: SnapshotRole;
  readonly #database: Database;
  readonly #duties: Repository<SnapshotDuty>;

  constructor(database: Database, role: SnapshotRole) {
    this.#role = role;
    this.#database = database;
    this.#duties = database.repository('snapshot-duties', SNAPSHOT_DUTY_CODEC);
  }

  putOperation(lease: LeaseId, duty: SnapshotDuty): WriteOperation {
    return this.#duties.putOperation(this.#keyOf(lease), duty);
  }

  async put(lease: LeaseId, duty: SnapshotDuty): Promise<void> {
    await this.#database.write([this.putOperation(lease, duty)], { durable: true });
  }

  async delete(lease: LeaseId): Promise<void> {
    await this.#duties.delete(this.#keyOf(lease));
  }

  async *entries(): AsyncGenerator<readonly [lease: LeaseId, duty: SnapshotDuty]> {
    const range = { gt: `${this.#role}/`, lt: `${this.#role}0` };
    for await (const [key, duty] of this.#duties.entries(range)) {
      yield [key.slice(this.#role.length + 1) as LeaseId, duty];
    }
  }

  #keyOf(lease: LeaseId): string {
    return `${this.#role}/${lease}`;
  }
}
