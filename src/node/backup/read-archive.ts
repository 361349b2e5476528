import { type FileHandle, open } from 'node:fs/promises';
import { describeError } from '../../lib/errors.ts';
import { NodeError } from '../errors.ts';
import { PIECE_BYTES } from './constants.ts';
import { decodeTarHeader, TAR_BLOCK_BYTES } from './tar-header.ts';

export interface ArchiveFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** To be read before the next file is asked for; what is left is passed over. A piece is valid until the next one. */
  pieces(): AsyncGenerator<Uint8Array>;
}

/** The files of an archive that `ArchiveWriter` wrote, in order. @throws NodeError NODE_BACKUP_UNREADABLE; NODE_BACKUP_DAMAGED for any other */
export async function* readArchive(path: string, signal: AbortSignal): AsyncGenerator<ArchiveFile> {
  const refuse = (where: string, reason: string): NodeError =>
    new NodeError({ code: 'NODE_BACKUP_DAMAGED', path, where, reason });
  await using file = await open(path, 'r').catch((error: unknown) => {
    throw new NodeError({ code: 'NODE_BACKUP_UNREADABLE', path, reason: describeError(error) }, { cause: error });
  });
  let offset = 0;
  const readBlock = async (): Promise<Uint8Array | undefined> => {
    const block = new Uint8Array(TAR_BLOCK_BYTES);
    const bytesRead = await readFully(file, block, offset);
    offset += bytesRead;
    return bytesRead === block.length ? block : undefined;
  };
  for (;;) {
    signal.throwIfAborted();
    const at = offset;
    const block = await readBlock();
    if (block === undefined) throw refuse(`byte ${at}`, 'it ends before its end');
    const entry = decodeTarHeader(block);
    if (entry === undefined) throw refuse(`byte ${at}`, 'it is no header of a file that a backup may hold');
    if (entry === 'end') {
      const second = await readBlock();
      const { size } = await file.stat();
      const isEnd = second !== undefined && decodeTarHeader(second) === 'end' && offset === size;
      if (!isEnd) throw refuse(`byte ${at}`, 'something is behind its end');
      return;
    }
    const start = offset;
    const { name, sizeBytes } = entry;
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      const buffer = new Uint8Array(PIECE_BYTES);
      for (let done = 0; done < sizeBytes; ) {
        signal.throwIfAborted();
        const piece = buffer.subarray(0, Math.min(buffer.length, sizeBytes - done));
        if ((await readFully(file, piece, start + done)) < piece.length) throw refuse(name, 'it is cut short');
        done += piece.length;
        yield piece;
      }
    };
    yield { name, sizeBytes, pieces };
    offset = start + Math.ceil(sizeBytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
    if (!Number.isSafeInteger(offset)) throw refuse(name, 'it is larger than any file');
  }
}

async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await file.read(target, filled, target.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
