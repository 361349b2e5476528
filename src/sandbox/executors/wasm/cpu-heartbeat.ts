import type { Clock } from '../../../lib/clock.ts';
import { HEARTBEAT_MS } from '../../constants.ts';
import { readProcessCpuMs } from './process-cpu.ts';
import type { TaskAnswers } from './task-answers.ts';

/** While the program says nothing, CPU time that it takes is a sign of life; while it waits for its parent, nothing is. */
export class CpuHeartbeat implements Disposable {
  private readonly clock: Clock;
  private readonly pid: number;
  private readonly answers: TaskAnswers;
  private cpuAtFirstBeatMs: number | null = null;
  private heardAtMs: number;
  private timer: Disposable;

  constructor(clock: Clock, pid: number, answers: TaskAnswers) {
    this.clock = clock;
    this.pid = pid;
    this.answers = answers;
    this.heardAtMs = clock.monotonicMs();
    this.timer = this.schedule();
  }

  /** The program has given a sign of its own. */
  hear(): void {
    this.heardAtMs = this.clock.monotonicMs();
  }

  private schedule(): Disposable {
    return this.clock.schedule(HEARTBEAT_MS, () => {
      this.beat();
      this.timer = this.schedule();
    });
  }

  private beat(): void {
    if (this.answers.isWaiting) return this.hear();
    const cpuMs = readProcessCpuMs(this.pid);
    if (cpuMs === null) return;
    this.cpuAtFirstBeatMs ??= cpuMs;
    if (this.clock.monotonicMs() - this.heardAtMs < HEARTBEAT_MS) return;
    const cpuTimeMs = cpuMs - this.cpuAtFirstBeatMs;
    if (cpuTimeMs <= this.answers.cpuTimeMs) return;
    this.answers.cpuTimeMs = Math.round(cpuTimeMs);
    this.answers.giveProgress();
  }

  [Symbol.dispose](): void {
    this.timer[Symbol.dispose]();
  }
}
