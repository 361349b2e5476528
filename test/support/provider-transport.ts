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
const MAX_FRAME_BYTES = 1024 * 1024;

/** Joins the transports of several peers in one process. Messages pass through their schemas and frame limit. */
export class Switchboard {
  readonly #handlers = new Map<string, RequestHandler<ProtocolName>>();

  join(peer: PeerKey): PeerTransport {
    return new PatchedTransport(peer, this.#handlers);
  }
}

class PatchedTransport implements PeerTransport {
  readonly #self: PeerKey;
  readonly #handlers: Map<string, RequestHandler<ProtocolName>>;

  constructor(self: PeerKey, handlers: Map<string, RequestHandler<ProtocolName>>) {
    this.#self = self;
    this.#handlers = handlers;
  }

  handle<Name extends ProtocolName>(protocol: Name, handler: RequestHandler<Name>): Disposable {
    const key = `${this.#self}/${protocol}`;
    this.#handlers.set(key, handler as unknown as RequestHandler<ProtocolName>);
    return { [Symbol.dispose]: () => this.#handlers.delete(key) };
  }

  async request<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options: RequestOptions = {},
  ): Promise<ProtocolMessages[Name]['response']> {
    for await (const response of this.stream(peer, protocol, request, options)) return response;
    throw new TypeError(`no answer to ${protocol}`);
  }

  async *stream<Name extends ProtocolName>(
    peer: PeerKey,
    protocol: Name,
    request: ProtocolMessages[Name]['request'],
    options: RequestOptions = {},
  ): AsyncGenerator<ProtocolMessages[Name]['response']> {
    const handler = this.#handlers.get(`${peer}/${protocol}`);
    if (handler === undefined) throw new TypeError(`${peer} does not answer ${protocol}`);
    const schemas = SCHEMAS[protocol];
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      const context = { peer: this.#self, signal: controller.signal };
      for await (const response of handler(throughWire(schemas.request, request), context)) {
        yield throughWire(schemas.response, response);
      }
    } finally {
      abort();
      options.signal?.removeEventListener('abort', abort);
    }
  }
}

function throughWire<Value>(schema: z.ZodType, value: Value): Value {
  const bytes = encodeCanonical(z.encode(schema, value));
  return z.decode(schema, decodeCanonical(bytes, { maxBytes: MAX_FRAME_BYTES }) as never) as Value;
}
