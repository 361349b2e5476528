import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type BuiltLayer, buildLayer } from '../../scripts/build-image.ts';
import { findExecutable } from '../../src/sandbox/isolation/find-executable.ts';

/** One program that is many, linked with all that it needs; undefined where there is none, or one that needs libraries. */
export function findBusybox(): string | undefined {
  const path = findExecutable('busybox');
  if (path === null) return undefined;
  // A program that needs a loader names it.
  const names = ['/lib64/ld-', '/lib/ld-'];
  const bytes = readFileSync(path).subarray(0, 4096).toString('latin1');
  return names.some((name) => bytes.includes(name)) || spawnSync(path, ['true']).status !== 0 ? undefined : path;
}

/** A layer with a shell and what it needs for tests. */
export async function packBusybox(path: string): Promise<BuiltLayer> {
  const applets = [
    'sh',
    'cat',
    'echo',
    'env',
    'grep',
    'head',
    'id',
    'ln',
    'ls',
    'mkdir',
    'pwd',
    'rm',
    'setsid',
    'sleep',
    'tail',
    'true',
    'yes',
  ];
  return await buildLayer([
    { name: 'bin/', type: 'directory' },
    { name: 'bin/busybox', mode: 0o755, content: readFileSync(path) },
    ...applets.map((applet) => ({ name: `bin/${applet}`, type: 'symlink' as const, linkname: 'busybox' })),
  ]);
}
