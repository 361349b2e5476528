import type { Stream } from '@libp2p/interface';
import { streamPair } from '@libp2p/utils';
import { PeerKey } from '../../src/domain/ids.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { ProtocolName } from '../../src/network/interface.ts';
import { createNetworkMetrics } from '../../src/network/metrics.ts';
import { decodeFrame, encodeFrame, type Frame, type FrameKind } from '../../src/network/reqresp/frame-codec.ts';
import { FrameReader } from '../../src/network/reqresp/frame-reader.ts';
import type { LimitOverrides, Violation } from '../../src/network/reqresp/protocols.ts';
import { RequestTransport } from '../../src/network/reqresp/request-transport.ts';
import { RecordingLogger, RecordingMetrics } from './network.ts';

export const ALICE = PeerKey('12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh');
export const BOB = PeerKey('12D3KooWJC7pTN4X1bwMqJ51bn6rXN1qo6SQDeUMXmK7vYzQPDZM');

/** Time that only moves when told to. */
export class ManualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  readonly #tasks = new Set<{ readonly atMs: number; readonly task: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, task: () => void): Disposable {
    const entry = { atMs: this.#nowMs + delayMs, task };
    this.#tasks.add(entry);
    return { [Symbol.dispose]: () => void this.#tasks.delete(entry) };
  }

  get pending(): number {
    return this.#tasks.size;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#tasks].filter((entry) => entry.atMs <= this.#nowMs).sort((a, b) => a.atMs - b.atMs);
    for (const entry of due) {
      this.#tasks.delete(entry);
      entry.task();
    }
  }
}

export interface Breach {
  readonly peer: PeerKey;
  readonly protocol: ProtocolName;
  readonly violation: Violation;
}

export interface TransportEnd {
  readonly transport: RequestTransport;
  readonly breaches: Breach[];
  readonly metrics: RecordingMetrics;
  readonly logger: RecordingLogger;
  /** Streams that this end opened. */
  readonly opened: Stream[];
}

/** Two request transports joined by in-memory libp2p streams: no host, no socket. */
export function createTransportPair(setup: { clock: Clock; limits?: LimitOverrides }): {
  alice: TransportEnd;
  bob: TransportEnd;
} {
  const ends: Partial<Record<PeerKey, TransportEnd>> = {};
  const create = (self: PeerKey): TransportEnd => {
    const breaches: Breach[] = [];
    const opened: Stream[] = [];
    const metrics = new RecordingMetrics();
    const logger = new RecordingLogger();
    const transport = new RequestTransport(
      {
        opener: {
          openStream: async (peer, protocol) => {
            const [outbound, inbound] = await streamPair();
            opened.push(outbound);
            ends[peer]?.transport.accept(inbound, self, protocol);
            return outbound;
          },
        },
        clock: setup.clock,
        logger,
        metrics: createNetworkMetrics(metrics),
        onViolation: (peer, protocol, violation) => breaches.push({ peer, protocol, violation }),
      },
      { self, limits: setup.limits ?? {} },
    );
    transport.start();
    const end = { transport, breaches, metrics, logger, opened };
    ends[self] = end;
    return end;
  };
  return { alice: create(ALICE), bob: create(BOB) };
}

/** A hand-driven end of a stream: what a peer that keeps no rules would send. */
export class RawPeer {
  readonly stream: Stream;
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;
  #wake: (() => void) | null = null;

  constructor(stream: Stream) {
    this.stream = stream;
    const reader = new FrameReader(
      {
        onFrame: (bytes) => {
          const frame = decodeFrame(bytes);
          this.frames.push({ ...frame, body: frame.body.slice() });
          this.#wake?.();
        },
        onOversize: () => undefined,
      },
      2 ** 24,
    );
    stream.addEventListener('message', ({ data }) => reader.push(data instanceof Uint8Array ? data : data.subarray()));
    this.closed = new Promise((resolve) => stream.addEventListener('close', () => resolve()));
  }

  send(bytes: Uint8Array): void {
    this.stream.send(bytes);
  }

  sendFrame(kind: FrameKind, id: number, body: Uint8Array): void {
    this.send(encodeFrame(kind, id, body));
  }

  /** The first frame not yet taken. */
  async nextFrame(): Promise<Frame> {
    while (this.frames.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.frames.shift() as Frame;
  }
}

/** A raw requester towards `end`. */
export async function openRawRequester(end: TransportEnd, peer: PeerKey, protocol: ProtocolName): Promise<RawPeer> {
  const [outbound, inbound] = await streamPair();
  end.transport.accept(inbound, peer, protocol);
  return new RawPeer(outbound);
}
