import { LRUCache } from 'lru-cache';
import type { ObjectId } from '../domain/ids.ts';
import {
  kindOfObservation,
  MAX_LISTED_OBSERVATIONS,
  OBSERVATION,
  type Observation,
  type ObservationItem,
} from '../domain/observation.ts';
import type { SignedWire } from '../domain/signed.ts';
import { encodeCanonical } from '../lib/canonical-cbor.ts';
import type { Clock } from '../lib/clock.ts';
import { InternalError } from '../lib/errors.ts';
import type { EnvelopeSigner } from '../proofs/interface.ts';
import { signObjects } from '../proofs/signed-object.ts';
import type { Logger } from '../telemetry/interface.ts';
import { computeWeight, NO_BACKING } from './beta-model.ts';
import type { ObservationDraft, ObservationPublisher } from './interface.ts';
import { computeEpoch, judgeObservation } from './judge-observation.ts';
import type { ReputationMetrics } from './metrics.ts';
import type { ObservationSet } from './observation-set.ts';
import { openObservation } from './open-observation.ts';
import type { ReputationOptions } from './options.ts';
import { describeCounted } from './stored-forms.ts';

/** Evidence that goes with a gossip message; what is larger is asked for. */
const MAX_INLINE_EVIDENCE_BYTES = 8 * 1024;
/** Of one message: a gossip message may have 64 KiB. */
const MAX_MESSAGE_BYTES = 48 * 1024;

export interface OwnObservationsModules {
  readonly identity: EnvelopeSigner;
  readonly set: ObservationSet;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ReputationMetrics;
}

/** Signs what this node has observed, many at once; on disk first, then published until somebody has heard it. */
export class OwnObservations {
  readonly #modules: OwnObservationsModules;
  readonly #options: ReputationOptions;
  readonly #warned = new LRUCache<string, true>({ max: 64 });
  #publisher: ObservationPublisher | null = null;
  #working: Promise<void> | undefined;
  #isDirty = false;
  #retry: Disposable | undefined;

  constructor(modules: OwnObservationsModules, options: ReputationOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  start(publisher: ObservationPublisher): void {
    this.#publisher = publisher;
    this.wake();
  }

  async stop(): Promise<void> {
    this.#publisher = null;
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
    await this.#working;
  }

  /** Signed and on disk when it resolves. What would be refused by others is not made. */
  async record(drafts: readonly ObservationDraft[]): Promise<void> {
    const { identity, set, metrics } = this.#modules;
    const fresh = drafts.filter(
      (draft) => set.ledger.findOfLease(identity.peer, draft.lease, kindOfObservation(draft)) === undefined,
    );
    const signed = await signObjects(
      OBSERVATION,
      fresh.map((draft) => this.#describe(draft)),
      identity,
    );
    const entries = [];
    for (const [index, { id, value, wire }] of signed.entries()) {
      const item = { observation: wire, evidence: fresh[index]?.evidence ?? [] };
      const code = await this.#judge(item);
      if (code === null) entries.push({ observation: describeCounted(id, value, computeWeight(NO_BACKING)), item });
      else this.#warn(code, value);
    }
    metrics.recorded.increment({}, await set.addOwn(entries));
    this.wake();
  }

  wake(): void {
    this.#isDirty = true;
    if (this.#publisher === null || this.#working !== undefined) return;
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  #describe(draft: ObservationDraft): Observation {
    const { evidence: _, ...seen } = draft;
    return {
      type: OBSERVATION.type,
      network: this.#options.networkId,
      observer: this.#modules.identity.peer,
      ...seen,
      payment: '0',
      stake: '0',
      anchor: null,
      epoch: computeEpoch(draft.observedAtMs, this.#options.epochMs),
    };
  }

  async #judge(item: ObservationItem): Promise<string | null> {
    const opened = await openObservation(item);
    if (opened.kind === 'malformed') return 'OBSERVATION_MALFORMED';
    const { networkId, epochMs } = this.#options;
    const context = { networkId, epochMs, nowMs: this.#modules.clock.nowMs(), publisher: null };
    return judgeObservation(opened.observation, opened.evidence, context)?.code ?? null;
  }

  /** Once for each reason: the same fault comes with every attempt. */
  #warn(code: string, { role, lease }: Observation): void {
    if (this.#warned.has(code)) return;
    this.#warned.set(code, true);
    const error = new InternalError(`an own observation of a ${role} breaks the rule ${code}`);
    this.#modules.logger.warn({ error, lease }, 'an observation was not made');
  }

  async #work(): Promise<void> {
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
    let isHeard = true;
    try {
      while (this.#publisher !== null && this.#isDirty && isHeard) {
        this.#isDirty = false;
        isHeard = await this.#publishAll(this.#publisher);
      }
    } catch (error) {
      isHeard = false;
      this.#modules.logger.debug({ error }, 'own observations could not be published yet');
    }
    if (isHeard || this.#publisher === null) return;
    this.#retry = this.#modules.clock.schedule(this.#options.publishRetryMs, () => this.wake());
  }

  /** False if nobody is there to hear it. */
  async #publishAll(publisher: ObservationPublisher): Promise<boolean> {
    for (;;) {
      const ids = await this.#modules.set.store.listQueue(MAX_LISTED_OBSERVATIONS);
      if (ids.length === 0) return true;
      const { taken, items } = await this.#fillMessage(ids);
      if (items.length > 0) {
        const { recipients } = await publisher.publish(items);
        if (recipients === 0) return false;
      }
      this.#modules.metrics.published.increment({}, items.length);
      await this.#modules.set.store.dequeue(taken);
    }
  }

  /** As many as one message holds; at least one. */
  async #fillMessage(
    ids: readonly ObjectId[],
  ): Promise<{ readonly taken: readonly ObjectId[]; readonly items: readonly ObservationItem[] }> {
    const [taken, items]: [ObjectId[], ObservationItem[]] = [[], []];
    let sizeBytes = 0;
    for (const id of ids) {
      const stored = await this.#modules.set.store.getItem(id);
      const item = stored === undefined ? undefined : { ...stored, evidence: chooseInline(stored.evidence) };
      sizeBytes += item === undefined ? 0 : encodeCanonical(item).length;
      if (sizeBytes > MAX_MESSAGE_BYTES && items.length > 0) break;
      taken.push(id);
      if (item !== undefined) items.push(item);
    }
    return { taken, items };
  }
}

/** All of it or nothing. */
function chooseInline(evidence: readonly SignedWire[]): readonly SignedWire[] {
  return encodeCanonical(evidence).length <= MAX_INLINE_EVIDENCE_BYTES ? evidence : [];
}
