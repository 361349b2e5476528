import { createHash } from 'node:crypto';
import { join } from 'node:path';

/**
 * Where a node unpacks roots unless it is told: in its data folder; or, run as root, below /var/cache, since its sandboxes
 * then belong to nobody, who may not pass through a data folder. Data folders do not share it.
 */
export function chooseRootsFolder(home: string, inHome: string): string {
  return chooseFolder(home, inHome, 'roots');
}

/** The same of images. */
export function chooseImagesFolder(home: string, inHome: string): string {
  return chooseFolder(home, inHome, 'images');
}

function chooseFolder(home: string, inHome: string, kind: string): string {
  if (process.getuid?.() !== 0) return inHome;
  const name = createHash('sha256').update(home).digest('hex').slice(0, 16);
  return join('/var/cache/fogproof', name, kind);
}
