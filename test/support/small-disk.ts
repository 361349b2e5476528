import { spawnSync } from 'node:child_process';
import type { Need } from './needs.ts';

const NAMESPACES = ['--user', '--map-root-user', '--mount', 'sh', '-c'];

export const canMountDisk =
  spawnSync('unshare', [...NAMESPACES, 'mount -t tmpfs none /mnt'], { stdio: 'ignore' }).status === 0;

export const MOUNTED_DISKS: Need = {
  isMet: canMountDisk,
  kind: 'host',
  reason: 'unshare with user and mount namespaces',
};

/** A command, and the arguments before a program's own, that runs it with a disk of its own at `folder`. */
export function mountCommand(folder: string, size: string): readonly [string, readonly string[]] {
  return ['unshare', [...NAMESPACES, `mount -t tmpfs -o size=${size} none "$0" && exec "$@"`, folder]];
}
