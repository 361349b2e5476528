import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { InputFile } from '../interface.ts';
import { CONTROL_FOLDER, PAUSE_NAME, TAKEN_NAME } from './constants.ts';
import { placeOf } from './open-child.ts';

/** Every text is written over the one before, in one write: numbers are filled up to the same length. */
const TEXT_CHARS = 15;

/** What lies in /fogproof before the program begins; the program owns them and may write to them, to its own loss. */
export function listControlFiles(round: number): readonly InputFile[] {
  return [
    { path: `${CONTROL_FOLDER}/${PAUSE_NAME}`, bytes: encode(0) },
    { path: `${CONTROL_FOLDER}/${TAKEN_NAME}`, bytes: encode(round) },
  ];
}

/**
 * The node's side of what it says to a program. The files are opened before the program begins and then written by their descriptors, so that
 * nothing which the program puts in their place is ever reached. They are not made by the node: a file system of another user namespace lets
 * only users that it knows make files (EOVERFLOW).
 */
export class ControlFiles implements AsyncDisposable {
  readonly #taken: FileHandle;
  readonly #pause: FileHandle;

  private constructor(taken: FileHandle, pause: FileHandle) {
    this.#taken = taken;
    this.#pause = pause;
  }

  /** @throws Error of the file system if they are not there */
  static async open(folder: FileHandle): Promise<ControlFiles> {
    const taken = await openToWrite(folder, TAKEN_NAME);
    try {
      return new ControlFiles(taken, await openToWrite(folder, PAUSE_NAME));
    } catch (error) {
      await taken.close();
      throw error;
    }
  }

  /** Whoever waits for this round may go on. */
  async tellTaken(round: number): Promise<void> {
    await this.#taken.write(encode(round), 0, TEXT_CHARS + 1, 0);
  }

  async tellPause(): Promise<void> {
    await this.#pause.write(encode(1), 0, TEXT_CHARS + 1, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#taken.close();
    await this.#pause.close();
  }
}

async function openToWrite(folder: FileHandle, name: string): Promise<FileHandle> {
  return await open(`${placeOf(folder)}/${name}`, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

function encode(value: number): Uint8Array {
  return Buffer.from(`${String(value).padEnd(TEXT_CHARS)}\n`);
}
