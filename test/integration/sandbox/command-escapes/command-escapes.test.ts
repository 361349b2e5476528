import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileStatic, findStaticCompiler } from '../../../../scripts/build-root.ts';
import { SystemClock } from '../../../../src/lib/clock.ts';
import { probeCommand } from '../../../../src/sandbox/executors/command/probe-command.ts';
import { describeIf, type Need } from '../../../support/needs.ts';
import type { Attempt, AttemptEnd, RunnerRequest } from './attempts.ts';

const execute = promisify(execFile);
const IS_ROOT = process.getuid?.() === 0;
/** Any user without rights of its own. */
const STRANGER = 12_345;
const RUNNER = join(import.meta.dirname, 'run-attempts.ts');
const compiler = findStaticCompiler();
const works = (await probeCommand(new SystemClock())).kind === 'works';
const NEED: Need = {
  isMet: works && compiler !== undefined,
  kind: 'host',
  reason: 'bubblewrap, user namespaces and a C compiler with a static library (apt install bubblewrap gcc)',
};

/** What each attempt comes to, and what is in its way: the filter of system calls (EPERM, ENOSYS), or what the errors say. */
const CONTAINED: readonly (readonly [name: string, error: string, by: string])[] = [
  ['mount', 'EPERM', 'seccomp'],
  ['remount', 'EPERM', 'seccomp'],
  ['umount', 'EPERM', 'seccomp'],
  ['pivot_root', 'EPERM', 'seccomp'],
  ['open_tree', 'EPERM', 'seccomp'],
  ['chroot', 'EPERM', 'seccomp'],
  ['ptrace', 'EPERM', 'seccomp'],
  ['process_vm_readv', 'EPERM', 'seccomp'],
  ['keyctl', 'EPERM', 'seccomp'],
  ['add_key', 'EPERM', 'seccomp'],
  ['unshare-user', 'EPERM', 'seccomp'],
  ['unshare-net', 'EPERM', 'seccomp'],
  ['clone-user', 'EPERM', 'seccomp, by the flags of clone'],
  ['setns', 'EPERM', 'seccomp'],
  ['io_uring', 'ENOSYS', 'seccomp'],
  ['perf_event_open', 'EPERM', 'seccomp'],
  ['bpf', 'EPERM', 'seccomp'],
  ['userfaultfd', 'EPERM', 'seccomp'],
  ['kexec', 'EPERM', 'seccomp'],
  ['module', 'EPERM', 'seccomp'],
  ['setuid', 'EPERM', 'seccomp'],
  ['setuid-file', 'EPERM', 'the bit is not unpacked, binds are nosuid, no new privileges'],
  ['capabilities', 'EPERM', 'all dropped'],
  ['new-privileges', 'EPERM', 'no new privileges'],
  ['tiocsti', 'EPERM', 'seccomp, by the request of ioctl'],
  ['sethostname', 'EPERM', 'seccomp'],
  ['proc-sys', 'EROFS', '/proc is read-only'],
  ['proc-write', 'EROFS', '/proc is read-only'],
  ['sysrq', 'EROFS', '/proc is read-only'],
  ['proc-root', 'ENOENT', 'its own pid namespace'],
  ['host-file', 'ENOENT', 'its own mount namespace'],
  ['root-write', 'EROFS', 'the root is read-only'],
  ['dev-write', 'EROFS', '/dev is read-only'],
  ['device-node', 'EPERM', 'seccomp'],
  ['device-mode', 'EPERM', 'it is nobody, who owns no device'],
  ['devices', 'ENOENT', 'its own /dev'],
  ['set-rlimit', 'EPERM', 'no capabilities'],
  ['signal', 'ESRCH', 'its own pid namespace'],
  ['raw-socket', 'EPERM', 'seccomp, by the family of the socket'],
  ['packet-socket', 'EPERM', 'seccomp, by the family of the socket'],
  ['netlink', 'EPERM', 'seccomp, by the family of the socket'],
  ['loopback', 'EPERM', 'seccomp, by the family of the socket'],
  ['metadata', 'EPERM', 'seccomp, by the family of the socket'],
  ['address', 'EPERM', 'seccomp, by the family of the socket'],
  ['name', 'EPERM', 'seccomp, by the family of the socket'],
  ['abstract-socket', 'ECONNREFUSED', 'its own network namespace'],
  ['socket-file', 'ENOENT', 'its own mount namespace'],
];

/** With every system call let through, what the namespaces, the missing capabilities and the mounts stop alone. */
const HELD_WITHOUT_FILTER = [
  ...['mount', 'remount', 'umount', 'pivot_root', 'open_tree', 'chroot', 'unshare-net', 'setns', 'kexec', 'module', 'setuid'],
  ...['setuid-file', 'capabilities', 'new-privileges', 'sethostname', 'proc-sys', 'proc-write', 'sysrq', 'proc-root'],
  ...['host-file', 'root-write', 'dev-write', 'device-node', 'device-mode', 'devices', 'set-rlimit', 'signal', 'raw-socket'],
  ...['packet-socket', 'loopback', 'metadata', 'address', 'name', 'abstract-socket', 'socket-file'],
];
/** What the filter alone stops: without it these succeed. */
const HELD_BY_FILTER = ['ptrace', 'process_vm_readv', 'keyctl', 'add_key', 'unshare-user', 'netlink'];
/** Attempts that do no harm outside of any sandbox, and succeed there. */
const REAL_FOR_ANYBODY = ['ptrace', 'process_vm_readv', 'keyctl', 'new-privileges', 'proc-root', 'host-file', 'netlink'];
const REAL_WITH_SOCKETS = ['loopback', 'abstract-socket', 'socket-file'];
const REAL_FOR_ROOT = [
  ...['chroot', 'unshare-user', 'unshare-net', 'clone-user', 'setns', 'setuid', 'capabilities', 'proc-sys', 'proc-write'],
  ...['device-node', 'device-mode', 'signal', 'raw-socket', 'packet-socket', 'set-rlimit', 'bpf'],
];

let folder: string;
let program: string;
let marker: string;
const servers: Server[] = [];
let port = 0;

describeIf(NEED, 'commands that try to escape', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fogproof-escapes-'));
    // Sandboxes of root, and the stranger below, are others than the owner of the folder.
    chmodSync(folder, 0o755);
    program = join(folder, 'escape');
    compileStatic(compiler ?? 'cc', join(import.meta.dirname, 'escape.c'), program);
    marker = join(folder, 'marker');
    writeFileSync(marker, 'of the host');
    chmodSync(marker, 0o644);
    const listen = async (place: string | number): Promise<Server> => {
      const server = createServer((socket) => socket.destroy());
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(place, typeof place === 'number' ? '127.0.0.1' : undefined, resolve));
      return server;
    };
    const address = (await listen(0)).address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
    await listen(`\0fogproof-escapes-${process.pid}`);
    await listen(join(folder, 'socket'));
  });
  afterAll(() => {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  describe('as the user of this test', () => describeRuns(null));
  describeIf(canBecomeStranger(), 'as a user without rights', () => describeRuns(STRANGER));

  it('would succeed without a sandbox, where that does no harm', async () => {
    const names = [...REAL_FOR_ANYBODY, ...REAL_WITH_SOCKETS, ...(IS_ROOT ? REAL_FOR_ROOT : [])];
    const failed: string[] = [];
    for (const name of names) {
      const { stdout } = await execute(program, [name, argumentOf(name) ?? '']).catch((error: { stdout: string }) => error);
      rmSync('/tmp/escape-node', { force: true });
      if (stdout !== 'done\n') failed.push(`${name}: ${stdout}`);
    }
    expect(failed).toEqual([]);
  });

  it.skipIf(!IS_ROOT)('would mount without a sandbox', () => {
    const { stdout } = spawnSync('unshare', ['-m', program, 'mount'], { encoding: 'utf8' });
    expect(stdout).toBe('done\n');
  });
});

/** setpriv, and this checkout readable by others: the stranger runs the same sources. */
function canBecomeStranger(): Need {
  const reason = 'root, setpriv, and a checkout and a node program that other users may read';
  if (!IS_ROOT || spawnSync('setpriv', ['--version']).status !== 0) return { isMet: false, kind: 'permission', reason };
  const read = ['--reuid', String(STRANGER), '--regid', String(STRANGER), '--clear-groups', 'cat', RUNNER];
  return { isMet: spawnSync('setpriv', read, { stdio: 'ignore' }).status === 0, kind: 'permission', reason };
}

function argumentOf(name: string): string | undefined {
  if (name === 'loopback') return String(port);
  if (name === 'signal') return String(process.pid);
  if (name === 'abstract-socket') return `fogproof-escapes-${process.pid}`;
  if (name === 'socket-file') return join(folder, 'socket');
  return ['proc-root', 'host-file', 'leave-link', 'leave-race'].includes(name) ? marker : undefined;
}

function toAttempt(name: string): Attempt {
  const argument = argumentOf(name);
  return argument === undefined ? { name } : { name, argument };
}

function describeRuns(user: number | null): void {
  const run = async (attempts: readonly Attempt[], isFiltered = true): Promise<ReadonlyMap<string, AttemptEnd>> => {
    const rootsFolder = join(folder, `roots-${user ?? 'own'}`);
    if (user !== null) prepareFor(user, rootsFolder);
    const request: RunnerRequest = { program, rootsFolder, isFiltered, attempts };
    const words = [process.execPath, RUNNER, JSON.stringify(request)];
    const identity = ['--reuid', String(user), '--regid', String(user), '--clear-groups', '--inh-caps=-all'];
    const [file = '', ...rest] = user === null ? words : ['setpriv', ...identity, nodeFor(), ...words.slice(1)];
    const { stdout } = await execute(file, rest, { maxBuffer: 16 * 2 ** 20, env: { PATH: process.env['PATH'], HOME: folder } });
    const { ends, reason } = JSON.parse(stdout) as { ends?: readonly AttemptEnd[]; reason?: string };
    if (ends === undefined) throw new Error(`no sandbox for this user: ${reason}`);
    return new Map(ends.map((end) => [end.name, end]));
  };

  it('are contained, each by what is meant to', async () => {
    const ends = await run(CONTAINED.map(([name]) => toAttempt(name)));
    expect(Object.fromEntries([...ends].map(([name, { end, said }]) => [name, `${end} ${said}`]))).toEqual(
      Object.fromEntries(CONTAINED.map(([name, error]) => [name, `EXIT_CODE denied ${error}`])),
    );
  });

  it('are contained by namespaces, mounts and missing capabilities alone, where these are meant to', async () => {
    const ends = await run([...HELD_WITHOUT_FILTER, ...HELD_BY_FILTER].map(toAttempt), false);
    const done = [...ends.values()].filter(({ said }) => said === 'done').map(({ name }) => name);
    expect(done).toEqual(HELD_BY_FILTER);
  });

  it.each<readonly [string, string, string, Omit<Attempt, 'name'>]>([
    ['a bomb of memory', 'bomb-memory', 'MEMORY_LIMIT', {}],
    ['a bomb of forks', 'bomb-forks', 'PROCESS_LIMIT', {}],
    ['a bomb of bytes in /tmp', 'bomb-disk', 'SCRATCH_LIMIT', { argument: '/tmp/bomb' }],
    ['a bomb of bytes in /dev/shm', 'bomb-disk', 'SCRATCH_LIMIT', { argument: '/dev/shm/bomb' }],
    ['a bomb of bytes in /output', 'bomb-disk', 'OUTPUT_LIMIT', { argument: '/output/bomb' }],
    ['a bomb of files', 'bomb-inodes', 'SCRATCH_LIMIT', { resources: { memoryBytes: 2 ** 30 } }],
    ['a bomb of log lines', 'bomb-logs', 'LOG_LIMIT', {}],
    ['one that never ends', 'sleep', 'WALL_TIME', { resources: { wallTimeMs: 300 } }],
    ['one that computes for ever', 'burn', 'WALL_TIME', { resources: { wallTimeMs: 300 } }],
    ['a link among its outputs', 'leave-link', 'OUTPUT_REFUSED', {}],
    ['a link to a folder', 'leave-folder-link', 'OUTPUT_REFUSED', {}],
    ['two names of one file', 'leave-names', 'OUTPUT_REFUSED', {}],
    ['a socket', 'leave-socket', 'OUTPUT_REFUSED', {}],
    ['a file with a hole of a terabyte', 'leave-sparse', 'OUTPUT_LIMIT', {}],
    ['too many files', 'leave-many', 'OUTPUT_LIMIT', {}],
  ])('%s is ended, and the limit named', async (_what, name, code, parts) => {
    if (name === 'bomb-memory' && !(await hasGroups(user))) return;
    const [end] = (await run([{ ...toAttempt(name), ...parts }])).values();
    expect(`${end?.end} ${end?.detail}`).toContain(hasGroupCode(code, await hasGroups(user)));
    expect(end?.outputs.map(({ text }) => text).join()).not.toContain('of the host');
  });

  it('files exchanged for links while they are collected give nothing of the host', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [end] = (await run([{ ...toAttempt('leave-race'), limits: { processes: 32 } }])).values();
      expect(['completed', 'OUTPUT_REFUSED']).toContain(end?.end);
      expect(JSON.stringify(end?.outputs)).not.toContain('of the host');
    }
  });
}

/** Where no control group may be made, the kernel does not count what a sandbox was refused. */
function hasGroupCode(code: string, hasGroup: boolean): string {
  return hasGroup || code !== 'PROCESS_LIMIT' ? code : 'EXIT_CODE';
}

const groups = new Map<number | null, Promise<boolean>>();
function hasGroups(user: number | null): Promise<boolean> {
  const found = groups.get(user) ?? Promise.resolve(user === null && works && IS_ROOT);
  groups.set(user, found);
  return found;
}

function prepareFor(user: number, rootsFolder: string): void {
  execFileSync('install', ['-d', '-o', String(user), '-m', '755', rootsFolder]);
}

/** The stranger needs a node that it may execute: that of this test may lie in the home of root. */
function nodeFor(): string {
  const copy = join(folder, 'node');
  try {
    accessSync(copy, constants.X_OK);
  } catch {
    copyFileSync(process.execPath, copy);
    chmodSync(copy, 0o755);
  }
  return dirname(copy) === folder ? copy : process.execPath;
}
