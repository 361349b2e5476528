import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownPath, readMounts } from './cgroup-mounts.ts';

export interface CgroupLimits {
  readonly memoryBytes: number;
  readonly tasks: number;
}

/** A group for one child. */
export interface Cgroup {
  /** Files that the child writes its process id into before it becomes anything else. */
  readonly procsFiles: readonly string[];
  /** Removes it; true once it is gone. It cannot go while a process is in it. */
  remove(): boolean;
}

/** Makes groups in the version that this host has. */
export interface CgroupFactory {
  readonly version: 'cgroup-v2' | 'cgroup-v1';
  create(name: string, limits: CgroupLimits): Cgroup;
}

function groupOf(folders: readonly string[]): Cgroup {
  return {
    procsFiles: folders.map((folder) => join(folder, 'cgroup.procs')),
    remove: () => folders.map((folder) => tryRemove(folder)).every(Boolean),
  };
}

function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}

/** A folder with these files written; all or nothing. */
function createGroup(folder: string, files: Readonly<Record<string, number>>): string {
  mkdirSync(folder);
  try {
    for (const [name, value] of Object.entries(files)) writeFileSync(join(folder, name), String(value));
  } catch (error) {
    tryRemove(folder);
    throw error;
  }
  return folder;
}

function createV2Factory(): CgroupFactory | null {
  const mount = readMounts().find((entry) => entry.type === 'cgroup2');
  if (mount === undefined) return null;
  const own = join(mount.folder, ownPath(''));
  // A group that holds processes cannot have limited subgroups (cgroups(7), "no internal processes"): then the one above.
  const parent = [own, dirname(own)].find((folder) => folder.startsWith(mount.folder) && canLimit(folder));
  if (parent === undefined) return null;
  removeAbandoned(parent);
  return {
    version: 'cgroup-v2',
    create: (name, limits) => {
      const folder = createGroup(join(parent, name), { 'memory.max': limits.memoryBytes, 'pids.max': limits.tasks });
      if (existsSync(join(folder, 'memory.swap.max'))) writeFileSync(join(folder, 'memory.swap.max'), '0');
      return groupOf([folder]);
    },
  };
}

function canLimit(folder: string): boolean {
  try {
    writeFileSync(join(folder, 'cgroup.subtree_control'), '+memory +pids');
    return true;
  } catch {
    return false;
  }
}

function createV1Factory(): CgroupFactory | null {
  const mounts = readMounts().filter((entry) => entry.type === 'cgroup');
  const folderOf = (controller: string): string | null => {
    const mount = mounts.find((entry) => entry.options.includes(controller));
    if (mount === undefined) return null;
    const own = join(mount.folder, ownPath(controller));
    return existsSync(own) ? own : mount.folder;
  };
  const memory = folderOf('memory');
  const pids = folderOf('pids');
  if (memory === null || pids === null) return null;
  for (const folder of [memory, pids]) removeAbandoned(folder);
  return {
    version: 'cgroup-v1',
    create: (name, limits) => {
      const limited = createGroup(join(memory, name), { 'memory.limit_in_bytes': limits.memoryBytes });
      try {
        return groupOf([limited, createGroup(join(pids, name), { 'pids.max': limits.tasks })]);
      } catch (error) {
        tryRemove(limited);
        throw error;
      }
    },
  };
}

/** Name of a group of this process. */
export function nameGroup(id: string | number): string {
  return `fogproof-${process.pid}-${id}`;
}

/**
 * Groups of nodes that were killed before they could tidy up, with what still runs in them: children end with their node,
 * but for those on hosts that cannot tell them of it. A group goes once its processes have gone: at the latest next time.
 */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const owner = /^fogproof-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    const folder = join(parent, name);
    killAll(folder);
    tryRemove(folder);
  }
}

function killAll(folder: string): void {
  try {
    for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)) {
      if (pid > 1) process.kill(pid, 'SIGKILL');
    }
  } catch {
    // It has ended meanwhile, or is not ours: then the group stays, as a group of somebody else does.
  }
}

/** Tries version 2, then version 1, by making a group; null where neither may be made. */
export function detectCgroups(): CgroupFactory | null {
  for (const createFactory of [createV2Factory, createV1Factory]) {
    const factory = createFactory();
    if (factory !== null && works(factory)) return factory;
  }
  return null;
}

function works(factory: CgroupFactory): boolean {
  try {
    return factory.create(nameGroup('probe'), { memoryBytes: 2 ** 30, tasks: 8 }).remove();
  } catch {
    return false;
  }
}
