import { hash } from 'node:crypto';

const BLOCK_BYTES = 32;

/**
 * The job's random bytes: SHA-256(seed ‖ u64 0) ‖ SHA-256(seed ‖ u64 1) ‖ ..., read from the front. The position is all of
 * its state.
 */
export class SeededRandom {
  private readonly message: Uint8Array;
  private readonly counter: DataView;
  private block: Uint8Array = new Uint8Array(0);
  private taken = 0;

  /** `seed` has 32 bytes. */
  constructor(seed: Uint8Array) {
    this.message = new Uint8Array(seed.length + 8);
    this.message.set(seed);
    this.counter = new DataView(this.message.buffer, seed.length);
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.taken;
  }

  /** Goes on as if so many bytes had been taken. */
  seek(position: number): void {
    this.taken = position;
    if (position % BLOCK_BYTES !== 0) this.readBlock();
  }

  fill(target: Uint8Array): void {
    let done = 0;
    while (done < target.length) {
      const within = this.taken % BLOCK_BYTES;
      if (within === 0) this.readBlock();
      const part = this.block.subarray(within, within + target.length - done);
      target.set(part, done);
      done += part.length;
      this.taken += part.length;
    }
  }

  /** The block that the next byte is in. */
  private readBlock(): void {
    this.counter.setBigUint64(0, BigInt(Math.floor(this.taken / BLOCK_BYTES)));
    this.block = hash('sha256', this.message, 'buffer');
  }
}
