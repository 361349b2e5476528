import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStat, BlobStore } from '../../../blob/interface.ts';
import { concatBytes } from '../../../lib/bytes.ts';

/** Sealed inputs up to this many bytes are put together in memory, larger ones in a file. */
const IN_MEMORY_BYTES = 4 * 1024 * 1024;

/**
 * Makes a blob of bytes that come once and whose id is not known before their end. Only sealed bytes go through here: the
 * file has nothing that a reader of the disk could use.
 */
export async function storeStream(
  modules: { readonly blobs: Pick<BlobStore, 'put' | 'putFile'> },
  bytes: AsyncIterable<Uint8Array>,
  options: { readonly folder: string },
): Promise<BlobStat> {
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  const rest = bytes[Symbol.asyncIterator]();
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    held.push(next.value);
    heldBytes += next.value.length;
    if (heldBytes > IN_MEMORY_BYTES) return await storeFile(modules, { held, rest }, options);
  }
  return await modules.blobs.put(concatBytes(...held));
}

async function storeFile(
  { blobs }: { readonly blobs: Pick<BlobStore, 'putFile'> },
  { held, rest }: { readonly held: readonly Uint8Array[]; readonly rest: AsyncIterator<Uint8Array> },
  { folder }: { readonly folder: string },
): Promise<BlobStat> {
  const directory = await mkdtemp(join(folder, 'fogproof-sealed-'));
  try {
    const path = join(directory, 'input');
    await using file = await open(path, 'wx', 0o600);
    for (const chunk of held) await file.writeFile(chunk);
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) await file.writeFile(next.value);
    return await blobs.putFile(path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
