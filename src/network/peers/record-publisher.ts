import { findGpuModelKey } from '../../domain/gpu.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { Signed } from '../../domain/signed.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { RECORD_REFRESH_SHARE } from '../constants.ts';
import type { CapabilityName, DhtDirectory } from '../discovery/dht-directory.ts';
import type { KnownContacts } from '../discovery/known-contacts.ts';
import type { RecordGossip } from '../gossip/record-gossip.ts';
import type { NodeRecordContent } from '../interface.ts';
import type { OwnRecord } from './own-record.ts';

export interface RecordPublisherModules {
  readonly ownRecord: Pick<OwnRecord, 'issue' | 'raiseSequence'>;
  readonly clock: Clock;
  readonly ownAddresses: () => readonly string[];
  readonly inBackground: (task: () => Promise<void>) => void;
}

/** Where a record goes; only there while the network runs. */
export interface RecordOutlets {
  readonly gossip: Pick<RecordGossip, 'publish'>;
  readonly directory: Pick<DhtDirectory, 'putRecord' | 'provide'>;
  /** To whom the DHT could give a record. */
  readonly contacts: Pick<KnownContacts, 'size'>;
  readonly signal: AbortSignal;
}

/** Publishes the own record: on every change, and anew long before it expires. */
export class RecordPublisher {
  readonly #modules: RecordPublisherModules;
  readonly #recordTtlMs: number;
  #content: NodeRecordContent | null = null;
  #outlets: RecordOutlets | null = null;
  #refreshTimer: Disposable | null = null;
  /** What the DHT could not be told while it had no peers. */
  #untold: Signed<NodeRecord> | null = null;

  constructor(modules: RecordPublisherModules, options: { readonly recordTtlMs: number }) {
    this.#modules = modules;
    this.#recordTtlMs = options.recordTtlMs;
  }

  async start(outlets: RecordOutlets): Promise<void> {
    this.#outlets = outlets;
    await this.publish();
  }

  stop(): void {
    this.#outlets = null;
    this.#untold = null;
    this.#refreshTimer?.[Symbol.dispose]();
    this.#refreshTimer = null;
  }

  async update(content: NodeRecordContent): Promise<void> {
    this.#content = content;
    await this.publish();
  }

  /** The DHT has a peer more. */
  noteContact(): void {
    const record = this.#untold;
    if (record !== null) this.#tellDirectory(record);
  }

  /** Another daemon like us has published: ours must stand above its record. */
  overrule(record: Signed<NodeRecord>): void {
    this.#modules.ownRecord.raiseSequence(record.value.sequence);
    this.#modules.inBackground(() => this.publish());
  }

  /** Signs and stores first, then tells peers by gossip, and the DHT in the background. */
  async publish(): Promise<void> {
    const outlets = this.#outlets;
    const content = this.#content;
    if (outlets === null || content === null) return;
    const { ownRecord, ownAddresses, clock, inBackground } = this.#modules;
    const record = await ownRecord.issue(content, ownAddresses());
    if (outlets.signal.aborted) return;
    this.#refreshTimer?.[Symbol.dispose]();
    this.#refreshTimer = clock.schedule(this.#recordTtlMs * RECORD_REFRESH_SHARE, () => {
      inBackground(() => this.publish());
    });
    await raceSignal(outlets.gossip.publish(record.wire), outlets.signal);
    this.#tellDirectory(record);
  }

  #tellDirectory(record: Signed<NodeRecord>): void {
    const outlets = this.#outlets;
    if (outlets === null) return;
    const { directory, contacts } = outlets;
    this.#untold = contacts.size > 0 ? null : record;
    if (this.#untold !== null) return;
    const { role } = record.value;
    this.#modules.inBackground(async () => {
      await directory.putRecord(record.signer, record.wire);
      await directory.provide(role.provides ? listCapabilities(record.value) : []);
    });
  }
}

/** Classes, and the models of the GPUs that are lent, such as `gpu:h100`. */
function listCapabilities({ capabilities, claims }: NodeRecord): readonly CapabilityName[] {
  if (!capabilities.includes('gpu-consumer')) return capabilities;
  const keys = claims.gpus.flatMap(({ model }) => findGpuModelKey(model) ?? []);
  return [...capabilities, ...[...new Set(keys)].map((key): CapabilityName => `gpu:${key}`)];
}
