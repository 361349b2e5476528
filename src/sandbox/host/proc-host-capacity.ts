import { statfs } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { HostCapacity, HostMeasure } from '../interface.ts';
import { findMemoryGroups, type GroupRoom, type MemoryGroup, readGroup } from './memory-groups.ts';
import { parseChildren, parseKilobytes, parsePressure } from './parse-proc.ts';
import { type ReadText, readKernelText } from './read-text.ts';

/** How often the event loop is looked at, ms: 50 wakes a second take no measurable share of a core. */
const LOOP_RESOLUTION_MS = 20;
/** Children, and theirs, whose memory is looked at. */
const MAX_CHILDREN = 256;

export interface ProcHostCapacityOptions {
  /** Data folder: its disk is measured. */
  readonly folder: string;
  /** Process whose children are the sandboxes. */
  readonly pid: number;
}

/** Reads what Linux tells in /proc and in control groups; on other systems what Node.js knows. */
export class ProcHostCapacity implements HostCapacity {
  readonly #options: ProcHostCapacityOptions;
  readonly #read: ReadText;
  readonly #groups: readonly MemoryGroup[];
  readonly #loopDelay: ReturnType<typeof monitorEventLoopDelay>;

  constructor(
    options: ProcHostCapacityOptions,
    { read = readKernelText, groups }: { readonly read?: ReadText; readonly groups?: readonly MemoryGroup[] } = {},
  ) {
    this.#options = options;
    this.#read = read;
    this.#groups = groups ?? findMemoryGroups();
    this.#loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
    this.#loopDelay.enable();
  }

  async measure(): Promise<HostMeasure> {
    const loopDelayMs = this.#takeLoopDelay();
    const disk = await statfs(this.#options.folder);
    return {
      memory: { ...(await this.#measureMemory()), childrenBytes: await this.#measureChildren() },
      diskFreeBytes: disk.bavail * disk.bsize,
      loopDelayMs,
      cpuPressure: parsePressure(await this.#read('/proc/pressure/cpu')),
    };
  }

  [Symbol.dispose](): void {
    this.#loopDelay.disable();
  }

  /** The histogram counts from one look to the next, so an idle loop shows the resolution itself. */
  #takeLoopDelay(): number {
    const { count, mean } = this.#loopDelay;
    this.#loopDelay.reset();
    return count === 0 ? 0 : Math.max(0, mean / 1e6 - LOOP_RESOLUTION_MS);
  }

  async #measureMemory(): Promise<GroupRoom> {
    const text = await this.#read('/proc/meminfo');
    let limitBytes = parseKilobytes(text, 'MemTotal') ?? totalmem();
    let availableBytes = parseKilobytes(text, 'MemAvailable') ?? freemem();
    for (const group of this.#groups) {
      const room = await readGroup(group, this.#read);
      if (room === null) continue;
      limitBytes = Math.min(limitBytes, room.limitBytes);
      availableBytes = Math.min(availableBytes, room.availableBytes);
    }
    return { limitBytes, availableBytes };
  }

  /** A sandbox is a child of ours or of its launcher. */
  async #measureChildren(): Promise<number> {
    const pids = [...(await this.#childrenOf(this.#options.pid))];
    let sumBytes = 0;
    for (let index = 0; index < pids.length && index < MAX_CHILDREN; index += 1) {
      const pid = pids[index];
      if (pid === undefined) break;
      sumBytes += parseKilobytes(await this.#read(`/proc/${pid}/status`), 'RssAnon') ?? 0;
      pids.push(...(await this.#childrenOf(pid)));
    }
    return sumBytes;
  }

  async #childrenOf(pid: number): Promise<readonly number[]> {
    return parseChildren(await this.#read(`/proc/${pid}/task/${pid}/children`), MAX_CHILDREN);
  }
}
