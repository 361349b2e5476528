import { z } from 'zod';
import { attestRequestSchema, attestResponseSchema } from '../../src/domain/confidential.ts';
import type { PeerKey } from '../../src/domain/ids.ts';
import {
  blobRequestSchema,
  blobResponseSchema,
  jobRequestSchema,
  jobResponseSchema,
  neighbourRequestSchema,
  neighbourResponseSchema,
  offerRequestSchema,
  offerResponseSchema,
  recordsRequestSchema,
  recordsResponseSchema,
} from '../../src/domain/messages.ts';
import { decodeCanonical, encodeCanonical } from '../../src/lib/canonical-cbor.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { NetworkError } from '../../src/network/errors.ts';
import type {
  PeerTransport,
  ProtocolMessages,
  ProtocolName,
  RequestHandler,
  RequestOptions,
} from '../../src/network/interface.ts';

const SCHEMAS: Record<ProtocolName, { readonly request: z.ZodType; readonly response: z.ZodType }> = {
  offer: { request: offerRequestSchema, response: offerResponseSchema },
  job: { request: jobRequestSchema, response: jobResponseSchema },
  blob: { request: blobRequestSchema, response: blobResponseSchema },
  records: { request: recordsRequestSchema, response: recordsResponseSchema },
  attest: { request: attestRequestSchema, response: attestResponseSchema },
  neighbour: { request: neighbourRequestSchema, response: neighbourResponseSchema },
};

/** Peers of one process. Messages pass through their schemas; a peer can be cut off, which breaks its open streams. */
export class TransportMesh {
  readonly handlers = new Map<string, RequestHandler<ProtocolName>>();
  readonly #clock: Clock;
  readonly #cuts = new Map<PeerKey, AbortController>();
  readonly #down = new Set<PeerKey>();
  /** Every request sent, as `<protocol>` or `job:<op>` by peer. */
  readonly sent: { readonly to: PeerKey; readonly what: string }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  join(self: PeerKey): PeerTransport {
    return new MeshTransport(this, self, this.#clock);
  }

  /** Its open streams break and nothing reaches it. */
  cut(peer: PeerKey): void {
    this.#down.add(peer);
    this.dropStreams(peer);
  }

  restore(peer: PeerKey): void {
    this.#down.delete(peer);
  }

  /** Breaks open streams; new ones work. */
  dropStreams(peer: PeerKey): void {
    this.#cuts.get(peer)?.abort();
    this.#cuts.delete(peer);
  }

  /** Aborts when the peer is cut. @throws NetworkError NETWORK_UNREACHABLE */
  connect(peer: PeerKey): AbortSignal {
    if (this.#down.has(peer)) {
      throw new NetworkError({ code: 'NETWORK_UNREACHABLE', target: peer, reason: 'cut off' });
    }
    const cut = this.#cuts.get(peer) ?? new AbortController();
    this.#cuts.set(peer, cut);
    return cut.signal;
  }

  countSent(to: PeerKey, what: string): number {
    return this.sent.filter((entry) => entry.to === to && entry.what === what).length;
  }
}

class MeshTransport implements PeerTransport {
  readonly #mesh: TransportMesh;
  readonly #self: PeerKey;
  readonly #clock: Clock;

  constructor(mesh: TransportMesh, self: PeerKey, clock: Clock) {
    this.#mesh = mesh;
    this.#self = self;
    this.#clock = clock;
  }

  handle<Name extends ProtocolName>(protocol: Name, handler: RequestHandler<Name>): Disposable {
    const key = `${this.#self}/${protocol}`;
    this.#mesh.handlers.set(key, handler as unknown as RequestHandler<ProtocolName>);
    return { [Symbol.dispose]: () => this.#mesh.handlers.delete(key) };
  }

  async request<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options: RequestOptions = {},
  ): Promise<ProtocolMessages[Name]['response']> {
    for await (const response of this.stream(peer, protocol, request, options)) return response;
    throw new NetworkError({ code: 'NETWORK_NO_RESPONSE', protocol });
  }

  async *stream<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options: RequestOptions = {},
  ): AsyncGenerator<ProtocolMessages[Name]['response']> {
    options.signal?.throwIfAborted();
    const what = 'op' in request && protocol === 'job' ? `job:${request.op}` : protocol;
    this.#mesh.sent.push({ to: peer, what });
    const cut = this.#mesh.connect(peer);
    const handler = this.#mesh.handlers.get(`${peer}/${protocol}`);
    if (handler === undefined) throw new NetworkError({ code: 'NETWORK_UNREACHABLE', target: peer, reason: 'nobody' });
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(() => undefined);
    const controller = new AbortController();
    const fail = (error: unknown) => (): void => gone.reject(error);
    const onAbort = (): void => gone.reject(options.signal?.reason);
    const lost = { code: 'NETWORK_CONNECTION_LOST', peer, protocol, reason: 'cut' } as const;
    const onCut = fail(new NetworkError(lost));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    cut.addEventListener('abort', onCut, { once: true });
    const timeoutMs = options.timeoutMs ?? 30_000;
    const late = fail(new NetworkError({ code: 'NETWORK_TIMEOUT', peer, protocol, timeoutMs }));
    const timer = this.#clock.schedule(timeoutMs, late);
    const { request: requestSchema, response: responseSchema } = SCHEMAS[protocol];
    const context = { peer: this.#self, signal: controller.signal };
    const responses = handler(throughWire(requestSchema, request), context)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([responses.next(), gone.promise]);
        timer[Symbol.dispose]();
        if (next.done === true) return;
        yield throughWire(responseSchema, next.value);
      }
    } finally {
      timer[Symbol.dispose]();
      controller.abort();
      options.signal?.removeEventListener('abort', onAbort);
      cut.removeEventListener('abort', onCut);
    }
  }
}

function throughWire<Value>(schema: z.ZodType, value: Value): Value {
  const bytes = encodeCanonical(z.encode(schema, value));
  return z.decode(schema, decodeCanonical(bytes, { maxBytes: 1024 * 1024 }) as never) as Value;
}
