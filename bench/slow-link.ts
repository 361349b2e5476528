/**
 * A TCP proxy that is a link: so many bytes a second each way, shared evenly by its connections, and a delay. A process of
 * its own: node slow-link.ts PORT BYTES_PER_SECOND DELAY_MS; sends its port to its parent and ends with it.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Bytes of one packet, and ms between two looks at what may pass. */
const PACKET_BYTES = 1448;
const TICK_MS = 4;
/** Bytes of one connection that the link holds. */
const QUEUE_BYTES = 64 * 1024;

interface Queue {
  readonly target: Socket;
  readonly packets: Buffer[];
  bytes: number;
}

/** One direction. */
class Link {
  readonly #bytesPerMs: number;
  readonly #delayMs: number;
  readonly #queues = new Map<Socket, Queue>();
  #allowance = 0;
  #lastMs = performance.now();

  constructor(bytesPerSecond: number, delayMs: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#delayMs = delayMs;
    setInterval(() => this.#pass(), TICK_MS).unref();
  }

  carry(source: Socket, target: Socket): void {
    const queue: Queue = { target, packets: [], bytes: 0 };
    this.#queues.set(source, queue);
    source.on('data', (data: Buffer) => {
      for (let at = 0; at < data.length; at += PACKET_BYTES) queue.packets.push(data.subarray(at, at + PACKET_BYTES));
      queue.bytes += data.length;
      if (queue.bytes > QUEUE_BYTES) source.pause();
    });
    source.on('error', () => source.destroy());
    source.on('close', () => {
      this.#queues.delete(source);
      target.destroy();
    });
  }

  /** A packet of each connection in turn, as long as the rate allows. */
  #pass(): void {
    const nowMs = performance.now();
    this.#allowance += (nowMs - this.#lastMs) * this.#bytesPerMs;
    this.#lastMs = nowMs;
    for (let isEmpty = false; this.#allowance > 0 && !isEmpty; ) {
      isEmpty = true;
      for (const [source, queue] of this.#queues) {
        const packet = queue.packets.shift();
        if (packet === undefined) continue;
        isEmpty = false;
        this.#allowance -= packet.length;
        queue.bytes -= packet.length;
        setTimeout(() => queue.target.write(packet), this.#delayMs);
        if (queue.bytes < QUEUE_BYTES / 2) source.resume();
      }
    }
    this.#allowance = Math.min(this.#allowance, 0);
  }
}

const [port = 0, bytesPerSecond = 0, delayMs = 0] = process.argv.slice(2).map(Number);
const [there, back] = [new Link(bytesPerSecond, delayMs), new Link(bytesPerSecond, delayMs)];
const server = createServer({ noDelay: true }, (near) => {
  const far = connect({ port, host: '127.0.0.1', noDelay: true });
  there.carry(near, far);
  back.carry(far, near);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.((server.address() as AddressInfo).port);
process.once('disconnect', () => process.exit());
