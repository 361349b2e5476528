import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** A folder that is held open, as a path. */
export function placeOf(folder: FileHandle): string {
  return `/proc/self/fd/${folder.fd}`;
}

/**
 * Opens one name in a folder that is held open, to be read. A program may swap what stands there at any moment: the folder is
 * reached by its descriptor and not by its path, a link in place of the name is refused (ELOOP), and nothing is waited for.
 * @throws Error of the file system
 */
export async function openChild(folder: FileHandle, name: string, kind: 'file' | 'folder'): Promise<FileHandle> {
  const only = kind === 'folder' ? constants.O_DIRECTORY : constants.O_NONBLOCK;
  return await open(`${placeOf(folder)}/${name}`, constants.O_RDONLY | constants.O_NOFOLLOW | only);
}

/** True for the error of a name that is not there, or not any more. */
export function isGone(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

/** True for the error of a name that is another kind of thing than was asked for: a link, a pipe without an end, a socket. */
export function isOtherKind(error: unknown): boolean {
  return ['ELOOP', 'ENOTDIR', 'ENXIO', 'ENODEV', 'EISDIR'].includes(codeOf(error) ?? '');
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
