import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Field of /proc/net/tcp that holds the inode of the socket, counted from 0. */
const INODE_FIELD = 9;

/** Which of the processes has a TCP socket with this local port open. Linux; elsewhere nobody. */
export function findSocketOwner(port: number, pids: readonly number[]): number | undefined {
  const inode = findInode(port);
  if (inode === undefined) return undefined;
  return pids.find((pid) => listFiles(pid).includes(`socket:[${inode}]`));
}

function findInode(port: number): string | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of read('/proc/net/tcp').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(suffix) === true) return fields[INODE_FIELD];
  }
  return undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function listFiles(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).map((name) => readLink(`${folder}/${name}`));
  } catch {
    // It has ended.
    return [];
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
