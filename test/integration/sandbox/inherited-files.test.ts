import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/lib/clock.ts';
import { findDescendants, listProcesses } from '../../../src/node/descendant-processes.ts';
import { SandboxChild } from '../../../src/sandbox/executors/wasm/sandbox-child.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { describeIf } from '../../support/needs.ts';
import { findOffers, needLevel } from '../../support/sandbox.ts';
import { startSleeper } from '../../support/sleeper.ts';

const offers = await findOffers();

/** What a process has open. */
async function listOpen(pid: number): Promise<readonly string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  return await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
}

/** LevelDB does not ask for its files to be closed in what this process starts. */
describe('what runs strangers’ programs', () => {
  let folder: string;
  let database: LevelDatabase;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-inherited-'));
    database = await LevelDatabase.open(join(folder, 'db'), { logger: new NoopLogger() });
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  /** Of all processes below one, and of itself. */
  async function listStolen(pid: number): Promise<readonly string[]> {
    const pids = [pid, ...findDescendants(listProcesses(), pid).map((entry) => entry.pid)];
    const open = await Promise.all(pids.map(listOpen));
    return open.flat().filter((path) => path.startsWith(folder));
  }

  it('would have the database open if nobody closed it', async () => {
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    expect(await listStolen(child.pid ?? 0)).not.toEqual([]);
    child.kill();
  });

  it('has none of it as a command', async () => {
    const child = startSleeper();
    const ready = once(child.stdout, 'data');
    const pid = await child.findPid();
    await child.setUp([]);
    child.release();
    await ready;
    expect(await listStolen(pid)).toEqual([]);
    child.stderr.resume();
    child.kill();
    await child.waitEnd();
  });

  for (const level of ['process', 'bubblewrap'] as const) {
    describeIf(needLevel(offers.has(level), level), `as a module at level ${level}`, () => {
      it('has none of it', async () => {
        const offer = offers.get(level);
        if (offer === undefined) throw new TypeError('the suite is skipped without it');
        const child = new SandboxChild(new SystemClock(), { ...offer, maxMemoryBytes: 2 ** 30 });
        await child.start();
        expect(await listStolen(child.pid ?? 0)).toEqual([]);
        await child.close();
      });
    });
  }
});
