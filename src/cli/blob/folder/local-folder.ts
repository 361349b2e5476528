import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { buildFolderTree, type FolderTree } from '../../../domain/blob-folder.ts';
import { computeBlobId } from '../../../domain/blob-tree.ts';
import { DomainError } from '../../../domain/errors.ts';
import { UsageError } from '../../../lib/errors.ts';
import type { AddedBlob } from '../../job-file/interface.ts';

/** A folder of this machine: what is in it at all depths, without links. */
export interface LocalFolder {
  readonly path: string;
  /** Paths of its files, from the root of the file system on. */
  readonly files: readonly string[];
  /** Paths of the folders in it, from it on; those without files too. */
  readonly folders: readonly string[];
}

export async function listFolder(path: string): Promise<LocalFolder> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const placed = entries.map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }));
  return {
    path,
    files: placed.filter(({ entry }) => entry.isFile()).map((each) => each.path),
    folders: placed.filter(({ entry }) => entry.isDirectory()).map((each) => place(path, each.path)),
  };
}

/**
 * Sees to it that it can have an id, before anything of it is added: that follows from names and sizes alone.
 * @throws UsageError
 */
export async function assertBuildable(folder: LocalFolder): Promise<void> {
  const blob = computeBlobId(new Uint8Array());
  const sizes = new Map<string, AddedBlob>();
  for (const path of folder.files) sizes.set(path, { blob, sizeBytes: (await stat(path)).size });
  buildTree(folder, sizes);
}

/** Its id and all its nodes. @throws UsageError if it has none */
export function buildTree(folder: LocalFolder, added: ReadonlyMap<string, AddedBlob>): FolderTree {
  const files = folder.files.flatMap((path) => {
    const stored = added.get(path);
    return stored === undefined ? [] : [{ ...stored, path: place(folder.path, path) }];
  });
  try {
    return buildFolderTree(files, folder.folders);
  } catch (error) {
    if (!(error instanceof DomainError) || error.info.code !== 'DOMAIN_BAD_OBJECT') throw error;
    const hint = 'Arrange what is in it in other folders, or name its files in place of it.';
    throw new UsageError(`the folder ${folder.path} can have no id: ${error.info.reason}`, hint, { cause: error });
  }
}

function place(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/');
}
