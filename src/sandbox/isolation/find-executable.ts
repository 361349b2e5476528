import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

const SYSTEM_FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];

/**
 * The absolute path of a program of the system, or null. The environment's PATH is not asked: it may be anybody's.
 * @param elsewhere folders that are looked through last
 */
export function findExecutable(name: string, elsewhere: readonly string[] = []): string | null {
  for (const folder of [...SYSTEM_FOLDERS, ...elsewhere]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here, or not executable: the next folder may have it.
    }
  }
  return null;
}
