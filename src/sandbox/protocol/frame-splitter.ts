import { MAX_CHECKPOINT_FRAME_BYTES, MAX_CHILD_FRAME_BYTES } from '../constants.ts';
import { SandboxError } from '../errors.ts';
import { ANSWER } from './answers.ts';

const HEAD_BYTES = 5;

/** Length of type and fields. @throws SandboxError SANDBOX_PROTOCOL if no frame of this type is so long */
function assertLength(length: number, type: number): number {
  const max = type === ANSWER.checkpoint ? MAX_CHECKPOINT_FRAME_BYTES : MAX_CHILD_FRAME_BYTES;
  if (length < 1 || length > max) throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'a frame is too long' });
  return length;
}

/**
 * Cuts the byte stream of a child into frames. One that is all in one chunk is a view of the chunk; what comes in parts
 * is put together in memory of its own, so a frame may be kept as long as the chunks are not written to again.
 */
export class FrameSplitter {
  private readonly head = new Uint8Array(HEAD_BYTES);
  private headLength = 0;
  private frame: Uint8Array | null = null;
  private filled = 0;

  /** Calls `use` with each whole frame. @throws SandboxError SANDBOX_PROTOCOL */
  push(bytes: Uint8Array, use: (frame: Uint8Array) => void): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.frame !== null) {
        at += this.fill(this.frame, bytes.subarray(at));
        if (this.filled === this.frame.length) use(this.takeFrame(this.frame));
        continue;
      }
      const whole = this.headLength === 0 ? findWhole(bytes, at) : null;
      if (whole !== null) {
        at += 4 + whole.length;
        use(whole);
      } else at += this.takeHead(bytes.subarray(at), use);
    }
  }

  private takeHead(bytes: Uint8Array, use: (frame: Uint8Array) => void): number {
    const part = bytes.subarray(0, HEAD_BYTES - this.headLength);
    this.head.set(part, this.headLength);
    this.headLength += part.length;
    if (this.headLength >= 4) {
      const isTyped = this.headLength === HEAD_BYTES;
      const type = isTyped ? (this.head[4] ?? 0) : ANSWER.checkpoint;
      const length = assertLength(new DataView(this.head.buffer).getUint32(0), type);
      if (isTyped) this.open(length, type, use);
    }
    return part.length;
  }

  private open(length: number, type: number, use: (frame: Uint8Array) => void): void {
    const frame = Buffer.allocUnsafeSlow(length);
    frame[0] = type;
    this.headLength = 0;
    this.filled = 1;
    if (length === 1) use(frame);
    else this.frame = frame;
  }

  private fill(frame: Uint8Array, bytes: Uint8Array): number {
    const part = bytes.subarray(0, frame.length - this.filled);
    frame.set(part, this.filled);
    this.filled += part.length;
    return part.length;
  }

  private takeFrame(frame: Uint8Array): Uint8Array {
    this.frame = null;
    return frame;
  }
}

function findWhole(bytes: Uint8Array, at: number): Uint8Array | null {
  if (bytes.length - at < HEAD_BYTES) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
  assertLength(length, bytes[at + 4] ?? 0);
  return bytes.length - at < 4 + length ? null : bytes.subarray(at + 4, at + 4 + length);
}
