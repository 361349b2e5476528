import type { Readable } from 'node:stream';
import { LOG_OVERHEAD_BYTES, MAX_LOG_EVENT_BYTES } from '../../../wasm/runtime/constants.ts';
import type { ExecutionSink } from '../../interface.ts';
import type { EventCount } from '../../rounds/event-count.ts';

const NEWLINE = 0x0a;

/** What a program prints, told line by line, within the job's limit for all that it tells together. */
export class LogLines {
  readonly #sink: Pick<ExecutionSink, 'log'>;
  readonly #count: EventCount;
  readonly #hiddenFrom: string | undefined;

  /** `hiddenFrom`: what follows this on a line, with it, is not the program's. */
  constructor(sink: Pick<ExecutionSink, 'log'>, count: EventCount, hiddenFrom?: string) {
    this.#sink = sink;
    this.#count = count;
    this.#hiddenFrom = hiddenFrom;
  }

  /** Reads a stream to its end. A line longer than an event may be is told in parts. */
  listen(name: 'stdout' | 'stderr', stream: Readable): void {
    let rest: Buffer = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      if (this.#count.isOver) return;
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      rest = this.#tellWhole(name, rest);
    });
    stream.once('end', () => {
      if (rest.length > 0) this.#tell(name, rest);
    });
  }

  /** Tells what is a whole line, or as long as an event may be; what is left over. */
  #tellWhole(name: 'stdout' | 'stderr', bytes: Buffer): Buffer {
    let start = 0;
    while (!this.#count.isOver) {
      const end = bytes.indexOf(NEWLINE, start);
      const isWhole = end !== -1 && end - start <= MAX_LOG_EVENT_BYTES;
      if (!isWhole && bytes.length - start < MAX_LOG_EVENT_BYTES) break;
      const stop = isWhole ? end : start + MAX_LOG_EVENT_BYTES;
      this.#tell(name, bytes.subarray(start, stop));
      start = isWhole ? stop + 1 : stop;
    }
    // A copy: the chunk may be large, and is kept alive by a part of it.
    return Buffer.from(bytes.subarray(start));
  }

  #tell(name: 'stdout' | 'stderr', whole: Buffer): void {
    const hidden = this.#hiddenFrom === undefined ? -1 : whole.indexOf(this.#hiddenFrom);
    if (hidden === 0) return;
    const line = hidden === -1 ? whole : whole.subarray(0, hidden);
    const ordinal = this.#count.take(line.length + LOG_OVERHEAD_BYTES);
    if (ordinal !== null) this.#sink.log(name, line.toString('utf8'), ordinal);
  }
}
