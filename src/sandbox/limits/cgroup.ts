import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ownPath, readMounts } from './cgroup-mounts.ts';
import { createGroup, type GroupUsage, readV1Usage, readV2Usage, tryRemove, type V1Folders } from './group-files.ts';

export interface CgroupLimits {
  readonly memoryBytes: number;
  readonly tasks: number;
  /** Thousandths of a processor; absent: no limit. Not in force where `limitsCpu` of the factory is false. */
  readonly milliCpus?: number;
  /** Character devices that may be opened besides those of every program; absent: any. In force where `limitsDevices` is true. */
  readonly devices?: readonly DeviceNumber[];
}

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** A group for one child. */
export interface Cgroup {
  /** Files that the child writes its process id into before it becomes anything else. */
  readonly procsFiles: readonly string[];
  /** Moves a process into it, for which the kernel may wait tens of ms. @throws Error of the file system */
  add(pid: number): Promise<void>;
  readUsage(): GroupUsage;
  /** Ends every process in it. */
  kill(): void;
  /** Removes it; true once it is gone. It cannot go while a process is in it. */
  remove(): boolean;
}

/** Makes groups in the version that this host has. */
export interface CgroupFactory {
  readonly version: 'cgroup-v2' | 'cgroup-v1';
  readonly limitsCpu: boolean;
  /** Version 2 takes a BPF program for it, which only root loads, and which is not made here. */
  readonly limitsDevices: boolean;
  create(name: string, limits: CgroupLimits): Cgroup;
}

/** cgroup-v2.rst: time in each period, µs. The same figures serve version 1. */
const CPU_PERIOD_MICROS = 100_000;

function groupOf(folders: readonly string[], readUsage: () => GroupUsage): Cgroup {
  const procsFiles = folders.map((folder) => join(folder, 'cgroup.procs'));
  return {
    procsFiles,
    add: async (pid) => {
      await Promise.all(procsFiles.map((file) => writeFile(file, String(pid))));
    },
    readUsage,
    kill: () => folders.forEach(killAll),
    remove: () => folders.map((folder) => tryRemove(folder)).every(Boolean),
  };
}

function createV2Factory(): CgroupFactory | null {
  const mount = readMounts().find((entry) => entry.type === 'cgroup2');
  if (mount === undefined) return null;
  const own = join(mount.folder, ownPath(''));
  // A group that holds processes cannot have limited subgroups (cgroups(7), "no internal processes"): then the one above.
  const parent = [own, dirname(own)].find((folder) => folder.startsWith(mount.folder) && canLimit(folder));
  if (parent === undefined) return null;
  removeAbandoned(parent);
  const limitsCpu = tryControl(parent, '+cpu');
  return {
    version: 'cgroup-v2',
    limitsCpu,
    limitsDevices: false,
    create: (name, { memoryBytes, tasks, milliCpus }) => {
      const folder = createGroup(join(parent, name), {
        'memory.max': memoryBytes,
        'pids.max': tasks,
        ...(limitsCpu && milliCpus !== undefined ? { 'cpu.max': `${toQuota(milliCpus)} ${CPU_PERIOD_MICROS}` } : {}),
      });
      if (existsSync(join(folder, 'memory.swap.max'))) writeFileSync(join(folder, 'memory.swap.max'), '0');
      return groupOf([folder], () => readV2Usage(folder));
    },
  };
}

function toQuota(milliCpus: number): number {
  return Math.round((milliCpus * CPU_PERIOD_MICROS) / 1000);
}

function canLimit(folder: string): boolean {
  return tryControl(folder, '+memory +pids');
}

function tryControl(folder: string, controllers: string): boolean {
  try {
    writeFileSync(join(folder, 'cgroup.subtree_control'), controllers);
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
  const [memory, pids, cpu, cpuacct, devices] = ['memory', 'pids', 'cpu', 'cpuacct', 'devices'].map(folderOf);
  if (memory === null || memory === undefined || pids === null || pids === undefined) return null;
  const own = devices ?? null;
  const parents = { memory, pids, cpu: cpu ?? null, cpuacct: cpuacct ?? null, devices: own };
  for (const folder of listFolders(parents)) removeAbandoned(folder);
  const limitsCpu = parents.cpu !== null && existsSync(join(parents.cpu, 'cpu.cfs_quota_us'));
  return {
    version: 'cgroup-v1',
    limitsCpu,
    limitsDevices: own !== null && canLimitDevices(own),
    create: (name, limits) => createV1Group(parents, name, limits),
  };
}

/** Where two controllers share a hierarchy, one folder serves both. */
function listFolders(folders: V1Folders): readonly string[] {
  return [...new Set(Object.values(folders).filter((folder): folder is string => folder !== null))];
}

/** A group without a limit of processors needs no folder where these are counted. */
function createV1Group(parents: V1Folders, name: string, limits: CgroupLimits): Cgroup {
  const { memoryBytes, tasks, milliCpus, devices } = limits;
  const used = {
    ...parents,
    ...(milliCpus === undefined ? { cpu: null, cpuacct: null } : {}),
    ...(devices === undefined ? { devices: null } : {}),
  };
  const under = (parent: string | null): string | null => (parent === null ? null : join(parent, name));
  const group: V1Folders = {
    memory: join(used.memory, name),
    pids: join(used.pids, name),
    cpu: under(used.cpu),
    cpuacct: under(used.cpuacct),
    devices: under(used.devices),
  };
  const files = (folder: string): Record<string, number> => ({
    ...(folder === group.memory ? { 'memory.limit_in_bytes': memoryBytes } : {}),
    ...(folder === group.pids ? { 'pids.max': tasks } : {}),
    ...(folder === group.cpu && milliCpus !== undefined
      ? { 'cpu.cfs_period_us': CPU_PERIOD_MICROS, 'cpu.cfs_quota_us': toQuota(milliCpus) }
      : {}),
  });
  const made: string[] = [];
  try {
    for (const folder of listFolders(group)) made.push(createGroup(folder, files(folder)));
    if (group.devices !== null) allowDevices(group.devices, devices ?? []);
  } catch (error) {
    made.forEach(tryRemove);
    throw error;
  }
  return groupOf(made, () => readV1Usage(group));
}

/** cgroup-v1/devices.rst. What bubblewrap's own /dev has: null, zero, full, random, urandom, tty, and terminals. */
const COMMON_DEVICES = ['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:2', '136:*'];

/** Whoever is in the group opens these devices and no others, and makes none. @throws Error of the file system */
function allowDevices(folder: string, devices: readonly DeviceNumber[]): void {
  writeFileSync(join(folder, 'devices.deny'), 'a');
  const numbers = [...COMMON_DEVICES, ...devices.map(({ major, minor }) => `${major}:${minor}`)];
  for (const number of numbers) writeFileSync(join(folder, 'devices.allow'), `c ${number} rw`);
}

/** It takes CAP_SYS_ADMIN, and a parent that allows what is to be allowed. */
function canLimitDevices(parent: string): boolean {
  const folder = join(parent, nameGroup('probe-devices'));
  try {
    createGroup(folder, {});
    allowDevices(folder, []);
    return true;
  } catch {
    return false;
  } finally {
    tryRemove(folder);
  }
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
    return factory.create(nameGroup('probe'), { memoryBytes: 2 ** 30, tasks: 8, milliCpus: 1000 }).remove();
  } catch {
    return false;
  }
}
