import { SandboxError } from '../errors.ts';

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** Builds frames: u32 length of what follows, u8 type, fields. Integers are big-endian. */
export class FrameWriter {
  private buffer: Uint8Array<ArrayBuffer>;
  private data: DataView;
  private frameStart = 0;
  length = 0;

  constructor(capacity: number) {
    this.buffer = new Uint8Array(capacity);
    this.data = new DataView(this.buffer.buffer);
  }

  /** What was written since the last `clear`; valid until the next write. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  private reserve(extra: number): number {
    const at = this.length;
    const needed = at + extra;
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2));
      grown.set(this.buffer.subarray(0, at));
      this.buffer = grown;
      this.data = new DataView(grown.buffer);
    }
    this.length = needed;
    return at;
  }

  begin(type: number): void {
    this.frameStart = this.reserve(5);
    this.data.setUint8(this.frameStart + 4, type);
  }

  /** `following` bytes belong to the frame and are sent apart, without a copy. */
  end(following = 0): void {
    this.data.setUint32(this.frameStart, this.length - this.frameStart - 4 + following);
  }

  u8(value: number): void {
    const at = this.reserve(1);
    this.data.setUint8(at, value);
  }

  u32(value: number): void {
    const at = this.reserve(4);
    this.data.setUint32(at, value);
  }

  /** A non-negative safe integer. */
  u64(value: number): void {
    const at = this.reserve(8);
    this.data.setUint32(at, Math.floor(value / 2 ** 32));
    this.data.setUint32(at + 4, value % 2 ** 32);
  }

  f64(value: number): void {
    const at = this.reserve(8);
    this.data.setFloat64(at, value);
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** With their length before them. */
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
  }

  text(value: string): void {
    this.bytes(ENCODER.encode(value));
  }
}

/** Reads the fields of one frame. What a child sends is untrusted: anything amiss is SANDBOX_PROTOCOL. */
export class FieldReader {
  private readonly frame: Uint8Array;
  private readonly data: DataView;
  private offset = 0;

  constructor(bytes: Uint8Array) {
    // Not a Buffer, whose `slice` copies nothing.
    this.frame = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private take(length: number): number {
    const at = this.offset;
    if (length > this.frame.length - at)
      throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'a frame is short' });
    this.offset = at + length;
    return at;
  }

  u8(): number {
    return this.data.getUint8(this.take(1));
  }

  u32(): number {
    return this.data.getUint32(this.take(4));
  }

  u64(): number {
    const at = this.take(8);
    const value = this.data.getUint32(at) * 2 ** 32 + this.data.getUint32(at + 4);
    if (!Number.isSafeInteger(value)) {
      throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'an integer is too large' });
    }
    return value;
  }

  f64(): number {
    return this.data.getFloat64(this.take(8));
  }

  /** A copy. */
  raw(length: number): Uint8Array {
    const at = this.take(length);
    return this.frame.slice(at, at + length);
  }

  /** A copy of bytes that have their length before them. */
  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  /** So many items as the count before them says. An item takes bytes, so a count beyond those that are there ends early. */
  list<T>(read: () => T): T[] {
    const count = this.u32();
    const items: T[] = [];
    for (let index = 0; index < count; index++) items.push(read());
    return items;
  }

  /** A view of what is left. */
  rest(): Uint8Array {
    return this.frame.subarray(this.take(this.frame.length - this.offset));
  }

  text(maxBytes: number): string {
    const length = this.u32();
    if (length > maxBytes) throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'a text is too long' });
    const at = this.take(length);
    return DECODER.decode(this.frame.subarray(at, at + length));
  }

  /** @throws SandboxError SANDBOX_PROTOCOL if bytes are left */
  end(): void {
    if (this.offset !== this.frame.length) {
      throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'a frame is too long' });
    }
  }
}
