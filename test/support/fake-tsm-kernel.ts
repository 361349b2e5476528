import { appendFile, mkdir, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { NodePseudoFiles } from '../../src/tee/produce/hardware/node-pseudo-files.ts';
import type { PseudoFiles } from '../../src/tee/produce/interface.ts';

export interface TsmAnswer {
  readonly outblob: Uint8Array;
  /** Null: the kernel does not show the file. */
  readonly auxblob: Uint8Array | null;
}

export interface FakeTsmKernelOptions {
  readonly provider: string;
  /** Throws what the firmware fails with. */
  answer(inblob: Uint8Array): TsmAnswer | Promise<TsmAnswer>;
}

/** An error as Node has it of a system call. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: of the fake kernel`), { code });
}

/**
 * What configfs-tsm of Linux does, on a folder of a disk: attributes appear with a folder and go with it, `generation`
 * counts writes, `outblob` is made when it is read. The files themselves are real, and read and written as the kernel's.
 */
export class FakeTsmKernel implements PseudoFiles {
  /** Folders that were made, by name. */
  readonly made: string[] = [];
  /** After this many writes of others to each folder the generation no longer fits. */
  foreignWrites = 0;
  readonly #files = new NodePseudoFiles();
  readonly #options: FakeTsmKernelOptions;

  constructor(options: FakeTsmKernelOptions) {
    this.#options = options;
  }

  async makeFolder(path: string): Promise<void> {
    await this.#files.makeFolder(path);
    this.made.push(basename(path));
    await writeFile(join(path, 'provider'), `${this.#options.provider}\n`);
    await writeFile(join(path, 'generation'), '0\n');
    await writeFile(join(path, 'inblob'), '');
  }

  async removeFolder(path: string): Promise<void> {
    for (const name of await readdir(path)) await unlink(join(path, name));
    await this.#files.removeFolder(path);
  }

  async read(path: string, options: { readonly maxBytes: number }): Promise<Uint8Array> {
    if (basename(path) === 'outblob') await this.#answer(dirname(path));
    return this.#files.read(path, options);
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#files.write(path, bytes);
    const generation = join(dirname(path), 'generation');
    const count = Number(await readFile(generation, 'utf8')) + 1 + this.foreignWrites;
    await writeFile(generation, `${count}\n`);
  }

  exists(path: string): Promise<boolean> {
    return this.#files.exists(path);
  }

  async #answer(folder: string): Promise<void> {
    const inblob = new Uint8Array(await readFile(join(folder, 'inblob')));
    if (inblob.length === 0) throw systemError('EINVAL');
    const { outblob, auxblob } = await this.#options.answer(inblob);
    await writeFile(join(folder, 'outblob'), outblob);
    if (auxblob !== null) await writeFile(join(folder, 'auxblob'), auxblob);
  }
}

/** Pseudo-files of Gramine in a folder: a quote that is there already. */
export async function fakeGramine(
  root: string,
  { type, quote }: { readonly type: string; readonly quote: Uint8Array },
) {
  await mkdir(root, { recursive: true });
  await appendFile(join(root, 'user_report_data'), '');
  await writeFile(join(root, 'attestation_type'), `${type}\n`);
  await writeFile(join(root, 'quote'), quote);
}

/** The table that a host hands to SEV-SNP guests, in the layout of the GHCB specification. */
export function buildCertificateTable(entries: readonly (readonly [guid: string, content: Uint8Array])[]): Uint8Array {
  const headerBytes = (entries.length + 1) * 24;
  const size = entries.reduce((sum, [, content]) => sum + content.length, headerBytes);
  const table = new Uint8Array(size);
  const view = new DataView(table.buffer);
  let offset = headerBytes;
  for (const [index, [guid, content]] of entries.entries()) {
    table.set(Buffer.from(guid.replaceAll('-', ''), 'hex'), index * 24);
    view.setUint32(index * 24 + 16, offset, true);
    view.setUint32(index * 24 + 20, content.length, true);
    table.set(content, offset);
    offset += content.length;
  }
  return table;
}
