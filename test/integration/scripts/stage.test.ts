import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DemoFailure, type RunningDaemon, Stage } from '../../../scripts/demo/stage.ts';

/** Says what it was given; `serve` has a child and goes on for ever; `stubborn` ignores SIGTERM as well. */
const PROGRAM = `#!/bin/sh
case $1 in
  say) echo "$2 $FOGPROOF_HOME $FOGPROOF_SECRET"; echo problem >&2; exit 3 ;;
  stubborn) trap '' TERM ;;
esac
sleep 1000 &
echo ready
while :; do wait || sleep 0.1; done
`;

describe('the stage of the demo', () => {
  let folder: string;
  let launcher: string;
  const { signal } = new AbortController();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-stage-'));
    launcher = join(folder, 'program');
    await writeFile(launcher, PROGRAM);
    await chmod(launcher, 0o755);
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function startReady(stage: Stage, kind: string): Promise<RunningDaemon> {
    const daemon = stage.startDaemon(stage.actor(kind), [kind]);
    if (daemon.process.stdout !== null) await once(daemon.process.stdout, 'data');
    return daemon;
  }

  it('runs commands with their own home and nothing of the caller’s configuration', async () => {
    process.env['FOGPROOF_SECRET'] = 'mine';
    await using stage = await Stage.open({ launcher });
    const actor = stage.actor('ada');
    const result = await stage.run(actor, ['say', 'hello'], signal);
    delete process.env['FOGPROOF_SECRET'];
    expect(result).toEqual({ exitCode: 3, stdout: `hello ${actor.home} \n`, stderr: 'problem\n' });
  });

  it('sees what a killed daemon leaves behind, and ends it in the end', async () => {
    const stage = await Stage.open({ launcher });
    const daemon = await startReady(stage, 'serve');
    daemon.process.kill('SIGKILL');
    await once(daemon.process, 'exit');
    const orphans = await stage.findOrphans(daemon);
    expect(orphans).toHaveLength(1);
    expect(stage.findLeftovers()).toEqual(orphans);
    await stage[Symbol.asyncDispose]();
    await expect.poll(() => stage.findLeftovers()).toEqual([]);
    expect(existsSync(stage.directory)).toBe(false);
  });

  it('ends daemons that do not want to end', { timeout: 20_000 }, async () => {
    const stage = await Stage.open({ launcher });
    const { process: child } = await startReady(stage, 'stubborn');
    await stage[Symbol.asyncDispose]();
    await expect.poll(() => stage.findLeftovers()).toEqual([]);
    await expect.poll(() => child.signalCode).toBe('SIGKILL');
  });

  it('keeps a folder that the caller chose, and its logs', async () => {
    const keep = join(folder, 'kept');
    const stage = await Stage.open({ keep, launcher });
    const daemon = await startReady(stage, 'serve');
    await stage[Symbol.asyncDispose]();
    expect(await readFile(daemon.logFile, 'utf8')).toBe('ready\n');
    expect(existsSync(keep)).toBe(true);
  });

  it('takes no folder that holds something', async () => {
    await expect(Stage.open({ keep: folder, launcher })).rejects.toThrow(DemoFailure);
  });
});
