import type { Stream } from '@libp2p/interface';
import type { PeerKey } from '../../domain/ids.ts';
import { MAX_BLOB_CHUNK_BYTES } from '../../domain/messages.ts';
import { encodeCanonical } from '../../lib/canonical-cbor.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import { NetworkError } from '../errors.ts';
import type { ProtocolMessages, ProtocolName, RequestHandler } from '../interface.ts';
import {
  encodeFrame,
  encodeFrameHead,
  FRAME_KINDS,
  type Frame,
  MAX_FRAME_HEAD_BYTES,
  NULL_BODY,
  type SplitBody,
} from './frame-codec.ts';
import { FramedStream } from './framed-stream.ts';
import { InboundCall } from './inbound-call.ts';
import { encodeLeafPartHead } from './leaf-part-codec.ts';
import { decodeBody, decodeMessage, encodeMessage } from './message-codec.ts';
import type { ProtocolSpec, Violation } from './protocols.ts';
import {
  describeForRemote,
  REMOTE_BAD_MESSAGE_CODE,
  REMOTE_BUSY_CODE,
  REMOTE_NO_HANDLER_CODE,
  REMOTE_RATE_CODE,
} from './remote-error.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface InboundStreamOptions<Name extends ProtocolName> {
  readonly peer: PeerKey;
  readonly protocol: Name;
  readonly spec: ProtocolSpec<Name>;
  /** Shared by all streams of the peer, so that a new stream buys no new requests. */
  readonly bucket: TokenBucket;
  readonly findHandler: () => RequestHandler<Name> | undefined;
  readonly onViolation: (violation: Violation) => void;
  readonly onHandlerError: (error: unknown) => void;
  readonly onClose: () => void;
}

const NO_BYTES = new Uint8Array();
const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };

/** The responder's end of a kept stream. */
export class InboundStream<Name extends ProtocolName> {
  readonly #options: InboundStreamOptions<Name>;
  readonly #clock: Clock;
  readonly #framed: FramedStream;
  /** Calls that hold one of the peer's slots. */
  readonly #calls = new Map<number, InboundCall>();
  /** Handlers that still run although their call was answered or cancelled: the peer has its slot back. */
  #endingHandlers = 0;
  #lastId = 0;

  constructor(stream: Stream, clock: Clock, options: InboundStreamOptions<Name>) {
    this.#options = options;
    this.#clock = clock;
    this.#framed = new FramedStream(stream, clock, {
      peer: options.peer,
      protocol: options.protocol,
      maxFrameBytes: options.spec.maxRequestBytes + MAX_FRAME_HEAD_BYTES,
      onFrame: (frame) => this.#receive(frame),
      onViolation: options.onViolation,
      onClose: (error) => this.#end(error),
    });
  }

  close(): void {
    this.#framed.close();
  }

  #receive(frame: Frame): void {
    switch (frame.kind) {
      case FRAME_KINDS.request:
      case FRAME_KINDS.requestOne:
        this.#receiveRequest(frame);
        return;
      case FRAME_KINDS.cancel:
        if (this.#isKnownId(frame.id)) this.#cancel(frame.id);
        return;
      case FRAME_KINDS.credit:
        if (this.#isKnownId(frame.id)) this.#credit(frame);
        return;
      default:
        this.#framed.violate('malformed', `a requester may not send frames of kind ${frame.kind}`);
    }
  }

  /** A cancel or credit may cross the end of its answer, but not name a request that was never made. */
  #isKnownId(id: number): boolean {
    if (id <= this.#lastId) return true;
    this.#framed.violate('unknown-id', `request ${id} was never made`);
    return false;
  }

  #receiveRequest(frame: Frame): void {
    const { spec, bucket, onViolation } = this.#options;
    if (frame.id <= this.#lastId) {
      this.#framed.violate('duplicate-id', `request id ${frame.id} comes after ${this.#lastId}`);
      return;
    }
    this.#lastId = frame.id;
    if (!bucket.take()) {
      onViolation('rate-limited');
      this.#writeError(frame.id, REMOTE_RATE_CODE);
      return;
    }
    if (this.#calls.size >= spec.maxInFlight || this.#calls.size + this.#endingHandlers >= 2 * spec.maxInFlight) {
      onViolation('too-many');
      this.#writeError(frame.id, REMOTE_BUSY_CODE);
      return;
    }
    const request = this.#parseRequest(frame);
    if (request !== undefined) this.#start(frame, request);
  }

  #parseRequest(frame: Frame): ProtocolMessages[Name]['request'] | undefined {
    const { spec, protocol, onViolation } = this.#options;
    try {
      return decodeMessage({ protocol, schema: spec.request, maxBytes: spec.maxRequestBytes }, frame.body);
    } catch (error) {
      if (error instanceof NetworkError && error.code === 'NETWORK_BAD_MESSAGE') {
        onViolation('bad-message');
        this.#writeError(frame.id, REMOTE_BAD_MESSAGE_CODE);
      } else {
        this.#framed.violate('malformed', describeError(error));
      }
      return undefined;
    }
  }

  #start(frame: Frame, request: ProtocolMessages[Name]['request']): void {
    const handler = this.#options.findHandler();
    if (handler === undefined) {
      this.#writeError(frame.id, REMOTE_NO_HANDLER_CODE);
      return;
    }
    const call = new InboundCall(frame.id, this.#options.peer, this.#options.spec.windowBytes);
    this.#calls.set(frame.id, call);
    const answer = () => handler(request, call);
    const done = frame.kind === FRAME_KINDS.requestOne ? this.#answerOne(call, answer) : this.#answerMany(call, answer);
    done
      .catch((error: unknown) => this.#failCall(call, error))
      .finally(() => {
        call.settle();
        this.#endingHandlers -= 1;
      });
  }

  /** Gives the slot back. Before the last frame is written, since the next request may follow it at once. */
  #release(call: InboundCall): void {
    if (this.#calls.delete(call.id)) this.#endingHandlers += 1;
  }

  async #answerOne(call: InboundCall, answer: () => AsyncIterable<ProtocolMessages[Name]['response']>): Promise<void> {
    const iterator = answer()[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true) throw new NetworkError({ code: 'NETWORK_NO_RESPONSE', protocol: this.#options.protocol });
    const body = this.#encode(first.value);
    if (!call.isCancelled) {
      this.#release(call);
      await this.#framed.writer.send(encodeFrame(FRAME_KINDS.last, call.id, body));
    }
    await iterator.return?.();
  }

  async #answerMany(call: InboundCall, answer: () => AsyncIterable<ProtocolMessages[Name]['response']>): Promise<void> {
    for await (const response of answer()) {
      if (call.isCancelled) return;
      await this.#sendResponse(call, response);
    }
    if (call.isCancelled) return;
    this.#release(call);
    this.#write(FRAME_KINDS.end, call.id, NULL_BODY);
  }

  async #sendResponse(call: InboundCall, response: ProtocolMessages[Name]['response']): Promise<void> {
    const { head, tail } = this.#encodeSplit(response);
    const notTaken = { code: 'NETWORK_NOT_TAKEN', protocol: this.#options.protocol } as const;
    {
      using _late = this.#whenNotTaken(() => this.#giveUp(call, new NetworkError(notTaken)));
      await call.takeCredit(head.length + tail.length);
    }
    if (call.isCancelled) return;
    const frame = encodeFrameHead({ kind: FRAME_KINDS.response, id: call.id, body: head }, tail.length);
    using _stuck = this.#whenNotTaken(() => this.#framed.reset(new NetworkError(notTaken)));
    await this.#framed.writer.send(frame, tail);
  }

  /** Who asks and does not take holds a slot, and memory, for nothing. */
  #whenNotTaken(task: () => void): Disposable {
    const { takeWithinMs } = this.#options.spec;
    return takeWithinMs === null ? NOTHING : this.#clock.schedule(takeWithinMs, task);
  }

  #giveUp(call: InboundCall, error: NetworkError): void {
    this.#failCall(call, error);
    call.cancel(error);
  }

  #encodeSplit(response: ProtocolMessages[Name]['response']): SplitBody {
    const isLeafPart = 'kind' in response && response.kind === 'leaf-part';
    if (!isLeafPart || response.bytes.length > MAX_BLOB_CHUNK_BYTES) {
      return { head: this.#encode(response), tail: NO_BYTES };
    }
    return { head: encodeLeafPartHead(response), tail: response.bytes };
  }

  #encode(response: ProtocolMessages[Name]['response']): Uint8Array {
    const { spec, protocol } = this.#options;
    return encodeMessage({ protocol, schema: spec.response, maxBytes: spec.maxResponseBytes }, response);
  }

  #failCall(call: InboundCall, error: unknown): void {
    if (call.isCancelled) return;
    const isAnswered = !this.#calls.has(call.id);
    this.#release(call);
    this.#options.onHandlerError(error);
    if (!isAnswered) this.#writeError(call.id, describeForRemote(error));
  }

  #cancel(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined || call.isCancelled) return;
    call.cancel();
    this.#release(call);
    this.#write(FRAME_KINDS.end, id, NULL_BODY);
  }

  #credit(frame: Frame): void {
    let bytes: unknown;
    try {
      bytes = decodeBody(frame.body, 16);
    } catch (error) {
      this.#framed.violate('malformed', describeError(error));
      return;
    }
    if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) {
      this.#framed.violate('malformed', 'a credit is not a number of bytes');
      return;
    }
    this.#calls.get(frame.id)?.addCredit(bytes);
  }

  #writeError(id: number, code: string): void {
    this.#write(FRAME_KINDS.error, id, encodeCanonical(code));
  }

  #write(kind: Frame['kind'], id: number, body: Uint8Array): void {
    this.#framed.writer.write(encodeFrame(kind, id, body));
  }

  #end(error: NetworkError): void {
    for (const call of this.#calls.values()) {
      call.cancel(error);
      this.#release(call);
    }
    this.#options.onClose();
  }
}
