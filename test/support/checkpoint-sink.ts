import { createHash } from 'node:crypto';
import type { CheckpointOrder, ResumeState, StateCheckpoint } from '../../src/sandbox/interface.ts';
import { RecordingSink } from './sandbox.ts';

/** Pieces by the hexadecimal digits of their SHA-256. */
export type PieceStore = Map<string, Uint8Array>;

export function listPieceKeys(digests: Uint8Array): string[] {
  return Array.from({ length: digests.length / 32 }, (_, place) =>
    Buffer.from(digests.buffer, digests.byteOffset + place * 32, 32).toString('hex'),
  );
}

/** Keeps every state's pieces, each once, as a provider does. */
export class KeepingSink extends RecordingSink {
  readonly store: PieceStore;
  /** Pieces received, for each checkpoint. */
  readonly received: number[] = [];
  /** Places that are asked for of those that are not kept yet. */
  choose: (lacking: readonly number[]) => readonly number[] = (lacking) => lacking;
  /** At which checkpoint, counted from 0, the program is halted. */
  haltAt: number | null = null;
  onReceive: () => Promise<void> = () => Promise.resolve();
  completed = 0;

  constructor(store: PieceStore = new Map()) {
    super();
    this.store = store;
  }

  override checkpoint(checkpoint: StateCheckpoint): Promise<CheckpointOrder> {
    const index = this.checkpoints.push(checkpoint) - 1;
    this.received.push(0);
    const keys = listPieceKeys(checkpoint.pieces);
    const lacking = keys.flatMap((key, place) => (this.store.has(key) ? [] : [place]));
    return Promise.resolve({
      wanted: this.choose(lacking),
      receive: async (place, bytes) => {
        const key = createHash('sha256').update(bytes).digest('hex');
        if (key !== keys[place]) throw new TypeError(`piece ${place} has another digest`);
        this.received[index] = (this.received[index] ?? 0) + 1;
        this.store.set(key, bytes);
        await this.onReceive();
      },
      complete: () => {
        this.completed += 1;
        return Promise.resolve();
      },
      then: index === this.haltAt ? 'halt' : 'continue',
    });
  }

  /** What a program goes on with from the last checkpoint. */
  resumeLast(): ResumeState {
    const last = this.checkpoints.at(-1);
    if (last === undefined) throw new TypeError('there was no checkpoint');
    return { step: last.step, state: last.state, pieces: this.#readPieces(last.pieces) };
  }

  async *#readPieces(digests: Uint8Array): AsyncGenerator<Uint8Array> {
    for (const key of listPieceKeys(digests)) {
      const bytes = this.store.get(key);
      if (bytes === undefined) throw new TypeError(`${key} is not kept`);
      yield bytes;
    }
  }
}
