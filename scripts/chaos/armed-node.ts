/**
 * The daemon as it is, with what a run of faults puts in from outside: crash points, slow commits, a clock that can be
 * set. Usage: armed-node.ts SETTINGS, a JSON object of settings by their path. Environment:
 *
 *   FOGPROOF_CRASH_AT       dies at these points, separated by spaces, such as `jobs=new:after:3`
 *   FOGPROOF_CHAOS_FOLDER   folder of its control file and its notes (control-file.ts)
 *   FOGPROOF_CHAOS_FROM     `dist` or `src`: which of the two it runs
 */
import { watch } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as RunNode from '../../src/node/run-node.ts';
import { appendNote, NO_CONTROL, readControl } from './control-file.ts';
import { CrashPoints, formatArm, parseArm } from './crash-points.ts';
import { ShiftedClock } from './shifted-clock.ts';

const ROOT = join(import.meta.dirname, '../..');
const OWN_VARIABLES = new Set(['FOGPROOF_CRASH_AT', 'FOGPROOF_CHAOS_FOLDER', 'FOGPROOF_CHAOS_FROM']);
const ORPHAN_CHECK_MS = 2_000;

async function loadRunNode(): Promise<typeof RunNode> {
  const from = process.env['FOGPROOF_CHAOS_FROM'] ?? 'dist';
  if (from === 'dist') enableCompileCache(join(ROOT, 'dist/.compile-cache'));
  const file = from === 'dist' ? 'dist/node/run-node.js' : 'src/node/run-node.ts';
  return (await import(join(ROOT, file))) as typeof RunNode;
}

/** With its children, as when the machine loses power. */
function dieAtOnce(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    // It leads no group: it was started by hand.
    process.kill(process.pid, 'SIGKILL');
  }
}

function readArms(text: string | undefined) {
  return (text ?? '').split(' ').filter(Boolean).map(parseArm);
}

/** A harness that was itself killed leaves nothing behind. */
function endWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) dieAtOnce();
  }, ORPHAN_CHECK_MS).unref();
}

async function main(): Promise<void> {
  const { FOGPROOF_CHAOS_FOLDER: folder, FOGPROOF_CRASH_AT: crashAt } = process.env;
  const clock = new ShiftedClock();
  const points = new CrashPoints({
    die: (at) => {
      if (folder !== undefined) {
        for (const arm of at) appendNote(folder, { died: formatArm(arm), pid: process.pid });
      }
      dieAtOnce();
    },
    onPoint: (point) => {
      if (folder !== undefined) appendNote(folder, { point });
    },
    sleep: async (ms) => {
      await sleep(ms);
    },
  });
  const follow = (): void => {
    const control = folder === undefined ? NO_CONTROL : readControl(folder);
    clock.offsetMs = control.clockOffsetMs;
    points.delayWrites(control.writeDelayMs);
    points.arm(readArms([crashAt ?? '', ...control.arms].join(' ')));
  };
  follow();
  if (folder !== undefined) watch(folder, { persistent: false }, follow);
  endWithParent();
  const stopping = new AbortController();
  process.on('SIGTERM', () => stopping.abort(new DOMException('stopped by SIGTERM', 'AbortError')));
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OWN_VARIABLES.has(name)));
  const { runNode } = await loadRunNode();
  const overrides = JSON.parse(process.argv[2] ?? '{}') as Record<string, unknown>;
  // The timers of our clock hold nothing open: as in the command line, something else has to.
  const hold = setInterval(() => undefined, 2 ** 31 - 1);
  try {
    await runNode(
      { overrides, environment, signal: stopping.signal, log: 'json', onReady: () => undefined },
      { clock, writes: points.writes, disk: points.disk },
    );
  } finally {
    clearInterval(hold);
  }
}

await main();
