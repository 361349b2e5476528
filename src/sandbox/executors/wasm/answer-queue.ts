import { MAX_PARKED_BYTES, PARKED_FRAME_BYTES } from '../../constants.ts';

export interface AnswerQueueModules {
  /** The pipe that frames come from. */
  readonly pipe: { pause(): unknown; resume(): unknown };
  /** Deals with a frame at once (null), or some time later. */
  readonly handle: (frame: Uint8Array) => Promise<void> | null;
  readonly fail: (error: unknown) => void;
}

const TAKEN = new Uint8Array(0);
/** Places of frames that were taken are given up so many at a time: taking the first of a long array copies the rest. */
const COMPACT_AFTER = 256;

/**
 * Deals with a child's frames one at a time and in order, though some take their time. What has come meanwhile is parked;
 * when that is much, the pipe is not read, so the child has to wait as well.
 */
export class AnswerQueue {
  private readonly modules: AnswerQueueModules;
  private parked: Uint8Array[] = [];
  private next = 0;
  private parkedBytes = 0;
  private isBusy = false;
  private isPaused = false;
  private isClosed = false;

  constructor(modules: AnswerQueueModules) {
    this.modules = modules;
  }

  /** The bytes are kept for as long as the frame waits. */
  push(frame: Uint8Array): void {
    if (this.isClosed) return;
    if (!this.isBusy) return this.handle(frame);
    this.parked.push(frame);
    this.parkedBytes += frame.length + PARKED_FRAME_BYTES;
    if (this.isPaused || this.parkedBytes < MAX_PARKED_BYTES) return;
    this.isPaused = true;
    this.modules.pipe.pause();
  }

  /** Forgets what waits and takes no more; the pipe flows, so that its end is seen. */
  close(): void {
    this.isClosed = true;
    this.parked = [];
    this.modules.pipe.resume();
  }

  private handle(frame: Uint8Array): void {
    try {
      const done = this.modules.handle(frame);
      if (done === null) return;
      this.isBusy = true;
      done.then(
        () => this.goOn(),
        (error: unknown) => this.modules.fail(error),
      );
    } catch (error) {
      this.modules.fail(error);
    }
  }

  private goOn(): void {
    this.isBusy = false;
    while (!this.isBusy && !this.isClosed) {
      const frame = this.takeParked();
      if (frame === null) break;
      this.handle(frame);
    }
    this.resumeIfLow();
  }

  private takeParked(): Uint8Array | null {
    const frame = this.parked[this.next];
    if (frame === undefined) return null;
    this.parked[this.next++] = TAKEN;
    this.parkedBytes -= frame.length + PARKED_FRAME_BYTES;
    if (this.next >= COMPACT_AFTER || this.next === this.parked.length) {
      this.parked.splice(0, this.next);
      this.next = 0;
    }
    return frame;
  }

  private resumeIfLow(): void {
    if (this.isClosed || !this.isPaused || this.parkedBytes > MAX_PARKED_BYTES / 2) return;
    this.isPaused = false;
    this.modules.pipe.resume();
  }
}
