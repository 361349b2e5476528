import { type LeaseId, UnixMs } from '../../../domain/ids.ts';
import type { AttemptEvent, InlineBlob, SequencedEvent } from '../../../domain/messages.ts';
import type { SignedWire } from '../../../domain/signed.ts';
import { EVENT_OVERHEAD_BYTES, MAX_BUFFERED_BYTES, MAX_BUFFERED_EVENTS } from '../constants.ts';

interface Buffered {
  readonly event: SequencedEvent;
  readonly sizeBytes: number;
}

/**
 * The events of one attempt, numbered from 1 and bounded. When it is full, the oldest logs, metrics and progress are
 * dropped and a log line in their place says how many; what else there is (phases, commitment, receipt) stays.
 */
export class EventLog {
  readonly lease: LeaseId;
  #buffered: Buffered[] = [];
  #sizeBytes = 0;
  #lastSequence: number;
  #dropped = 0;
  #noteSequence = 0;

  /** @param lastSequence of the event before the first one here */
  constructor(lease: LeaseId, lastSequence = 0) {
    this.lease = lease;
    this.#lastSequence = lastSequence;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get dropped(): number {
    return this.#dropped;
  }

  append(event: AttemptEvent, nowMs: number): SequencedEvent {
    this.#lastSequence += 1;
    const sequenced: SequencedEvent = { lease: this.lease, sequence: this.#lastSequence, atMs: UnixMs(nowMs), event };
    const sizeBytes = estimateEventBytes(event);
    this.#buffered.push({ event: sequenced, sizeBytes });
    this.#sizeBytes += sizeBytes;
    if (this.#buffered.length > MAX_BUFFERED_EVENTS || this.#sizeBytes > MAX_BUFFERED_BYTES) this.#makeRoom();
    return sequenced;
  }

  /** Events above `sequence` in order: at most `maxEvents`, and of `maxBytes` unless the first alone is larger. */
  after(sequence: number, maxEvents: number, maxBytes: number): SequencedEvent[] {
    const events: SequencedEvent[] = [];
    let sizeBytes = 0;
    for (let index = this.#indexAfter(sequence); index < this.#buffered.length; index += 1) {
      const entry = this.#buffered[index];
      if (entry === undefined || events.length >= maxEvents) break;
      sizeBytes += entry.sizeBytes;
      if (events.length > 0 && sizeBytes > maxBytes) break;
      events.push(entry.event);
    }
    return events;
  }

  #indexAfter(sequence: number): number {
    let low = 0;
    let high = this.#buffered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#buffered[middle]?.event.sequence ?? 0) > sequence) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Drops the older half of what may be dropped, so that the cost a dropped event is constant. */
  #makeRoom(): void {
    const droppable = this.#buffered.filter((entry) => isDroppable(entry.event));
    const cut = droppable[Math.floor(droppable.length / 2)]?.event;
    if (cut === undefined) return;
    const kept = this.#buffered.filter((entry) => !isDroppable(entry.event) || entry.event.sequence > cut.sequence);
    const removed = this.#buffered.length - kept.length;
    this.#dropped += this.#noteSequence === 0 ? removed : removed - 1;
    this.#noteSequence = cut.sequence;
    const note = this.#describeDropped(cut);
    const position = kept.findIndex((entry) => entry.event.sequence > cut.sequence);
    kept.splice(position < 0 ? kept.length : position, 0, note);
    this.#buffered = kept;
    this.#sizeBytes = kept.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  }

  #describeDropped(cut: SequencedEvent): Buffered {
    const text = `[fogproof] ${this.#dropped} earlier events were dropped: the buffer was full`;
    const event: SequencedEvent = { ...cut, event: { kind: 'log', stream: 'log', text } };
    return { event, sizeBytes: estimateEventBytes(event.event) };
  }
}

function isDroppable({ event }: SequencedEvent): boolean {
  return event.kind === 'log' || event.kind === 'metric' || event.kind === 'progress';
}

/** An upper estimate of an event's bytes on the wire. */
export function estimateEventBytes(event: AttemptEvent): number {
  return EVENT_OVERHEAD_BYTES + estimateContentBytes(event);
}

function estimateContentBytes(event: AttemptEvent): number {
  switch (event.kind) {
    case 'phase':
      return 0;
    case 'log':
      // UTF-16 units take at most 3 bytes each in UTF-8.
      return event.text.length * 3;
    case 'metric':
      return event.name.length * 3 + event.value.length;
    case 'progress':
      return estimateWireBytes(event.progress);
    case 'checkpoint':
      return estimateWireBytes(event.checkpoint);
    case 'committed':
      return estimateWireBytes(event.commitment);
    case 'receipt':
      return estimateWireBytes(event.receipt) + estimateInlineBytes(event.inlineBlobs);
    default:
      return event satisfies never;
  }
}

export function estimateWireBytes(wire: SignedWire): number {
  if (wire.kind === 'envelope') return wire.envelope.length;
  return wire.payload.length + wire.root.length + wire.path.length * 40;
}

export function estimateInlineBytes(blobs: readonly InlineBlob[]): number {
  return blobs.reduce((sum, blob) => sum + blob.bytes.length + 64, 0);
}
