import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { InternalError } from '../../lib/errors.ts';
import { ANSWER_FD, INFO_FD, SECCOMP_FD } from '../constants.ts';
import { BubblewrapEnd } from './bubblewrap-end.ts';
import type { LaunchPlan } from './launch-plan.ts';

/** A started child with its pipes. */
export interface LaunchedChild {
  readonly process: ChildProcess;
  readonly requests: Writable;
  readonly answers: Readable;
  readonly errors: Readable;
  /** Process id of the sandboxed program itself, as this host sees it; null if it never came to be. */
  readonly pid: Promise<number | null>;
  /** SIGKILL to all of it. */
  kill(): void;
}

const IGNORE = (): void => {};

function pipeAt(child: ChildProcess, fd: number): unknown {
  return child.stdio[fd] ?? null;
}

/** The process id in bubblewrap's JSON on the info descriptor. */
function readInnerPid(info: Readable, child: ChildProcess, end: BubblewrapEnd): Promise<number | null> {
  return new Promise((resolve) => {
    let text = '';
    info.setEncoding('utf8');
    info.on('data', (chunk: string) => {
      text = (text + chunk).slice(0, 4096);
      const found = /"child-pid":\s*(\d+)/.exec(text);
      if (found === null) return;
      end.setFirst(Number(found[1]));
      resolve(Number(found[1]));
    });
    info.on('error', () => resolve(null));
    child.once('close', () => resolve(null));
  });
}

/** Starts a command of a plan with an empty environment. Pipe errors show as the end of the process. */
export function launch(plan: LaunchPlan, procsFiles: readonly string[]): LaunchedChild {
  const child = spawn(plan.file, plan.createArguments(procsFiles), {
    cwd: '/',
    env: {},
    stdio: ['pipe', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  child.on('error', IGNORE);
  const { stdin: requests, stderr: errors } = child;
  const answers = pipeAt(child, ANSWER_FD) as Readable | null;
  const filter = pipeAt(child, SECCOMP_FD) as Writable | null;
  const info = pipeAt(child, INFO_FD) as Readable | null;
  // Node gives a stream for every 'pipe' of `stdio`, unless the process could not be started at all.
  if (requests === null || errors === null || answers === null || filter === null || info === null) {
    throw new InternalError('a child has no pipes');
  }
  for (const stream of [requests, errors, answers, filter, info]) stream.on('error', IGNORE);
  filter.end(plan.filter ?? new Uint8Array(0));
  const pipes = { process: child, requests, answers, errors };
  if (plan.tellsPid) {
    const end = new BubblewrapEnd(child);
    return { ...pipes, pid: readInnerPid(info, child, end), kill: () => end.kill() };
  }
  info.resume();
  return { ...pipes, pid: Promise.resolve(child.pid ?? null), kill: () => void child.kill('SIGKILL') };
}
