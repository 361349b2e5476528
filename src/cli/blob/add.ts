import { stat } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { z } from 'zod';
import type { BlobId } from '../../domain/ids.ts';
import { UsageError } from '../../lib/errors.ts';
import { formatSize } from '../../lib/quantity.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { RpcClient } from '../../rpc/client.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import type { AddedBlob } from '../job-file/interface.ts';
import { assertBuildable, buildTree, type LocalFolder, listFolder } from './folder/local-folder.ts';

/** Files and folders of one call at most. */
const MAX_FILES = 100_000;

const options = z.strictObject({
  private: z.boolean().default(false).describe('encrypt on disk'),
  share: z.boolean().default(false).describe('hand it to anybody, and tell the DHT'),
});
type AddOptions = z.output<typeof options>;

export const blobAdd = defineCommand({
  name: 'blob add',
  summary: 'add files, or folders of them, to the blobs of the node',
  details:
    'Each file is copied and named by what it holds: its CID, the same as IPFS tools give with the profile unixfs-v1-2025. A file that is here already takes no more room. A job file names it as { blob, size }. Of a folder every file is added, and the folder itself has a CID too, for `blob get` and for job files: { folder }. Folders without files are part of it; links are left out.',
  arguments: [{ name: 'paths', description: 'files or folders', isRequired: true, isVariadic: true }],
  options,
  examples: [
    { line: 'fogproof blob add model.bin', does: 'Prints the CID and the size.' },
    { line: 'fogproof blob add models --share', does: 'A folder and every file of it, for anybody to fetch.' },
    { line: 'fogproof blob add patients.csv --private', does: 'Encrypted on disk.' },
  ],
  run: async ({ arguments: paths, options: given }, context) => {
    const { output, workingDirectory } = context;
    if (given.private && given.share) {
      throw new UsageError('--private and --share exclude each other', 'Give one of them, or none.');
    }
    const { files, folders } = await listPaths(paths.map((path) => resolve(workingDirectory, path)));
    for (const folder of folders) await assertBuildable(folder);
    await using client = await context.connect();
    const daemon = { client, context };
    const added = await addFiles(daemon, files, given);
    const stored = new Map<string, AddedBlob>(added.map((each) => [each.path, each]));
    const built: AddedFolder[] = [];
    const lists: BlobId[] = [];
    for (const folder of folders) {
      const { nodes, ...rest } = await addFolder(daemon, { folder, stored }, given);
      built.push(rest);
      lists.push(...nodes);
    }
    // Told to the DHT in this order: who has the outermost list is asked for all the rest.
    if (given.share) await shareAll(daemon, [...lists, ...added.map(({ blob }) => blob)]);
    output.progress('');
    output.result({ blobs: added, folders: built }, () =>
      output.table(
        ['BLOB', 'SIZE', 'FILE'],
        [
          ...added.map(({ path, blob, sizeBytes }) => [blob, formatSize(sizeBytes), relative(workingDirectory, path)]),
          ...built.map(({ path, folder, sizeBytes }) => [
            folder,
            formatSize(sizeBytes),
            `${relative(workingDirectory, path) || '.'}/`,
          ]),
        ],
      ),
    );
    return EXIT_CODES.ok;
  },
});

interface AddedFolder {
  readonly path: string;
  readonly folder: string;
  readonly files: number;
  readonly sizeBytes: number;
}

interface Daemon {
  readonly client: RpcClient;
  readonly context: CliContext;
}

async function addFiles({ client, context }: Daemon, files: readonly string[], given: AddOptions) {
  const { output, signal, workingDirectory } = context;
  const added: (AddedBlob & { path: string })[] = [];
  for (const path of files) {
    output.progress(`adding ${relative(workingDirectory, path)} (${added.length + 1} of ${files.length})`);
    const stored = await client.call('blob.add', { path, ...privacyOf(given) }, { signal });
    added.push({ path, ...stored });
  }
  return added;
}

/** Adds the nodes too; gives their blobs, the outermost folder's first. */
async function addFolder(
  { client, context: { signal } }: Daemon,
  { folder, stored }: { readonly folder: LocalFolder; readonly stored: ReadonlyMap<string, AddedBlob> },
  given: AddOptions,
): Promise<AddedFolder & { readonly nodes: readonly BlobId[] }> {
  const tree = buildTree(folder, stored);
  const nodes: BlobId[] = [];
  for (const bytes of tree.nodes.values()) {
    nodes.unshift((await client.call('blob.addBytes', { bytes, ...privacyOf(given) }, { signal })).blob);
  }
  const sizeBytes = folder.files.reduce((sum, path) => sum + (stored.get(path)?.sizeBytes ?? 0), 0);
  return { path: folder.path, folder: tree.id, files: folder.files.length, sizeBytes, nodes };
}

async function shareAll({ client, context }: Daemon, blobs: readonly BlobId[]): Promise<void> {
  const { output, signal } = context;
  for (const [index, blob] of blobs.entries()) {
    output.progress(`sharing ${index + 1} of ${blobs.length}`);
    await client.call('blob.share', { blob }, { signal });
  }
}

function privacyOf(given: AddOptions): { readonly private?: true } {
  return given.private ? { private: true } : {};
}

async function listPaths(paths: readonly string[]) {
  const files = new Set<string>();
  const folders: LocalFolder[] = [];
  let count = 0;
  for (const path of paths) {
    const found = await stat(path).catch((error: unknown) => {
      throw new UsageError(`${path} cannot be read: ${systemErrorCode(error) ?? 'unknown error'}`, 'Check the path.');
    });
    const folder = found.isDirectory() ? await listFolder(path) : undefined;
    if (folder !== undefined) folders.push(folder);
    for (const file of folder?.files ?? [path]) files.add(file);
    count += folder === undefined ? 1 : folder.files.length + folder.folders.length;
    if (count > MAX_FILES) {
      throw new UsageError(`more than ${MAX_FILES} files`, 'Add them in parts, or pack them into one file.');
    }
  }
  return { files: [...files].toSorted(), folders };
}
