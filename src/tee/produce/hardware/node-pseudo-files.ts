import { constants } from 'node:fs';
import { access, mkdir, open, rmdir } from 'node:fs/promises';
import { TeeError } from '../../errors.ts';
import type { PseudoFiles } from '../interface.ts';

/** The files of this machine. */
export class NodePseudoFiles implements PseudoFiles {
  async read(path: string, { maxBytes }: { readonly maxBytes: number }): Promise<Uint8Array> {
    await using file = await open(path, constants.O_RDONLY);
    // Their size says nothing: it is 0, or that of a page.
    const buffer = new Uint8Array(maxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) return buffer.slice(0, length);
      length += bytesRead;
    }
    throw new TeeError({ code: 'TEE_TOO_LARGE', what: path, sizeBytes: length, limitBytes: maxBytes });
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    // Write-only: a kernel refuses to open what cannot be read for both.
    await using file = await open(path, constants.O_WRONLY);
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, null);
    if (bytesWritten === bytes.length) return;
    const reason = `it took ${bytesWritten} of ${bytes.length} bytes`;
    throw new TeeError({ code: 'TEE_PRODUCE_FAILED', what: path, reason });
  }

  async makeFolder(path: string): Promise<void> {
    await mkdir(path, { mode: 0o700 });
  }

  async removeFolder(path: string): Promise<void> {
    await rmdir(path);
  }

  async exists(path: string): Promise<boolean> {
    return await access(path).then(
      () => true,
      () => false,
    );
  }
}
