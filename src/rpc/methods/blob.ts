import { stat } from 'node:fs/promises';
import { systemErrorCode } from '../../lib/system-error.ts';
import { RpcError } from '../errors.ts';
import type { HandlerModules, MethodHandlers } from './handlers.ts';

export function createBlobHandlers(modules: HandlerModules): MethodHandlers<'blob.add' | 'blob.addBytes'> {
  const { blobs } = modules;
  return {
    'blob.add': async ({ path }, { signal }) => {
      await assertRegularFile(path);
      return blobs.putFile(path, { signal });
    },
    'blob.addBytes': ({ bytes }) => blobs.put(bytes),
  };
}

/** A pipe or a device would block the read, perhaps for ever. */
async function assertRegularFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    const reason = systemErrorCode(error) ?? 'unknown error';
    throw new RpcError({ code: 'RPC_NOT_A_FILE', path, reason }, { cause: error });
  });
  if (!found.isFile()) throw new RpcError({ code: 'RPC_NOT_A_FILE', path, reason: 'it is not a regular file' });
}
