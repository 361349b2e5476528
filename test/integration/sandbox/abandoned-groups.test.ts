import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, vi } from 'vitest';
import { detectCgroups } from '../../../src/sandbox/limits/cgroup.ts';
import { itIf } from '../../support/needs.ts';

const cgroups = detectCgroups();
const CGROUPS = { isMet: cgroups !== null, kind: 'host', reason: 'control groups that may be made' } as const;

/** The id of a process that has ended, and is not used again while so few are begun. */
function findDeadPid(): number {
  return spawnSync('true').pid;
}

itIf(CGROUPS, 'what a killed node left running is ended, and its groups are removed, at the next start', async () => {
  const group = cgroups?.create(`fogproof-${findDeadPid()}-1`, { memoryBytes: 2 ** 30, tasks: 8 });
  if (group === undefined) throw new TypeError('the test is skipped without it');
  const [procs = ''] = group.procsFiles;
  // Joins the group as a child does, and then minds nobody.
  const join = group.procsFiles.map((file) => `echo $$ > ${file}`).join(' && ');
  const orphan = spawn('sh', ['-c', `${join} && echo in && exec sleep 1000`], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(orphan.stdout, 'data');
  expect(readFileSync(procs, 'utf8')).toContain(String(orphan.pid));
  const ended = once(orphan, 'exit');
  detectCgroups();
  expect(await ended).toEqual([null, 'SIGKILL']);
  await vi.waitFor(() => {
    detectCgroups();
    expect(existsSync(dirname(procs))).toBe(false);
  }, 5000);
});
