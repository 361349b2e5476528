import type { PeerKey } from '../../domain/ids.ts';
import type { ObservationsRequest, RecordsRequest, RecordsResponse } from '../../domain/messages.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { Signed } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { RECORD_SAMPLE } from '../constants.ts';
import type { PeerTransport } from '../interface.ts';
import type { BoundedPeerBook } from '../peers/bounded-peer-book.ts';
import type { PeerPenalties } from '../peers/peer-penalties.ts';
import type { RecordIntake } from '../peers/record-intake.ts';

export interface RecordExchangeModules {
  readonly transport: PeerTransport;
  readonly book: BoundedPeerBook;
  readonly intake: RecordIntake;
  readonly penalties: PeerPenalties;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly ownRecord: () => Signed<NodeRecord> | null;
  /** Answers what is asked about observations over the same protocol. */
  readonly observations: { answer(request: ObservationsRequest): Promise<RecordsResponse> };
}

/** records/1: answers it, and asks it of everybody that was just met. */
export class RecordExchange {
  readonly #modules: RecordExchangeModules;
  readonly #self: PeerKey;

  constructor(modules: RecordExchangeModules, options: { readonly self: PeerKey }) {
    this.#modules = modules;
    this.#self = options.self;
  }

  start(): Disposable {
    return this.#modules.transport.handle('records', (request) => this.#answer(request));
  }

  /** Its record, what it knows of our own identity, and a sample of the others that it knows. */
  async meet(peer: PeerKey, signal: AbortSignal): Promise<void> {
    const { clock, book } = this.#modules;
    const startedMs = clock.monotonicMs();
    await this.ask(peer, { op: 'get', peers: [peer, this.#self] }, signal);
    book.noteLatency(peer, clock.monotonicMs() - startedMs);
    await this.ask(peer, { op: 'sample', limit: RECORD_SAMPLE }, signal);
  }

  /** Asks one peer and takes in what it answers; what it should not have sent costs it. */
  async ask(peer: PeerKey, request: RecordsRequest, signal: AbortSignal): Promise<void> {
    const { transport, intake, penalties, logger } = this.#modules;
    let response: RecordsResponse;
    try {
      response = await transport.request(peer, 'records', request, { signal });
    } catch (error) {
      logger.debug({ peer, reason: describeError(error) }, 'a peer did not give its records');
      return;
    }
    for (const wire of 'records' in response ? response.records : []) {
      if (signal.aborted) return;
      const verdict = await intake.take(wire, 'gossip', undefined, peer);
      if (verdict.kind === 'reject') penalties.add(peer, verdict.penalty);
    }
  }

  async *#answer(request: RecordsRequest): AsyncGenerator<RecordsResponse> {
    if (request.op !== 'get' && request.op !== 'sample') {
      yield await this.#modules.observations.answer(request);
      return;
    }
    const records = request.op === 'get' ? this.#collect(request.peers) : this.#sample(request.limit);
    yield { records: records.map((record) => record.wire) };
  }

  #collect(peers: readonly PeerKey[]): Signed<NodeRecord>[] {
    const { book, ownRecord } = this.#modules;
    return [...new Set(peers)].flatMap((peer) => (peer === this.#self ? ownRecord() : book.recordOf(peer)) ?? []);
  }

  /** A random run of the book: cheap, and different for everyone who asks. */
  #sample(limit: number): Signed<NodeRecord>[] {
    const records = this.#modules.book.records();
    if (records.length <= limit) return [...records];
    const [high = 0, low = 0] = this.#modules.random.bytes(2);
    const start = Math.floor(((high * 256 + low) / 65_536) * records.length);
    return [...records.slice(start), ...records.slice(0, start)].slice(0, limit);
  }
}
