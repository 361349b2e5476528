import type { MessageStream } from '@libp2p/interface';

/** Above this, in bytes, data goes out at once and uncopied: one TLS record is 16 KiB. */
const MAX_COALESCED_BYTES = 16 * 1024;

type Sendable = Parameters<MessageStream['send']>[0];

/**
 * Makes one encrypted write of the small ones of a callback and the promises that it settles. A yamux frame comes as a
 * head of 12 bytes and a body, and every received frame is answered by a window update: without this each is a TLS
 * record and a system call of its own (measured on loopback: see bench/network.ts).
 */
export function coalesceWrites(connection: MessageStream): void {
  const send = connection.send.bind(connection);
  const close = connection.close.bind(connection);
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let isScheduled = false;

  const flush = (): boolean => {
    const parts = pending;
    const size = pendingBytes;
    pending = [];
    pendingBytes = 0;
    const [first] = parts;
    if (first === undefined) return true;
    return send(parts.length === 1 ? first : join(parts, size));
  };
  const flushLater = (): void => {
    isScheduled = false;
    try {
      flush();
    } catch {
      // The connection closed in this turn; its close event has told everybody.
    }
  };

  connection.send = (data: Sendable): boolean => {
    if (data.byteLength > MAX_COALESCED_BYTES || connection.writableNeedsDrain) {
      flush();
      return send(data);
    }
    if (data instanceof Uint8Array) pending.push(data);
    else for (const part of data) pending.push(part);
    pendingBytes += data.byteLength;
    if (pendingBytes > MAX_COALESCED_BYTES) return flush();
    if (!isScheduled) {
      isScheduled = true;
      afterMicrotasks(flushLater);
    }
    return true;
  };
  connection.close = async (options) => {
    flushLater();
    await close(options);
  };
}

/** Node.js runs a tick's microtasks before the ticks that they ask for: earlier than a turn of the event loop. */
function afterMicrotasks(task: () => void): void {
  process.nextTick(() => queueMicrotask(() => process.nextTick(task)));
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
