import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { placeOf } from './open-child.ts';

/**
 * Puts a small file in place of whatever stands under its name, at once. The program may write to that folder too, so the node
 * makes a new file under a name that nobody knows, and follows nothing. What the program does to keep it from being
 * there is the program's loss alone: false if it is not.
 */
export async function writeControl(folder: FileHandle, name: string, text: string): Promise<boolean> {
  const place = placeOf(folder);
  const temporary = `${place}/.${randomBytes(12).toString('hex')}`;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    await using file = await open(temporary, flags, 0o644);
    await file.writeFile(text);
    await rename(temporary, `${place}/${name}`);
    return true;
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
    return false;
  }
}
