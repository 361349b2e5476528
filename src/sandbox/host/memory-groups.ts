import { dirname, join } from 'node:path';
import { ownPath, readMounts } from '../limits/cgroup-mounts.ts';
import { parseAmount, parseStat } from './parse-proc.ts';
import type { ReadText } from './read-text.ts';

/** Groups above ours that are looked at. */
const MAX_GROUPS = 16;

/** Names of the files of one version, and of what the kernel gives back when it is needed. */
interface GroupFiles {
  readonly limit: string;
  readonly usage: string;
  readonly reclaimable: string;
}

const V1: GroupFiles = {
  limit: 'memory.limit_in_bytes',
  usage: 'memory.usage_in_bytes',
  reclaimable: 'total_inactive_file',
};
const V2: GroupFiles = { limit: 'memory.max', usage: 'memory.current', reclaimable: 'inactive_file' };

export interface MemoryGroup {
  readonly folder: string;
  readonly files: GroupFiles;
}

/** The control groups whose memory limits hold for this process: its own and those above it. */
export function findMemoryGroups(): readonly MemoryGroup[] {
  const mounts = readMounts();
  const v1 = mounts.find(({ type, options }) => type === 'cgroup' && options.includes('memory'));
  if (v1 !== undefined) return listUpwards(v1.folder, ownPath('memory'), V1);
  const v2 = mounts.find(({ type }) => type === 'cgroup2');
  return v2 === undefined ? [] : listUpwards(v2.folder, ownPath(''), V2);
}

/** In a container the path may be one of the host, which is not there: then its mount is our group. */
function listUpwards(root: string, path: string, files: GroupFiles): readonly MemoryGroup[] {
  const groups: MemoryGroup[] = [];
  for (let folder = join(root, path); groups.length < MAX_GROUPS; folder = dirname(folder)) {
    groups.push({ folder, files });
    if (folder === root || !folder.startsWith(root)) break;
  }
  return groups.at(-1)?.folder === root ? groups : [...groups, { folder: root, files }];
}

export interface GroupRoom {
  readonly limitBytes: number;
  readonly availableBytes: number;
}

/** What a group has and has left; null if it sets no limit. */
export async function readGroup({ folder, files }: MemoryGroup, read: ReadText): Promise<GroupRoom | null> {
  const limitBytes = parseAmount(await read(join(folder, files.limit)));
  const usageBytes = parseAmount(await read(join(folder, files.usage)));
  if (limitBytes === null || usageBytes === null) return null;
  const reclaimable = parseStat(await read(join(folder, 'memory.stat')), files.reclaimable) ?? 0;
  return { limitBytes, availableBytes: Math.max(0, limitBytes - Math.max(0, usageBytes - reclaimable)) };
}
