import { stat } from 'node:fs/promises';
import { BlobError } from '../../blob/errors.ts';
import type { BlobStat, BlobStore } from '../../blob/interface.ts';
import type { BlobId } from '../../domain/ids.ts';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { DaemonError, describeError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { COPY_CHUNK_BYTES } from '../constants.ts';
import { RpcError } from '../errors.ts';
import type { RpcMethodName } from '../interface.ts';
import type { HandlerModules, MethodHandlers } from './handlers.ts';

type BlobMethodName = Extract<RpcMethodName, `blob.${string}`>;

/** As a file that a person asked for. */
const FILE_MODE = 0o644;

export function createBlobHandlers(modules: HandlerModules): MethodHandlers<BlobMethodName> {
  const { blobs, blobControl: control } = modules;
  const find = async (blob: BlobId): Promise<BlobStat> => {
    const found = await blobs.stat(blob);
    if (found === undefined) throw new BlobError({ code: 'BLOB_NOT_FOUND', blob });
    return found;
  };
  /** What is asked to be private is public no longer. */
  const withdraw = async (stat: BlobStat, isPrivate: boolean): Promise<BlobStat> => {
    if (isPrivate && control.isPublic(stat.blob)) await control.unshare(stat.blob);
    return stat;
  };
  return {
    'blob.add': async ({ path, private: isPrivate = false }, { signal }) => {
      await assertRegularFile(path);
      return await withdraw(await blobs.putFile(path, { signal, isPrivate }), isPrivate);
    },
    'blob.addBytes': async ({ bytes, private: isPrivate = false }) =>
      await withdraw(await blobs.put(bytes, { isPrivate }), isPrivate),
    'blob.list': ({ limit }) => ({
      blobs: control.listBlobs(limit).map((found) => ({ ...found, isPublic: control.isPublic(found.blob) })),
      usage: control.usage(),
    }),
    'blob.fetch': ({ blob, peers = [], sizeBytes }, { signal }) =>
      control.fetch({ blob, peers, sizeBytes }, { signal }),
    'blob.folder': ({ folder, peers = [], local = false }, { signal }) =>
      control.readFolder({ folder, peers, isLocal: local }, { signal }),
    'blob.write': async ({ blob, path }, { signal }) => {
      const found = await find(blob);
      await writeBlob(blobs, { ...found, path, signal });
      return found;
    },
    'blob.share': async ({ blob }) => {
      await find(blob);
      if (control.isPrivate(blob)) throw new RpcError({ code: 'RPC_PRIVATE_BLOB', blob });
      await control.share(blob);
      return { blob };
    },
    'blob.unshare': async ({ blob }) => ({ wasPublic: await control.unshare(blob) }),
    'blob.verify': async ({ blob }, { signal }) => {
      const check = await control.verify(blob, { signal });
      if (check === undefined) throw new BlobError({ code: 'BLOB_NOT_FOUND', blob });
      return { ...check, damagedLeaves: [...check.damagedLeaves] };
    },
    'blob.remove': async ({ blob }) => {
      const wasHere = await control.remove(blob);
      if (control.isPublic(blob)) await control.unshare(blob);
      return { wasHere };
    },
  };
}

async function writeBlob(
  blobs: Pick<BlobStore, 'read' | 'pin'>,
  { blob, sizeBytes, path, signal }: BlobStat & { readonly path: string; readonly signal: AbortSignal },
): Promise<void> {
  using _pin = blobs.pin(blob);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < sizeBytes; ) {
      signal.throwIfAborted();
      const piece = await blobs.read(blob, offset, Math.min(COPY_CHUNK_BYTES, sizeBytes - offset));
      if (piece === undefined || piece.length === 0) throw new BlobError({ code: 'BLOB_NOT_FOUND', blob });
      offset += piece.length;
      yield piece;
    }
  }
  try {
    await writeFileAtomic(path, pieces(), { mode: FILE_MODE, existing: 'keep' });
  } catch (error) {
    if (error instanceof DaemonError) throw error;
    signal.throwIfAborted();
    if (systemErrorCode(error) === 'EEXIST') throw new RpcError({ code: 'RPC_FILE_EXISTS', path }, { cause: error });
    const reason = systemErrorCode(error) ?? describeError(error);
    throw new RpcError({ code: 'RPC_WRITE_FAILED', path, reason }, { cause: error });
  }
}

/** A pipe or a device would block the read, perhaps for ever. */
async function assertRegularFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    const reason = systemErrorCode(error) ?? 'unknown error';
    throw new RpcError({ code: 'RPC_NOT_A_FILE', path, reason }, { cause: error });
  });
  if (!found.isFile()) throw new RpcError({ code: 'RPC_NOT_A_FILE', path, reason: 'it is not a regular file' });
}
