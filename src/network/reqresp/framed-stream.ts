import type { Stream } from '@libp2p/interface';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import { FRAME_DEADLINE_MS, WRITE_LIMIT_BYTES } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import { decodeFrame, type Frame } from './frame-codec.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import type { Violation } from './protocols.ts';

export interface FramedStreamOptions {
  readonly peer: string;
  readonly protocol: string;
  readonly maxFrameBytes: number;
  /** The other side's half-close ends the exchange: nothing more can be asked or answered. */
  readonly onFrame: (frame: Frame) => void;
  readonly onViolation: (violation: Violation) => void;
  /** Called once, however the stream ends. */
  readonly onClose: (error: NetworkError) => void;
}

/** One libp2p stream that carries frames: cuts, dispatches, and resets on what breaks the rules. */
export class FramedStream {
  readonly #stream: Stream;
  readonly #clock: Clock;
  readonly #options: FramedStreamOptions;
  readonly #reader: FrameReader;
  readonly writer: FrameWriter;
  #frameDeadline: Disposable | null = null;
  #isClosed = false;

  constructor(stream: Stream, clock: Clock, options: FramedStreamOptions) {
    this.#stream = stream;
    this.#clock = clock;
    this.#options = options;
    stream.maxWriteBufferLength = WRITE_LIMIT_BYTES;
    this.writer = new FrameWriter(stream);
    this.#reader = new FrameReader(
      {
        onFrame: (frame) => this.#dispatch(frame),
        onOversize: (sizeBytes) => this.violate('oversize', `a frame of ${sizeBytes} bytes`),
      },
      options.maxFrameBytes,
    );
    stream.addEventListener('message', (event) => this.#read(event.data));
    stream.addEventListener('close', (event) => this.#end(event.error));
    stream.addEventListener('remoteCloseWrite', () => this.close());
    if (stream.status !== 'open') this.#end(undefined);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Counts a violation and resets the stream. */
  violate(violation: Violation, reason: string): void {
    if (this.#isClosed) return;
    this.#options.onViolation(violation);
    const { peer, protocol } = this.#options;
    this.reset(new NetworkError({ code: 'NETWORK_PROTOCOL_VIOLATION', peer, protocol, violation, reason }));
  }

  reset(error: NetworkError): void {
    this.#finish(error);
    this.#stream.abort(error);
  }

  /** Ends the stream in peace. */
  close(): void {
    this.#finish(this.#lost('the stream was closed'));
    this.#stream.close().catch((error: unknown) => {
      this.#stream.abort(error instanceof Error ? error : new TypeError(describeError(error)));
    });
  }

  #read(data: Uint8Array | Iterable<Uint8Array>): void {
    if (this.#isClosed) return;
    if (data instanceof Uint8Array) this.#reader.push(data);
    else for (const part of data) this.#reader.push(part);
    this.#watchFrame();
  }

  /** A frame that was begun must be finished: half a frame and then silence holds memory for nothing. */
  #watchFrame(): void {
    if (this.#isClosed) return;
    if (!this.#reader.isInsideFrame) {
      this.#frameDeadline?.[Symbol.dispose]();
      this.#frameDeadline = null;
      return;
    }
    this.#frameDeadline ??= this.#clock.schedule(FRAME_DEADLINE_MS, () => {
      this.violate('slow', `a frame was not finished within ${FRAME_DEADLINE_MS} ms`);
    });
  }

  #dispatch(bytes: Uint8Array): void {
    this.#frameDeadline?.[Symbol.dispose]();
    this.#frameDeadline = null;
    let frame: Frame;
    try {
      frame = decodeFrame(bytes);
    } catch (error) {
      this.violate('malformed', describeError(error));
      return;
    }
    this.#options.onFrame(frame);
  }

  #end(error: Error | undefined): void {
    this.#finish(this.#lost(error === undefined ? 'the stream was closed' : describeError(error)));
  }

  #finish(error: NetworkError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#frameDeadline?.[Symbol.dispose]();
    this.#reader.stop();
    this.writer.close();
    this.#options.onClose(error);
  }

  #lost(reason: string): NetworkError {
    const { peer, protocol } = this.#options;
    return new NetworkError({ code: 'NETWORK_CONNECTION_LOST', peer, protocol, reason });
  }
}
