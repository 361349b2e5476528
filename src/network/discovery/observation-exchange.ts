import type { ObjectId, PeerKey } from '../../domain/ids.ts';
import type { ObservationsRequest, RecordsRequest, RecordsResponse } from '../../domain/messages.ts';
import { MAX_LISTED_OBSERVATIONS } from '../../domain/observation.ts';
import { createDeadline } from '../../lib/abort.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { encodeCanonical } from '../../lib/canonical-cbor.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { ObservationSource } from '../../reputation/interface.ts';
import type { Logger } from '../../telemetry/interface.ts';
import {
  OBSERVATION_ANSWER_BYTES,
  OBSERVATION_SYNC_DEADLINE_MS,
  OBSERVATION_SYNC_EPOCHS,
  OBSERVATION_SYNC_MAX,
  OBSERVATION_SYNC_MS,
} from '../constants.ts';
import type { PeerBook, PeerTransport } from '../interface.ts';
import type { PeerPenalties } from '../peers/peer-penalties.ts';

export interface ObservationExchangeModules {
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly book: Pick<PeerBook, 'list'>;
  readonly penalties: PeerPenalties;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Who keeps the observations; null while nobody does. */
  readonly source: () => ObservationSource | null;
}

type ObservationWire = Extract<RecordsResponse, { observations: unknown }>['observations'][number];

const NOTHING: RecordsResponse = { observations: [] };

/**
 * Anti-entropy of observations over `records`: now and then one connected peer is asked for the digests of its epochs, for
 * the ids of some that differ, and for what is missing here.
 */
export class ObservationExchange {
  readonly #modules: ObservationExchangeModules;
  #timer: Disposable | undefined;
  #working: Promise<void> | undefined;

  constructor(modules: ObservationExchangeModules) {
    this.#modules = modules;
  }

  /** One round after another until the signal. */
  start(signal: AbortSignal): void {
    if (signal.aborted) return;
    const { clock, random } = this.#modules;
    // Between half of the interval and one and a half of it: nodes that start together do not stay together.
    const [byte = 0] = random.bytes(1);
    this.#timer = clock.schedule(OBSERVATION_SYNC_MS * (0.5 + byte / 256), () => {
      this.#working = this.#round(signal).finally(() => this.start(signal));
    });
  }

  async stop(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    await this.#working;
    this.#timer?.[Symbol.dispose]();
  }

  async answer(request: ObservationsRequest): Promise<RecordsResponse> {
    const source = this.#modules.source();
    if (source === null) return NOTHING;
    switch (request.op) {
      case 'observation-digests':
        return { digests: [...(await source.digests())] };
      case 'observation-ids':
        return { ids: [...(await source.listIds(request.epoch, request.after))] };
      case 'observations':
        return { observations: await collect(source, request.ids) };
      default:
        return request satisfies never;
    }
  }

  /** Takes in what a peer has and this node lacks, as much as one round may. Gives how many count now. */
  async syncWith(peer: PeerKey, signal: AbortSignal): Promise<number> {
    const source = this.#modules.source();
    if (source === null) return 0;
    using deadline = createDeadline(OBSERVATION_SYNC_DEADLINE_MS, signal);
    const theirs = await this.#request(peer, { op: 'observation-digests' }, deadline.signal);
    if (!('digests' in theirs)) return 0;
    const own = new Map((await source.digests()).map((digest) => [digest.epoch, digest.hash]));
    const differing = theirs.digests.filter(
      ({ epoch, hash }) => !areBytesEqual(own.get(epoch) ?? new Uint8Array(), hash),
    );
    let taken = 0;
    let room = OBSERVATION_SYNC_MAX;
    for (const { epoch } of this.#choose(differing)) {
      const missing = (await this.#listMissing(source, { peer, epoch, signal: deadline.signal })).slice(0, room);
      room -= missing.length;
      taken += await this.#fetch(source, { peer, ids: missing, signal: deadline.signal });
      if (room <= 0) break;
    }
    return taken;
  }

  async #round(signal: AbortSignal): Promise<void> {
    const source = this.#modules.source();
    if (source === null) return;
    try {
      const [peer] = this.#choose(this.#modules.book.list().filter(({ isConnected }) => isConnected));
      if (peer !== undefined) await this.syncWith(peer.peer, signal);
    } catch (error) {
      this.#modules.logger.debug({ reason: describeError(error) }, 'observations were not compared with a peer');
    }
    await this.#askObserver(source, signal);
  }

  /** One observer is asked for the evidence that it has not shown. */
  async #askObserver(source: ObservationSource, signal: AbortSignal): Promise<void> {
    const [chosen] = this.#choose(source.listUnchecked());
    if (chosen === undefined) return;
    const ids = source.listUnchecked().flatMap(({ id, observer }) => (observer === chosen.observer ? id : []));
    using deadline = createDeadline(OBSERVATION_SYNC_DEADLINE_MS, signal);
    try {
      await this.#fetch(source, { peer: chosen.observer, ids, signal: deadline.signal });
    } catch (error) {
      this.#modules.logger.debug({ reason: describeError(error) }, 'an observer did not show its evidence');
    }
  }

  async #listMissing(
    source: ObservationSource,
    { peer, epoch, signal }: { readonly peer: PeerKey; readonly epoch: number; readonly signal: AbortSignal },
  ): Promise<readonly ObjectId[]> {
    const missing: ObjectId[] = [];
    let after: ObjectId | null = null;
    // A peer that lists without end is not followed further than one round goes.
    while (missing.length < OBSERVATION_SYNC_MAX) {
      const listed: RecordsResponse = await this.#request(peer, { op: 'observation-ids', epoch, after }, signal);
      const last: ObjectId | undefined = 'ids' in listed ? listed.ids.at(-1) : undefined;
      if (!('ids' in listed) || last === undefined || (after !== null && last <= after)) break;
      missing.push(...(await source.findMissing(epoch, listed.ids)));
      after = last;
    }
    return missing;
  }

  async #fetch(
    source: ObservationSource,
    { peer, ids, signal }: { readonly peer: PeerKey; readonly ids: readonly ObjectId[]; readonly signal: AbortSignal },
  ): Promise<number> {
    let taken = 0;
    // An answer may hold fewer than were asked for; the others come in another round.
    for (let first = 0; first < ids.length; first += MAX_LISTED_OBSERVATIONS) {
      const asked = ids.slice(first, first + MAX_LISTED_OBSERVATIONS);
      const response = await this.#request(peer, { op: 'observations', ids: asked }, signal);
      if (!('observations' in response)) break;
      for (const item of response.observations) {
        signal.throwIfAborted();
        const verdict = await source.take(item, null);
        if (verdict.kind === 'accept') taken += 1;
        if (verdict.kind === 'reject') this.#modules.penalties.add(peer, verdict.penalty);
      }
    }
    return taken;
  }

  #request(peer: PeerKey, request: RecordsRequest, signal: AbortSignal): Promise<RecordsResponse> {
    return this.#modules.transport.request(peer, 'records', request, { signal });
  }

  /** Some at random: what differs for good must not keep the rest waiting. */
  #choose<Item>(items: readonly Item[]): readonly Item[] {
    const left = [...items];
    const chosen: Item[] = [];
    while (left.length > 0 && chosen.length < OBSERVATION_SYNC_EPOCHS) {
      const [high = 0, low = 0] = this.#modules.random.bytes(2);
      chosen.push(...left.splice(Math.floor(((high * 256 + low) / 65_536) * left.length), 1));
    }
    return chosen;
  }
}

/** As many as one answer holds; at least one, however large its evidence is. */
async function collect(source: ObservationSource, ids: readonly ObjectId[]): Promise<ObservationWire[]> {
  const items: ObservationWire[] = [];
  let sizeBytes = 0;
  for await (const item of source.load(ids)) {
    sizeBytes += encodeCanonical(item).length;
    if (items.length > 0 && sizeBytes > OBSERVATION_ANSWER_BYTES) break;
    items.push({ observation: item.observation, evidence: [...item.evidence] });
  }
  return items;
}
