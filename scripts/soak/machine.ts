import { cpus } from 'node:os';
import type { Sample } from './sample.ts';

/** Processor time of a machine that was used for something else than the daemons, above which their delays say nothing. */
export const MOST_OTHERWISE_BUSY = 0.25;

/** Processor time of all cores since the machine began, ms. */
export interface MachineTimes {
  readonly totalMs: number;
  readonly idleMs: number;
}

export function readMachineTimes(): MachineTimes {
  const all = cpus().map(({ times }) => times);
  return {
    totalMs: all.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0),
    idleMs: all.reduce((sum, { idle }) => sum + idle, 0),
  };
}

/** The share of the machine, 0 to 1, that was neither idle nor taken by the sampled processes. */
export function computeOtherwiseBusy(
  { before, after }: { readonly before: MachineTimes; readonly after: MachineTimes },
  samples: readonly Sample[],
): number {
  const totalMs = after.totalMs - before.totalMs;
  if (totalMs <= 0) return 0;
  const usedMs = totalMs - (after.idleMs - before.idleMs);
  return Math.max(0, (usedMs - sumProcessorSeconds(samples) * 1_000) / totalMs);
}

/** What the processes took between their first and their last sample. */
function sumProcessorSeconds(samples: readonly Sample[]): number {
  const perProcess = [...Map.groupBy(samples, ({ node, pid }) => `${node} ${pid}`).values()];
  return perProcess.reduce((sum, own) => {
    const [first, last] = [own[0], own.at(-1)];
    return sum + (last?.processorSeconds ?? 0) - (first?.processorSeconds ?? 0);
  }, 0);
}
