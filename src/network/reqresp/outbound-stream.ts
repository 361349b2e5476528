import type { Stream } from '@libp2p/interface';
import { encodeCanonical } from '../../lib/canonical-cbor.ts';
import type { Clock } from '../../lib/clock.ts';
import { CANCEL_DEADLINE_MS, MAX_WAITING_REQUESTS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { ProtocolName } from '../interface.ts';
import {
  encodeFrame,
  FRAME_KINDS,
  type Frame,
  MAX_FRAME_HEAD_BYTES,
  MAX_REQUEST_ID,
  NULL_BODY,
} from './frame-codec.ts';
import { FramedStream } from './framed-stream.ts';
import { decodeBody } from './message-codec.ts';
import { OutboundCall } from './outbound-call.ts';
import type { ProtocolLimits, Violation } from './protocols.ts';
import { parseRemoteError } from './remote-error.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface OutboundStreamOptions {
  readonly peer: string;
  readonly protocol: ProtocolName;
  readonly limits: ProtocolLimits;
  /** Paces requests below the rate that the other side allows; shared by the peer's streams. */
  readonly pace: TokenBucket;
  readonly onViolation: (violation: Violation) => void;
  readonly onClose: () => void;
}

/** What one request waits for. `one` resolves with the first response's body. */
interface Pending {
  readonly resolve: ((body: Uint8Array) => void) | null;
  readonly reject: (error: Error) => void;
  readonly call: OutboundCall | null;
}

/** The requester's end of a kept stream: many requests in flight, told apart by their ids. */
export class OutboundStream {
  readonly #clock: Clock;
  readonly #options: OutboundStreamOptions;
  readonly #framed: FramedStream;
  readonly #pending = new Map<number, Pending>();
  /** Cancelled and not yet confirmed: they still hold their slot at the other side. */
  readonly #cancelled = new Map<number, Disposable>();
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #lastId = 0;
  #paceTimer: Disposable | null = null;

  constructor(stream: Stream, clock: Clock, options: OutboundStreamOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#framed = new FramedStream(stream, clock, {
      peer: options.peer,
      protocol: options.protocol,
      maxFrameBytes: options.limits.maxResponseBytes + MAX_FRAME_HEAD_BYTES,
      onFrame: (frame) => this.#receive(frame),
      onViolation: options.onViolation,
      onClose: (error) => this.#end(error),
    });
  }

  /** False once the stream has ended or its ids are used up. */
  get isUsable(): boolean {
    return !this.#framed.isClosed && this.#lastId < MAX_REQUEST_ID;
  }

  get inFlight(): number {
    return this.#pending.size + this.#cancelled.size;
  }

  close(): void {
    this.#framed.close();
  }

  reset(error: NetworkError): void {
    this.#framed.reset(error);
  }

  /** True if a request may leave in this turn. */
  get hasSlot(): boolean {
    return this.#hasFreeSlot() && this.#options.pace.delayMs() === 0;
  }

  /**
   * Resolves when a slot got free; somebody else may take it first.
   * @throws NetworkError NETWORK_BUSY, NETWORK_CONNECTION_LOST
   */
  async waitForSlot(): Promise<void> {
    if (this.hasSlot || this.#framed.isClosed) return;
    const waiting = this.#waiting.length;
    if (waiting >= MAX_WAITING_REQUESTS) {
      const { peer, protocol } = this.#options;
      throw new NetworkError({ code: 'NETWORK_BUSY', peer, protocol, waiting });
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.passSlot();
    });
  }

  /** Wakes the next that waits for a slot: after one got free, or was won and not used. */
  passSlot(): void {
    if (this.#waiting.length === 0 || !this.#hasFreeSlot()) return;
    const delayMs = this.#options.pace.delayMs();
    if (delayMs === 0) {
      this.#waiting.shift()?.resolve();
      return;
    }
    this.#paceTimer ??= this.#clock.schedule(delayMs, () => {
      this.#paceTimer = null;
      this.passSlot();
    });
  }

  #hasFreeSlot(): boolean {
    return this.inFlight < this.#options.limits.maxInFlight;
  }

  /** Sends a request of which only the first response is wanted. */
  sendOne(body: Uint8Array, settle: { resolve: (body: Uint8Array) => void; reject: (error: Error) => void }): number {
    return this.#send(FRAME_KINDS.requestOne, body, { ...settle, call: null });
  }

  /** Sends a request that is answered by a stream. */
  sendMany(body: Uint8Array): { readonly id: number; readonly call: OutboundCall } {
    const call = new OutboundCall({
      windowBytes: this.#options.limits.windowBytes,
      grant: (bytes) => this.#write(FRAME_KINDS.credit, id, encodeCanonical(bytes)),
    });
    const id = this.#send(FRAME_KINDS.request, body, { resolve: null, reject: (error) => call.fail(error), call });
    return { id, call };
  }

  /** Gives a request up. The other side confirms; until then its slot stays taken. */
  cancel(id: number): void {
    if (!this.#pending.delete(id) || this.#framed.isClosed) return;
    this.#write(FRAME_KINDS.cancel, id, NULL_BODY);
    const deadline = this.#clock.schedule(CANCEL_DEADLINE_MS, () => {
      this.#framed.violate('no-confirmation', `request ${id} was cancelled and never confirmed`);
    });
    this.#cancelled.set(id, deadline);
  }

  #send(kind: 0 | 1, body: Uint8Array, pending: Pending): number {
    const id = ++this.#lastId;
    this.#pending.set(id, pending);
    this.#options.pace.take();
    this.#write(kind, id, body);
    this.passSlot();
    return id;
  }

  #write(kind: Frame['kind'], id: number, body: Uint8Array): void {
    this.#framed.writer.write(encodeFrame(kind, id, body));
  }

  #receive(frame: Frame): void {
    if (this.#cancelled.has(frame.id)) {
      this.#receiveLate(frame);
      return;
    }
    const pending = this.#pending.get(frame.id);
    if (pending === undefined) {
      this.#framed.violate('unknown-id', `an answer to request ${frame.id}`);
      return;
    }
    switch (frame.kind) {
      case FRAME_KINDS.response:
      case FRAME_KINDS.last:
        this.#receiveResponse(frame, pending);
        return;
      case FRAME_KINDS.end:
        this.#settle(frame.id);
        if (pending.call === null) pending.reject(this.#noResponse());
        else pending.call.end();
        return;
      case FRAME_KINDS.error:
        this.#receiveError(frame, pending);
        return;
      default:
        this.#framed.violate('malformed', `a responder may not send frames of kind ${frame.kind}`);
    }
  }

  #receiveResponse(frame: Frame, pending: Pending): void {
    const isLast = frame.kind === FRAME_KINDS.last;
    if (pending.resolve !== null) {
      if (!isLast) {
        this.#framed.violate('malformed', 'more responses than the one that was asked for');
        return;
      }
      this.#settle(frame.id);
      pending.resolve(frame.body);
      return;
    }
    if (pending.call?.accept(frame.body) === false) {
      this.#framed.violate('over-window', `responses to request ${frame.id} exceed their credit`);
      return;
    }
    if (!isLast) return;
    this.#settle(frame.id);
    pending.call?.end();
  }

  #receiveError(frame: Frame, pending: Pending): void {
    let body: unknown;
    try {
      body = decodeBody(frame.body, 256);
    } catch {
      this.#framed.violate('malformed', 'an error frame cannot be read');
      return;
    }
    this.#settle(frame.id);
    pending.reject(parseRemoteError(body, this.#options.peer, this.#options.protocol));
  }

  #receiveLate(frame: Frame): void {
    if (frame.kind === FRAME_KINDS.response) return;
    this.#cancelled.get(frame.id)?.[Symbol.dispose]();
    this.#cancelled.delete(frame.id);
    this.passSlot();
  }

  #settle(id: number): void {
    this.#pending.delete(id);
    this.passSlot();
  }

  #end(error: NetworkError): void {
    for (const deadline of this.#cancelled.values()) deadline[Symbol.dispose]();
    this.#cancelled.clear();
    this.#paceTimer?.[Symbol.dispose]();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#options.onClose();
  }

  #noResponse(): NetworkError {
    const { peer, protocol } = this.#options;
    return new NetworkError({ code: 'NETWORK_REMOTE_ERROR', peer, protocol, remoteCode: 'NETWORK_NO_RESPONSE' });
  }
}
