import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileStatic, findStaticCompiler } from '../../../../scripts/build-root.ts';
import { describeIf, type Need } from '../../../support/needs.ts';
import type { Attempt, AttemptEnd, RunnerAnswer, RunnerRequest } from './attempts.ts';

const execute = promisify(execFile);
const IS_ROOT = process.getuid?.() === 0;
/** Any user without rights of its own. */
const STRANGER = 12_345;
const RUNNER = join(import.meta.dirname, 'run-attempts.ts');
const compiler = findStaticCompiler();

export interface EscapeSuite {
  readonly kind: RunnerRequest['kind'];
  /** A sandbox of this kind works for the user of this test. */
  readonly works: boolean;
  /** What has to be installed for it. */
  readonly packages: string;
}

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
  ['proc-sys', 'EACCES', 'it is nobody, and /proc is read-only'],
  ['proc-write', 'EROFS', '/proc is read-only'],
  ['sysrq', '(EACCES|EROFS|ENOENT)', 'it is nobody, and /proc is read-only; not every kernel has it'],
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
  ...[
    'mount',
    'remount',
    'umount',
    'pivot_root',
    'open_tree',
    'chroot',
    'unshare-net',
    'setns',
    'kexec',
    'module',
    'setuid',
  ],
  ...['setuid-file', 'capabilities', 'new-privileges', 'sethostname', 'proc-sys', 'proc-write', 'sysrq', 'proc-root'],
  ...[
    'host-file',
    'root-write',
    'dev-write',
    'device-node',
    'device-mode',
    'devices',
    'set-rlimit',
    'signal',
    'raw-socket',
  ],
  ...['packet-socket', 'loopback', 'metadata', 'address', 'name', 'abstract-socket', 'socket-file'],
];
/** What the filter alone stops: without it these succeed. */
const HELD_BY_FILTER = ['ptrace', 'process_vm_readv', 'keyctl', 'add_key', 'unshare-user', 'netlink'];
/** Attempts that do no harm outside of any sandbox, and succeed there. */
const REAL_FOR_ANYBODY = [
  'ptrace',
  'process_vm_readv',
  'keyctl',
  'new-privileges',
  'proc-root',
  'host-file',
  'netlink',
];
const REAL_WITH_SOCKETS = ['loopback', 'abstract-socket', 'socket-file'];
const REAL_FOR_ROOT = [
  ...[
    'chroot',
    'unshare-user',
    'unshare-net',
    'clone-user',
    'setns',
    'setuid',
    'capabilities',
    'proc-sys',
    'proc-write',
  ],
  ...['device-node', 'device-mode', 'signal', 'raw-socket', 'packet-socket', 'bpf'],
];

interface EndedAttempt extends Attempt {
  readonly label: string;
  readonly code: string;
}

/** Programs that take or leave too much, and how they end. */
const ENDED: readonly EndedAttempt[] = [
  { label: 'a bomb of memory', name: 'bomb-memory', code: 'MEMORY_LIMIT' },
  { label: 'a bomb of forks', name: 'bomb-forks', code: 'PROCESS_LIMIT' },
  { label: 'a bomb of bytes in /tmp', name: 'bomb-disk', argument: '/tmp/bomb', code: 'SCRATCH_LIMIT' },
  { label: 'a bomb of bytes in /dev/shm', name: 'bomb-disk', argument: '/dev/shm/bomb', code: 'SCRATCH_LIMIT' },
  { label: 'a bomb of bytes in /output', name: 'bomb-disk', argument: '/output/bomb', code: 'OUTPUT_LIMIT' },
  { label: 'a bomb of files', name: 'bomb-inodes', resources: { memoryBytes: 2 ** 30 }, code: 'SCRATCH_LIMIT' },
  { label: 'a bomb of log lines', name: 'bomb-logs', code: 'LOG_LIMIT' },
  { label: 'one that never ends', name: 'sleep', resources: { wallTimeMs: 300 }, code: 'WALL_TIME' },
  { label: 'one that computes for ever', name: 'burn', resources: { wallTimeMs: 300 }, code: 'WALL_TIME' },
  { label: 'a link among its outputs', name: 'leave-link', code: 'OUTPUT_REFUSED' },
  { label: 'a link to a folder', name: 'leave-folder-link', code: 'OUTPUT_REFUSED' },
  { label: 'two names of one file', name: 'leave-names', code: 'OUTPUT_REFUSED' },
  { label: 'a socket', name: 'leave-socket', code: 'OUTPUT_REFUSED' },
  { label: 'a file with a hole of a terabyte', name: 'leave-sparse', code: 'OUTPUT_LIMIT' },
  { label: 'too many files', name: 'leave-many', code: 'OUTPUT_LIMIT' },
];
/** Without a control group nobody counts what a program was refused: it sees the error, and ends as it likes. */
const UNGROUPED: Readonly<Record<string, string>> = { MEMORY_LIMIT: 'EXIT_CODE', PROCESS_LIMIT: 'EXIT_CODE' };
const RACES = 5;
const RUN_TIMEOUT_MS = 240_000;

let folder: string;
let program: string;
let marker: string;
const servers: Server[] = [];
let port = 0;

/** Every attempt, as a kind of work: as the user of this test and as one without rights, with the filter of system calls and without. */
export function describeEscapes(suite: EscapeSuite): void {
  const need: Need = {
    isMet: suite.works && compiler !== undefined,
    kind: 'host',
    reason: `bubblewrap, user namespaces and a C compiler with a static library (apt install ${suite.packages} gcc)`,
  };
  describeIf(need, `${suite.kind}s that try to escape`, () => defineEscapes(suite));
}

function defineEscapes(suite: EscapeSuite): void {
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
      await new Promise<void>((resolve) => {
        server.listen(typeof place === 'number' ? { port: place, host: '127.0.0.1' } : { path: place }, resolve);
      });
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

  describe('as the user of this test', () => describeRuns(suite, null));
  describeIf(canBecomeStranger(), 'as a user without rights', () => describeRuns(suite, STRANGER));

  it('would succeed without a sandbox, where that does no harm', async () => {
    const names = [...REAL_FOR_ANYBODY, ...REAL_WITH_SOCKETS, ...(IS_ROOT ? REAL_FOR_ROOT : [])];
    const failed: string[] = [];
    for (const name of names) {
      const { stdout } = await execute(program, [name, argumentOf(name) ?? '']).catch(
        (error: { stdout: string }) => error,
      );
      rmSync('/tmp/escape-node', { force: true });
      if (stdout !== 'done\n') failed.push(`${name}: ${stdout}`);
    }
    expect(failed).toEqual([]);
  });

  it.skipIf(!IS_ROOT)('would mount without a sandbox', () => {
    const { stdout } = spawnSync('unshare', ['-m', program, 'mount'], { encoding: 'utf8' });
    expect(stdout).toBe('done\n');
  });
}

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

function describeRuns({ kind }: EscapeSuite, user: number | null): void {
  const run = async (attempts: readonly Attempt[], isFiltered = true) => {
    const rootsFolder = join(folder, `roots-${user ?? 'own'}`);
    if (user !== null) prepareFor(user, rootsFolder);
    const request: RunnerRequest = { kind, program, rootsFolder, isFiltered, attempts };
    const words = [process.execPath, RUNNER, JSON.stringify(request)];
    const identity = ['--reuid', String(user), '--regid', String(user), '--clear-groups', '--inh-caps=-all'];
    const [file = '', ...rest] = user === null ? words : ['setpriv', ...identity, nodeFor(), ...words.slice(1)];
    const { stdout } = await execute(file, rest, {
      maxBuffer: 16 * 2 ** 20,
      env: { PATH: process.env['PATH'], HOME: folder },
    });
    const answer = JSON.parse(stdout) as RunnerAnswer;
    if ('reason' in answer) throw new Error(`no sandbox for this user: ${answer.reason}`);
    return { ends: new Map(answer.ends.map((end) => [end.label, end])), controls: answer.controls };
  };

  let ends: ReadonlyMap<string, AttemptEnd>;
  let unfiltered: ReadonlyMap<string, AttemptEnd>;
  let isGrouped = false;

  // A process each for all attempts: to start one takes longer than most of them.
  beforeAll(async () => {
    const bombs = ENDED.map(({ code: _code, ...attempt }) => ({ ...toAttempt(attempt.name), ...attempt }));
    const races = Array.from({ length: RACES }, (_, round) => ({
      ...toAttempt('leave-race'),
      label: `race ${round}`,
      limits: { processes: 32 },
    }));
    const all = await run([...CONTAINED.map(([name]) => toAttempt(name)), ...bombs, ...races]);
    ends = all.ends;
    isGrouped = all.controls.some((control) => control.startsWith('cgroup-v'));
    unfiltered = (await run([...HELD_WITHOUT_FILTER, ...HELD_BY_FILTER].map(toAttempt), false)).ends;
  }, RUN_TIMEOUT_MS);

  it.each(CONTAINED)('%s is contained: %s, by %s', (name, error) => {
    const { end, said } = ends.get(name) ?? {};
    expect(`${end} ${said?.split('\n').at(-1)}`).toMatch(new RegExp(`^EXIT_CODE denied ${error}$`));
  });

  it('are contained by namespaces, mounts and missing capabilities alone, where these are meant to', () => {
    const done = [...unfiltered.values()].filter(({ said }) => said === 'done').map(({ name }) => name);
    expect(done).toEqual(HELD_BY_FILTER);
  });

  it.each(ENDED)('$label is ended, and $code says by which limit', ({ label, code }) => {
    const { end, outputs = [] } = ends.get(label) ?? {};
    expect(end).toBe(isGrouped ? code : (UNGROUPED[code] ?? code));
    expect(JSON.stringify(outputs)).not.toContain('of the host');
  });

  it('files exchanged for links while they are collected give nothing of the host', () => {
    const races = [...ends.values()].filter(({ name }) => name === 'leave-race');
    expect(races).toHaveLength(RACES);
    for (const { end, outputs } of races) {
      expect(['completed', 'OUTPUT_REFUSED']).toContain(end);
      expect(JSON.stringify(outputs)).not.toContain('of the host');
    }
  });
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
