import { open } from 'node:fs/promises';

/** The text of a file of the kernel's; empty if it cannot be read. */
export type ReadText = (path: string) => Promise<string>;

/** Files of proc and cgroup that are read here have a few KiB; of a longer one only the beginning is read. */
const MAX_BYTES = 64 * 1024;

/** These files have no size beforehand, so they are read once into a buffer. */
export async function readKernelText(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(MAX_BYTES) });
    return buffer.toString('latin1', 0, bytesRead);
  } catch {
    return '';
  }
}
