import { MAX_LOG_EVENT_BYTES } from '../constants.ts';
import type { LogStream, ProgramContext } from '../program-context.ts';

const NEWLINE = 0x0a;

/** Turns writes to stdout or stderr into one log event a line, however the program splits them. */
export class LineBuffer {
  private readonly context: ProgramContext;
  private readonly stream: LogStream;
  private readonly pending = new Uint8Array(MAX_LOG_EVENT_BYTES);
  private length = 0;

  constructor(context: ProgramContext, stream: LogStream) {
    this.context = context;
    this.stream = stream;
  }

  write(bytes: Uint8Array): void {
    let rest = bytes;
    for (let newline = rest.indexOf(NEWLINE); newline !== -1; newline = rest.indexOf(NEWLINE)) {
      this.append(rest.subarray(0, newline));
      this.emit();
      rest = rest.subarray(newline + 1);
    }
    this.append(rest);
  }

  private append(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.length === this.pending.length) this.emit();
      const part = rest.subarray(0, this.pending.length - this.length);
      this.pending.set(part, this.length);
      this.length += part.length;
      rest = rest.subarray(part.length);
    }
  }

  private emit(): void {
    const { length } = this;
    this.length = 0;
    this.context.log(this.stream, this.pending.subarray(0, length));
  }

  flush(): void {
    if (this.length > 0) this.emit();
  }
}
