import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosNode } from './chaos-node.ts';
import type { Fleet } from './fleet.ts';

const ARMED_NODE = new URL('armed-node.ts', import.meta.url).pathname;
const TIMEOUT_MS = 60_000;

/** Starts another daemon on the data folder of one that runs. @returns what was wrong with how it ended, or null */
export async function tryStartSecond(fleet: Fleet, node: ChaosNode): Promise<string | null> {
  const { pid } = node;
  if (pid === undefined || node.client === undefined) return null;
  const actor = { name: `${node.name}.second`, home: node.home, socket: fleet.stage.actor(`${node.name}2`).socket };
  const settings = { listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false };
  const daemon = fleet.stage.startDaemon(actor, [ARMED_NODE, JSON.stringify(settings)]);
  const ended = once(daemon.process, 'close').then(([exitCode]) => exitCode as number | null);
  const exitCode = await Promise.race([ended, sleep(TIMEOUT_MS, undefined, { ref: false })]);
  // The first one may have died meanwhile, of something else.
  if (node.pid !== pid) {
    daemon.process.kill('SIGKILL');
    return null;
  }
  if (exitCode === undefined) {
    daemon.process.kill('SIGKILL');
    return `a second daemon on the folder of ${node.name} ran on`;
  }
  const log = await readFile(daemon.logFile, 'utf8');
  if (exitCode !== 0 && log.includes('STORAGE_LOCKED')) return null;
  return `a second daemon on the folder of ${node.name} ended with ${exitCode}: ${log.slice(-500)}`;
}
