import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAmount, parseStat } from '../host/parse-proc.ts';
import { readText } from './cgroup-mounts.ts';

/** What the processes of a group have taken, and which limits they met. */
export interface GroupUsage {
  /** Null where the kernel does not count it for groups. */
  readonly cpuTimeMs: number | null;
  readonly peakMemoryBytes: number | null;
  /** Processes killed because the group's memory was used up. */
  readonly memoryKills: number;
  /** Processes and threads that were not made because there were too many. */
  readonly refusedTasks: number;
}

export const NO_USAGE: GroupUsage = { cpuTimeMs: null, peakMemoryBytes: null, memoryKills: 0, refusedTasks: 0 };

/** cgroup-v2.rst: memory.peak (since Linux 5.19), memory.events, pids.events, cpu.stat. */
export function readV2Usage(folder: string): GroupUsage {
  const cpuMicros = parseStat(readText(join(folder, 'cpu.stat')), 'usage_usec');
  return {
    cpuTimeMs: cpuMicros === null ? null : Math.round(cpuMicros / 1000),
    peakMemoryBytes: parseAmount(readText(join(folder, 'memory.peak'))),
    memoryKills: parseStat(readText(join(folder, 'memory.events')), 'oom_kill') ?? 0,
    refusedTasks: parseStat(readText(join(folder, 'pids.events')), 'max') ?? 0,
  };
}

/** Folders of one group in the hierarchies of version 1; null where the host has no such controller. */
export interface V1Folders {
  readonly memory: string;
  readonly pids: string;
  readonly cpu: string | null;
  readonly cpuacct: string | null;
  readonly devices: string | null;
}

/** cgroup-v1/memory.rst, cpuacct.rst (ns), pids.rst. */
export function readV1Usage({ memory, pids, cpuacct }: V1Folders): GroupUsage {
  const cpuNanos = cpuacct === null ? null : parseAmount(readText(join(cpuacct, 'cpuacct.usage')));
  return {
    cpuTimeMs: cpuNanos === null ? null : Math.round(cpuNanos / 1e6),
    peakMemoryBytes: parseAmount(readText(join(memory, 'memory.max_usage_in_bytes'))),
    memoryKills: parseStat(readText(join(memory, 'memory.oom_control')), 'oom_kill') ?? 0,
    refusedTasks: parseStat(readText(join(pids, 'pids.events')), 'max') ?? 0,
  };
}

/** True once the folder is gone. A group cannot go while a process is in it. */
export function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}

/** A group's folder with these files written; all or nothing. */
export function createGroup(folder: string, files: Readonly<Record<string, number | string>>): string {
  mkdirSync(folder);
  try {
    for (const [name, value] of Object.entries(files)) writeFileSync(join(folder, name), String(value));
  } catch (error) {
    tryRemove(folder);
    throw error;
  }
  return folder;
}
