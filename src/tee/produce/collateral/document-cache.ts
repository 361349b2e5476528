import { createHash } from 'node:crypto';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeObject, encodeObject } from '../../../domain/object-type.ts';
import { writeFileAtomic } from '../../../lib/atomic-file.ts';
import { isDaemonError } from '../../../lib/errors.ts';
import { makeFolder } from '../../../lib/make-folder.ts';
import { systemErrorCode } from '../../../lib/system-error.ts';
import { MAX_KEPT_DOCUMENTS } from '../constants.ts';
import { KEPT_DOCUMENT, type KeptDocument } from './vendor-document.ts';

const ENDING = '.cbor';

/** Documents by their address, one file each. Files that cannot be read are as if they were not there. */
export class DocumentCache {
  readonly #folder: string;

  constructor(options: { readonly folder: string }) {
    this.#folder = options.folder;
  }

  async get(url: string): Promise<KeptDocument | undefined> {
    try {
      await using file = await open(this.#pathOf(url), 'r');
      const { size } = await file.stat();
      if (size > KEPT_DOCUMENT.maxBytes) return undefined;
      const kept = decodeObject(KEPT_DOCUMENT, new Uint8Array(await file.readFile()));
      return kept.url === url ? kept : undefined;
    } catch (error) {
      if (isDaemonError(error) || systemErrorCode(error) !== undefined) return undefined;
      throw error;
    }
  }

  /** @throws the system's errors */
  async put(document: KeptDocument): Promise<void> {
    await makeFolder(this.#folder, 0o700);
    const content = encodeObject(KEPT_DOCUMENT, document);
    await writeFileAtomic(this.#pathOf(document.url), content, { mode: 0o600, existing: 'replace' });
    await this.#removeOldest();
  }

  async #removeOldest(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(ENDING));
    if (names.length <= MAX_KEPT_DOCUMENTS) return;
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name);
        return { path, writtenAtMs: (await stat(path)).mtimeMs };
      }),
    );
    const oldest = files.sort((a, b) => a.writtenAtMs - b.writtenAtMs).slice(0, names.length - MAX_KEPT_DOCUMENTS);
    for (const { path } of oldest) await rm(path, { force: true });
  }

  #pathOf(url: string): string {
    return join(this.#folder, `${createHash('sha256').update(url).digest('hex')}${ENDING}`);
  }
}
