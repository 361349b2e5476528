import { ObjectId, PeerKey } from '../domain/ids.ts';
import type { ObservationItem } from '../domain/observation.ts';
import { BYTES_CODEC } from '../storage/codecs.ts';
import type { Database, EntriesOptions, Repository, WriteOperation } from '../storage/interface.ts';
import type { DecayedSums } from './beta-model.ts';
import { MAX_SNAPSHOT_HASHES } from './constants.ts';
import type { CountedObservation } from './observation-ledger.ts';
import { type FoldedStanding, isSubjectRole } from './standing-book.ts';
import {
  decodeCounted,
  type EpochSnapshot,
  encodeCounted,
  ITEM_CODEC,
  NOTHING_CODEC,
  SNAPSHOT_CODEC,
  STANDING_CODEC,
} from './stored-forms.ts';

/** Enough for every epoch until the last time that a Date can hold, if epochs last a second. */
const EPOCH_DIGITS = 14;
const pad = (epoch: number): string => String(epoch).padStart(EPOCH_DIGITS, '0');

/** What is new, and what no longer counts because of it. */
export interface ObservationChange {
  readonly observation: CountedObservation;
  readonly item: ObservationItem;
  readonly displaced: readonly CountedObservation[];
}

export interface FoldedEpoch {
  readonly epoch: number;
  readonly snapshot: EpochSnapshot;
}

export interface FoldChange {
  readonly observations: readonly CountedObservation[];
  readonly standings: readonly FoldedStanding[];
  readonly dropped: readonly FoldedStanding[];
  readonly epochs: readonly FoldedEpoch[];
}

/** Observations that count with their evidence, folded sums, and the own observations that are yet to be published. */
export class ObservationStore {
  readonly #database: Database;
  readonly #observations: Repository<Uint8Array>;
  readonly #wires: Repository<ObservationItem>;
  readonly #queue: Repository<null>;
  readonly #standings: Repository<DecayedSums>;
  readonly #snapshots: Repository<EpochSnapshot>;

  constructor(database: Database) {
    this.#database = database;
    this.#observations = database.repository('observations', BYTES_CODEC);
    this.#wires = database.repository('observation-wires', ITEM_CODEC);
    this.#queue = database.repository('observation-queue', NOTHING_CODEC);
    this.#standings = database.repository('reputation-standings', STANDING_CODEC);
    this.#snapshots = database.repository('reputation-snapshots', SNAPSHOT_CODEC);
  }

  /** Observations of others can be had again: they need not survive a power cut. */
  async put({ observation, item, displaced }: ObservationChange): Promise<void> {
    const { id } = observation;
    await this.#database.write([
      ...displaced.flatMap((gone) => this.#deleteOperations(gone)),
      this.#observations.putOperation(keyOf(observation), encodeCounted(observation)),
      this.#wires.putOperation(id, item),
    ]);
  }

  /** On disk, power cut included, when it resolves; then they may be published. */
  async putOwn(changes: readonly ObservationChange[]): Promise<void> {
    const operations = changes.flatMap(({ observation, item, displaced }) => [
      ...displaced.flatMap((gone) => this.#deleteOperations(gone)),
      this.#observations.putOperation(keyOf(observation), encodeCounted(observation)),
      this.#wires.putOperation(observation.id, item),
      this.#queue.putOperation(observation.id, null),
    ]);
    if (operations.length > 0) await this.#database.write(operations, { durable: true });
  }

  async getItem(id: ObjectId): Promise<ObservationItem | undefined> {
    return await this.#wires.get(id);
  }

  /** Ids of own observations that are yet to be published. */
  async listQueue(limit: number): Promise<readonly ObjectId[]> {
    const ids: ObjectId[] = [];
    for await (const [key] of this.#queue.entries({ limit })) ids.push(ObjectId(key));
    return ids;
  }

  async dequeue(ids: readonly ObjectId[]): Promise<void> {
    if (ids.length > 0) await this.#database.write(ids.map((id) => this.#queue.deleteOperation(id)));
  }

  async delete(observations: readonly CountedObservation[]): Promise<void> {
    const operations = observations.flatMap((observation) => this.#deleteOperations(observation));
    if (operations.length > 0) await this.#database.write(operations);
  }

  async fold({ observations, standings, dropped, epochs }: FoldChange): Promise<void> {
    await this.#database.write(
      [
        ...observations.flatMap((observation) => this.#deleteOperations(observation)),
        ...standings.map((standing) => this.#standings.putOperation(standingKey(standing), standing.base)),
        ...dropped.map((standing) => this.#standings.deleteOperation(standingKey(standing))),
        ...epochs.map(({ epoch, snapshot }) => this.#snapshots.putOperation(pad(epoch), snapshot)),
      ],
      { durable: true },
    );
    if (epochs.length > 0) await this.#trimSnapshots();
  }

  async getSnapshot(epoch: number): Promise<EpochSnapshot | undefined> {
    return await this.#snapshots.get(pad(epoch));
  }

  async *observations(options: EntriesOptions): AsyncIterable<CountedObservation> {
    for await (const [key, bytes] of this.#observations.entries({}, options)) {
      try {
        yield decodeCounted(bytes, ObjectId(key.slice(EPOCH_DIGITS + 1)));
      } catch {
        // It says nothing without its form, and others have it.
        await this.#observations.delete(key);
      }
    }
  }

  async *standings(options: EntriesOptions): AsyncIterable<FoldedStanding> {
    for await (const [key, base] of this.#standings.entries({}, options)) {
      const [role = '', subject = ''] = key.split('/');
      if (isSubjectRole(role)) yield { role, subject: PeerKey(subject), base };
    }
  }

  async #trimSnapshots(): Promise<void> {
    const excess: WriteOperation[] = [];
    let kept = 0;
    for await (const [key] of this.#snapshots.entries({ reverse: true })) {
      kept += 1;
      if (kept > MAX_SNAPSHOT_HASHES) excess.push(this.#snapshots.deleteOperation(key));
    }
    if (excess.length > 0) await this.#database.write(excess);
  }

  #deleteOperations(observation: CountedObservation): WriteOperation[] {
    return [
      this.#observations.deleteOperation(keyOf(observation)),
      this.#wires.deleteOperation(observation.id),
      this.#queue.deleteOperation(observation.id),
    ];
  }
}

const keyOf = ({ epoch, id }: CountedObservation): string => `${pad(epoch)}/${id}`;
const standingKey = ({ role, subject }: FoldedStanding): string => `${role}/${subject}`;
