import { readdir, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../lib/errors.ts';
import { formatSize } from '../../lib/quantity.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';

/** Files of one call at most. */
const MAX_FILES = 100_000;

export const blobAdd = defineCommand({
  name: 'blob add',
  summary: 'add files, or folders of them, to the blobs of the node',
  details:
    'Each file is copied and named by what it holds: its CID, the same as IPFS tools give with the profile unixfs-v1-2025. A file that is here already takes no more room. A job file names it as { blob, size }. Folders are taken file by file; links in them are left out.',
  arguments: [{ name: 'paths', description: 'files or folders', isRequired: true, isVariadic: true }],
  options: z.strictObject({
    private: z.boolean().default(false).describe('encrypt on disk'),
    share: z.boolean().default(false).describe('hand it to anybody, and tell the DHT'),
  }),
  examples: [
    { line: 'fogproof blob add model.bin', does: 'Prints the CID and the size.' },
    { line: 'fogproof blob add models --share', does: 'Every file of a folder, for anybody to fetch.' },
    { line: 'fogproof blob add patients.csv --private', does: 'Encrypted on disk.' },
  ],
  run: async ({ arguments: paths, options }, context) => {
    const { output, signal, workingDirectory } = context;
    if (options.private && options.share) {
      throw new UsageError('--private and --share exclude each other', 'Give one of them, or none.');
    }
    const files = await listFiles(paths.map((path) => resolve(workingDirectory, path)));
    await using client = await context.connect();
    const added: { path: string; blob: string; sizeBytes: number }[] = [];
    for (const path of files) {
      output.progress(`adding ${relative(workingDirectory, path)} (${added.length + 1} of ${files.length})`);
      const params = options.private ? { path, private: true as const } : { path };
      const stored = await client.call('blob.add', params, { signal });
      if (options.share) await client.call('blob.share', { blob: stored.blob }, { signal });
      added.push({ path, ...stored });
    }
    output.progress('');
    output.result({ blobs: added }, () =>
      output.table(
        ['BLOB', 'SIZE', 'FILE'],
        added.map(({ path, blob, sizeBytes }) => [blob, formatSize(sizeBytes), relative(workingDirectory, path)]),
      ),
    );
    return EXIT_CODES.ok;
  },
});

async function listFiles(paths: readonly string[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch((error: unknown) => {
      throw new UsageError(`${path} cannot be read: ${systemErrorCode(error) ?? 'unknown error'}`, 'Check the path.');
    });
    if (!found.isDirectory()) files.push(path);
    else {
      const entries = await readdir(path, { recursive: true, withFileTypes: true });
      files.push(...entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)));
    }
    if (files.length > MAX_FILES) {
      throw new UsageError(`more than ${MAX_FILES} files`, 'Add them in parts, or pack them into one file.');
    }
  }
  return files.toSorted();
}
