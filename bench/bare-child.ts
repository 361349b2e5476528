import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';

/** Descriptor that a child answers on. */
export const ANSWER_FD = 3;

/** Node on its own: what anything in a child is compared with. */
export function startBare([file = '', ...args]: readonly string[]): { child: ChildProcess; answers: Duplex } {
  const child = spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore', 'pipe'] });
  return { child, answers: child.stdio[ANSWER_FD] as Duplex };
}
