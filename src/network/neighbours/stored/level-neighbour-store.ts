import { PeerKey } from '../../../domain/ids.ts';
import type { Database, Repository, WriteOperation } from '../../../storage/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { CandidateChanges, StoredCandidate, StoredCandidates, StoredSlots } from '../ports.ts';
import type { InboundSlot, OutboundSlot } from '../slots.ts';
import { STORED_CANDIDATE_CODEC, STORED_SLOT_CODEC, type StoredSlot } from './slot-codec.ts';

export interface LevelNeighbourStoreModules {
  readonly database: Database;
  readonly logger: Logger;
}

const SIZE_KEY = 'size';
const BEGAN_KEY = 'began';

/** Slots and ages over restarts. What cannot be read is left out: it is chosen or seen again. */
export class LevelNeighbourStore {
  readonly #modules: LevelNeighbourStoreModules;
  readonly #slots: Repository<StoredSlot>;
  readonly #candidates: Repository<Omit<StoredCandidate, 'peer'>>;
  /** Keys of the slots on disk. */
  #written = new Set<string>();

  constructor(modules: LevelNeighbourStoreModules) {
    this.#modules = modules;
    this.#slots = modules.database.repository('neighbour-slots', STORED_SLOT_CODEC);
    this.#candidates = modules.database.repository('neighbour-candidates', STORED_CANDIDATE_CODEC);
  }

  async load(): Promise<StoredSlots> {
    const outbound: OutboundSlot[] = [];
    const inbound: InboundSlot[] = [];
    let networkSize: StoredSlots['networkSize'] = null;
    for await (const [key, stored] of this.#slots.entries({}, this.#skipDamaged)) {
      if (stored.kind === 'outbound') outbound.push(stored.slot);
      if (stored.kind === 'inbound') inbound.push(stored.slot);
      if (stored.kind === 'size') networkSize = { epoch: stored.epoch, size: stored.size };
      if (stored.kind === 'outbound' || stored.kind === 'inbound') this.#written.add(key);
    }
    return { outbound, inbound, networkSize };
  }

  /** All slots as they are now, and nothing else. */
  async save({ outbound, inbound, networkSize }: StoredSlots): Promise<void> {
    const entries = new Map<string, StoredSlot>();
    for (const slot of outbound) entries.set(`outbound/${slot.peer}`, { kind: 'outbound', slot });
    for (const slot of inbound) {
      entries.set(`inbound/${slot.peer}`, { kind: 'inbound', slot: { ...slot, groups: [...slot.groups] } });
    }
    const operations = [...entries].map(([key, stored]) => this.#slots.putOperation(key, stored));
    for (const key of this.#written) if (!entries.has(key)) operations.push(this.#slots.deleteOperation(key));
    if (networkSize !== null) operations.push(this.#slots.putOperation(SIZE_KEY, { kind: 'size', ...networkSize }));
    await this.#modules.database.write(operations);
    this.#written = new Set(entries.keys());
  }

  async loadCandidates(): Promise<StoredCandidates> {
    const candidates: StoredCandidate[] = [];
    for await (const [key, stored] of this.#candidates.entries({}, this.#skipDamaged)) {
      candidates.push({ peer: PeerKey(key), ...stored });
    }
    const began = await this.#slots.get(BEGAN_KEY);
    return { beganEpoch: began?.kind === 'began' ? began.epoch : null, candidates };
  }

  async saveCandidates(changes: CandidateChanges & Pick<StoredCandidates, 'beganEpoch'>): Promise<void> {
    const operations: WriteOperation[] = changes.put.map(({ peer, ...stored }) =>
      this.#candidates.putOperation(peer, stored),
    );
    for (const peer of changes.removed) operations.push(this.#candidates.deleteOperation(peer));
    if (operations.length === 0) return;
    const { beganEpoch } = changes;
    if (beganEpoch !== null) operations.push(this.#slots.putOperation(BEGAN_KEY, { kind: 'began', epoch: beganEpoch }));
    await this.#modules.database.write(operations);
  }

  readonly #skipDamaged = {
    onDamaged: (key: string): void => {
      this.#modules.logger.warn({ key }, 'an entry about neighbours cannot be read and is left out');
    },
  };
}
