import type { Stream } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import type { AbortOptions } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError, isAbortError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_KNOWN_PEERS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { PeerTransport, ProtocolMessages, ProtocolName, RequestHandler, RequestOptions } from '../interface.ts';
import type { NetworkMetrics } from '../metrics.ts';
import { CallWait } from './call-wait.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { InboundStream } from './inbound-stream.ts';
import { decodeLeafPart } from './leaf-part-codec.ts';
import { requestLocally, streamLocally } from './local-transport.ts';
import { decodeMessage, encodeMessage } from './message-codec.ts';
import { OutboundStream } from './outbound-stream.ts';
import { type LimitOverrides, PROTOCOLS, type ProtocolSpec, type ProtocolTable, type Violation } from './protocols.ts';
import { TokenBucket } from './token-bucket.ts';

/** What the transport needs of a host. */
export interface StreamOpener {
  /** Connects if need be. @throws NetworkError NETWORK_UNREACHABLE */
  openStream(peer: PeerKey, protocol: ProtocolName, options: AbortOptions): Promise<Stream>;
}

export interface RequestTransportModules {
  readonly opener: StreamOpener;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: NetworkMetrics;
  /** Told of every breach of the rules. */
  readonly onViolation: (peer: PeerKey, protocol: ProtocolName, violation: Violation) => void;
}

export interface RequestTransportOptions {
  readonly self: PeerKey;
  readonly limits: LimitOverrides;
}

/** Share of a peer's rate limit that we use ourselves, so that its clock and ours need not agree. */
const PACE_SHARE = 0.9;

type Request<Name extends ProtocolName> = ProtocolMessages[Name]['request'];
type Response<Name extends ProtocolName> = ProtocolMessages[Name]['response'];
type Handlers = { [Name in ProtocolName]?: RequestHandler<Name> };

/** Requests over one kept stream per peer, protocol and direction, opened when first needed and again after a loss. */
export class RequestTransport implements PeerTransport {
  readonly #modules: RequestTransportModules;
  readonly #self: PeerKey;
  readonly #specs: ProtocolTable;
  readonly #handlers: Handlers = {};
  readonly #outbound = new Map<string, OutboundStream>();
  readonly #opening = new Map<string, Promise<OutboundStream>>();
  readonly #inbound = new Set<{ close(): void }>();
  /** Bounded: whoever is forgotten here starts with a full bucket again. */
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: 4 * MAX_KNOWN_PEERS });
  readonly #deadlines: DeadlineQueue;
  #closing = new AbortController();
  #isRunning = false;

  constructor(modules: RequestTransportModules, options: RequestTransportOptions) {
    this.#modules = modules;
    this.#self = options.self;
    this.#specs = applyLimits(options.limits);
    this.#deadlines = new DeadlineQueue(modules.clock);
  }

  start(): void {
    this.#closing = new AbortController();
    this.#isRunning = true;
  }

  stop(): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#closing.abort(new NetworkError({ code: 'NETWORK_NOT_RUNNING' }));
    for (const stream of [...this.#outbound.values(), ...this.#inbound]) stream.close();
    this.#outbound.clear();
    this.#inbound.clear();
    this.#deadlines.stop();
  }

  handle<Name extends ProtocolName>(protocol: Name, handler: RequestHandler<Name>): Disposable {
    if (this.#handlers[protocol] !== undefined) throw new NetworkError({ code: 'NETWORK_HANDLER_TAKEN', protocol });
    const handlers: Partial<Record<ProtocolName, unknown>> = this.#handlers;
    handlers[protocol] = handler;
    return {
      [Symbol.dispose]: () => {
        if (handlers[protocol] === handler) delete handlers[protocol];
      },
    };
  }

  /** Takes a stream that a peer opened. */
  accept<Name extends ProtocolName>(stream: Stream, peer: PeerKey, protocol: Name): void {
    if (!this.#isRunning) {
      stream.abort(new NetworkError({ code: 'NETWORK_NOT_RUNNING' }));
      return;
    }
    const { clock, metrics, logger, onViolation } = this.#modules;
    metrics.streamsOpened.increment({ protocol, direction: 'inbound' });
    const inbound: InboundStream<Name> = new InboundStream(stream, clock, {
      peer,
      protocol,
      spec: this.#specs[protocol] as ProtocolSpec<Name>,
      bucket: this.#bucketOf('from', peer, protocol),
      findHandler: () => this.#handlers[protocol] as RequestHandler<Name> | undefined,
      onViolation: (violation) => onViolation(peer, protocol, violation),
      onHandlerError: (error) => {
        metrics.handlerErrors.increment({ protocol });
        logger.debug({ peer, protocol, reason: describeError(error) }, 'a request could not be answered');
      },
      onClose: () => this.#inbound.delete(inbound),
    });
    this.#inbound.add(inbound);
  }

  async request<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: Request<Name>,
    options: RequestOptions = {},
  ): Promise<Response<Name>> {
    const { clock, metrics } = this.#modules;
    const startedMs = clock.monotonicMs();
    using wait = this.#createWait(peer, protocol, options);
    try {
      const response =
        peer === this.#self
          ? await requestLocally(this.#localCall(protocol, request), wait)
          : await this.#requestOne(peer, protocol, request, wait);
      metrics.requestSeconds.observe((clock.monotonicMs() - startedMs) / 1000, { protocol });
      return response;
    } catch (error) {
      this.#countFailure(protocol, error);
      throw error;
    }
  }

  async *stream<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: Request<Name>,
    options: RequestOptions = {},
  ): AsyncGenerator<Response<Name>> {
    using wait = this.#createWait(peer, protocol, options);
    try {
      if (peer === this.#self) yield* streamLocally(this.#localCall(protocol, request), wait);
      else yield* this.#requestMany(peer, protocol, request, wait);
    } catch (error) {
      this.#countFailure(protocol, error);
      throw error;
    }
  }

  async #requestOne<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: Request<Name>,
    wait: CallWait,
  ): Promise<Response<Name>> {
    const body = this.#encodeRequest(protocol, request);
    const { promise, resolve, reject } = Promise.withResolvers<Response<Name>>();
    const settle = {
      resolve: (bytes: Uint8Array) => {
        try {
          resolve(this.#decodeResponse(peer, protocol, bytes));
        } catch (error) {
          reject(error);
        }
      },
      reject,
    };
    const send = (stream: OutboundStream): void => {
      const id = stream.sendOne(body, settle);
      wait.listen((error) => {
        stream.cancel(id);
        reject(error);
      });
    };
    const open = this.#findOpen(peer, protocol);
    if (open !== undefined) send(open);
    else await this.#sendWhenFree(peer, protocol, wait, send);
    return promise;
  }

  async *#requestMany<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: Request<Name>,
    wait: CallWait,
  ): AsyncGenerator<Response<Name>> {
    const body = this.#encodeRequest(protocol, request);
    const send = (stream: OutboundStream) => ({ stream, ...stream.sendMany(body) });
    const open = this.#findOpen(peer, protocol);
    const sent = open === undefined ? await this.#sendWhenFree(peer, protocol, wait, send) : send(open);
    const { stream, id, call } = sent;
    wait.listen((error) => call.fail(error));
    try {
      for (;;) {
        const bytes = await call.next();
        wait.disarm();
        if (bytes === undefined) return;
        yield this.#decodeResponse(peer, protocol, bytes);
      }
    } finally {
      stream.cancel(id);
    }
  }

  #findOpen(peer: PeerKey, protocol: ProtocolName): OutboundStream | undefined {
    const stream = this.#outbound.get(`${protocol} ${peer}`);
    return stream?.isUsable === true && stream.hasSlot ? stream : undefined;
  }

  /** Opens the stream and waits for a slot, then sends in the same turn: a slot is not kept for anybody. */
  async #sendWhenFree<Sent>(
    peer: PeerKey,
    protocol: ProtocolName,
    wait: CallWait,
    send: (stream: OutboundStream) => Sent,
  ): Promise<Sent> {
    for (;;) {
      if (!this.#isRunning) throw new NetworkError({ code: 'NETWORK_NOT_RUNNING' });
      const open = this.#outbound.get(`${protocol} ${peer}`);
      const stream = open?.isUsable === true ? open : await wait.race(this.#open(peer, protocol));
      if (stream.isUsable && stream.hasSlot) return send(stream);
      const slot = stream.waitForSlot().then(() => {
        if (wait.hasEnded) stream.passSlot();
      });
      await wait.race(slot);
    }
  }

  #open(peer: PeerKey, protocol: ProtocolName): Promise<OutboundStream> {
    const key = `${protocol} ${peer}`;
    const already = this.#opening.get(key);
    if (already !== undefined) return already;
    const opening = this.#openNow(peer, protocol, key).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  async #openNow(peer: PeerKey, protocol: ProtocolName, key: string): Promise<OutboundStream> {
    const { opener, clock, metrics, onViolation } = this.#modules;
    const stream = await opener.openStream(peer, protocol, { signal: this.#closing.signal });
    const outbound: OutboundStream = new OutboundStream(stream, clock, {
      peer,
      protocol,
      limits: this.#specs[protocol],
      pace: this.#bucketOf('to', peer, protocol),
      onViolation: (violation) => onViolation(peer, protocol, violation),
      onClose: () => {
        if (this.#outbound.get(key) === outbound) this.#outbound.delete(key);
      },
    });
    this.#outbound.get(key)?.close();
    this.#outbound.set(key, outbound);
    metrics.streamsOpened.increment({ protocol, direction: 'outbound' });
    if (!this.#isRunning) outbound.close();
    return outbound;
  }

  #encodeRequest<Name extends ProtocolName>(protocol: Name, request: Request<Name>): Uint8Array {
    const spec = this.#specs[protocol] as ProtocolSpec<Name>;
    return encodeMessage({ protocol, schema: spec.request, maxBytes: spec.maxRequestBytes }, request);
  }

  #decodeResponse<Name extends ProtocolName>(peer: PeerKey, protocol: Name, bytes: Uint8Array): Response<Name> {
    const spec = this.#specs[protocol] as ProtocolSpec<Name>;
    const leafPart = protocol === 'blob' ? decodeLeafPart(bytes) : null;
    if (leafPart !== null) return leafPart as Response<Name>;
    try {
      return decodeMessage({ protocol, schema: spec.response, maxBytes: spec.maxResponseBytes }, bytes);
    } catch (error) {
      const violation =
        error instanceof NetworkError && error.code === 'NETWORK_BAD_MESSAGE' ? 'bad-message' : 'malformed';
      const reason = describeError(error);
      this.#modules.onViolation(peer, protocol, violation);
      const broken = new NetworkError(
        { code: 'NETWORK_PROTOCOL_VIOLATION', peer, protocol, violation, reason },
        { cause: error },
      );
      if (violation === 'malformed') this.#outbound.get(`${protocol} ${peer}`)?.reset(broken);
      throw broken;
    }
  }

  #localCall<Name extends ProtocolName>(protocol: Name, request: Request<Name>) {
    const handler = this.#handlers[protocol] as RequestHandler<Name> | undefined;
    return { protocol, peer: this.#self, handler, request };
  }

  #createWait(peer: PeerKey, protocol: ProtocolName, options: RequestOptions): CallWait {
    options.signal?.throwIfAborted();
    if (!this.#isRunning) throw new NetworkError({ code: 'NETWORK_NOT_RUNNING' });
    const timeoutMs = options.timeoutMs ?? this.#specs[protocol].firstResponseMs;
    return new CallWait(this.#deadlines, {
      timeoutMs,
      signal: options.signal,
      createTimeoutError: () => new NetworkError({ code: 'NETWORK_TIMEOUT', peer, protocol, timeoutMs }),
    });
  }

  #bucketOf(direction: 'from' | 'to', peer: PeerKey, protocol: ProtocolName): TokenBucket {
    const key = `${direction} ${protocol} ${peer}`;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const share = direction === 'to' ? PACE_SHARE : 1;
      const { requestsPerSecond, burst } = this.#specs[protocol];
      bucket = new TokenBucket(this.#modules.clock, {
        perSecond: requestsPerSecond * share,
        burst: Math.max(1, Math.floor(burst * share)),
      });
      this.#buckets.set(key, bucket);
    }
    return bucket;
  }

  #countFailure(protocol: ProtocolName, error: unknown): void {
    const code = error instanceof NetworkError ? error.code : isAbortError(error) ? 'ABORTED' : 'OTHER';
    this.#modules.metrics.requestFailures.increment({ protocol, code });
  }
}

function applyLimits(limits: LimitOverrides): ProtocolTable {
  return {
    offer: { ...PROTOCOLS.offer, ...limits.offer },
    job: { ...PROTOCOLS.job, ...limits.job },
    blob: { ...PROTOCOLS.blob, ...limits.blob },
    records: { ...PROTOCOLS.records, ...limits.records },
    attest: { ...PROTOCOLS.attest, ...limits.attest },
    neighbour: { ...PROTOCOLS.neighbour, ...limits.neighbour },
  };
}
