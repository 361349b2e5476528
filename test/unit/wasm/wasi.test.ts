import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../../src/wasm/runtime/wasi/wasi-constants.ts';
import { runWat } from '../../support/program.ts';
import { RESULT_AT, WasiHarness } from '../../support/wasi-harness.ts';

const CREATE = 1;
const DIRECTORY = 2;
const EXCLUSIVE = 4;
const TRUNCATE = 8;
const input = (path: string, text: string) => ({ path, bytes: new TextEncoder().encode(text) });

describe('WASI files', () => {
  it('reads inputs and writes outputs', () => {
    const wasi = new WasiHarness({ inputs: [input('/data/in.txt', 'hello')] });
    const source = wasi.open('data/in.txt');
    expect(wasi.read(source, 3)).toBe('hel');
    expect(wasi.read(source, 9)).toBe('lo');
    expect(wasi.read(source, 9)).toBe('');
    expect(wasi.call('path_create_directory', 3, ...wasi.path('output/deep'))).toBe(0);
    for (const name of ['output/z', 'output/deep/a'])
      expect(wasi.write(wasi.open(name, CREATE), name)).toBe(name.length);
    expect(wasi.write(wasi.open('elsewhere', CREATE), 'not an output')).toBe(13);
    expect(wasi.outputs()).toEqual({ '/output/deep/a': 'output/deep/a', '/output/z': 'output/z' });
    expect(Object.keys(wasi.outputs())).toEqual(['/output/deep/a', '/output/z']);
  });

  it('leaves the bytes of an input alone when its copy is written to', () => {
    const original = input('/in', 'hello');
    const wasi = new WasiHarness({ inputs: [original] });
    expect(wasi.write(wasi.open('in'), 'J')).toBe(1);
    expect(wasi.read(wasi.open('in'), 9)).toBe('Jello');
    expect(new TextDecoder().decode(original.bytes)).toBe('hello');
  });

  it.each([
    ['/etc/passwd', ERRNO.notcapable],
    ['../etc/passwd', ERRNO.notcapable],
    ['data/../../etc/passwd', ERRNO.notcapable],
    ['missing/x', ERRNO.noent],
    ['data/in.txt/x', ERRNO.notdir],
    ['in\0valid', ERRNO.inval],
    ['x'.repeat(1100), ERRNO.nametoolong],
  ])('does not open %s', (path, errno) => {
    const wasi = new WasiHarness({ inputs: [input('/data/in.txt', 'x')] });
    expect(wasi.open(path, CREATE)).toBe(-errno);
  });

  it('keeps to the flags of open', () => {
    const wasi = new WasiHarness({ inputs: [input('/file', 'hello')] });
    expect(wasi.open('none')).toBe(-ERRNO.noent);
    expect(wasi.open('file', DIRECTORY)).toBe(-ERRNO.notdir);
    expect(wasi.open('file', CREATE | EXCLUSIVE)).toBe(-ERRNO.exist);
    expect(wasi.open('output', TRUNCATE)).toBe(-ERRNO.isdir);
    const readOnly = wasi.open('file', 0, { rights: 2n });
    expect(wasi.write(readOnly, 'x')).toBe(-ERRNO.notcapable);
    const append = wasi.open('file', 0, { fdflags: 1 });
    wasi.write(append, '!');
    expect(wasi.read(wasi.open('file'), 9)).toBe('hello!');
    wasi.open('file', TRUNCATE);
    expect(wasi.read(wasi.open('file'), 9)).toBe('');
  });

  it('seeks, tells, truncates and extends with zeros', () => {
    const wasi = new WasiHarness();
    const fd = wasi.open('f', CREATE);
    wasi.write(fd, 'abcdef');
    expect(wasi.call('fd_seek', fd, -2n, 2, RESULT_AT)).toBe(0);
    expect(wasi.data.getBigUint64(RESULT_AT, true)).toBe(4n);
    expect(wasi.read(fd, 9)).toBe('ef');
    expect(wasi.call('fd_seek', fd, -1n, 0, RESULT_AT)).toBe(ERRNO.inval);
    expect(wasi.call('fd_filestat_set_size', fd, 2n)).toBe(0);
    expect(wasi.call('fd_filestat_set_size', fd, 4n)).toBe(0);
    wasi.call('fd_seek', fd, 0n, 0, RESULT_AT);
    expect(wasi.read(fd, 9)).toBe('ab\0\0');
    expect(wasi.call('fd_tell', fd, RESULT_AT)).toBe(0);
    expect(wasi.data.getBigUint64(RESULT_AT, true)).toBe(4n);
  });

  it('renames, removes and refuses to lose a folder in itself', () => {
    const wasi = new WasiHarness();
    wasi.call('path_create_directory', 3, ...wasi.path('a'));
    wasi.call('path_create_directory', 3, ...wasi.path('a/b'));
    const rename = (from: string, to: string): number => {
      const [pointer, length] = wasi.path(from);
      new Uint8Array(wasi.data.buffer).set(Buffer.from(to), 2048);
      return wasi.call('path_rename', 3, pointer, length, 3, 2048, to.length);
    };
    expect(rename('a', 'a/b/c')).toBe(ERRNO.inval);
    expect(wasi.call('path_remove_directory', 3, ...wasi.path('a'))).toBe(ERRNO.notempty);
    expect(rename('a/b', 'moved')).toBe(0);
    expect(wasi.call('path_remove_directory', 3, ...wasi.path('a'))).toBe(0);
    expect(wasi.call('path_unlink_file', 3, ...wasi.path('moved'))).toBe(ERRNO.isdir);
    expect(wasi.call('path_remove_directory', 3, ...wasi.path('.'))).toBe(ERRNO.inval);
  });

  it('bounds the bytes, files, folders and descriptors of a program', () => {
    const wasi = new WasiHarness({ outputBytes: 0 });
    const fd = wasi.open('big', CREATE);
    expect(wasi.call('fd_filestat_set_size', fd, BigInt(64 * 1024 * 1024))).toBe(0);
    expect(wasi.write(wasi.open('more', CREATE), 'x')).toBe(-ERRNO.nospc);
    let depth = 0;
    for (let path = 'd'; wasi.call('path_create_directory', 3, ...wasi.path(path)) === 0; path += '/d') depth++;
    expect(depth).toBe(64);
    let opened = 0;
    while (wasi.open('big') >= 0) opened++;
    expect(opened).toBeLessThan(1024);
    expect(wasi.open('big')).toBe(-ERRNO.mfile);
  });

  it('lists folders in order of creation and can go on from a cookie', () => {
    const wasi = new WasiHarness({ inputs: [input('/b', ''), input('/a', '')] });
    const list = (cookie: bigint): string => {
      expect(wasi.call('fd_readdir', 3, 4096, 4096, cookie, RESULT_AT)).toBe(0);
      return wasi.text(4096, wasi.data.getUint32(RESULT_AT, true)).replace(/[^a-z.]+/g, ' ');
    };
    expect(list(0n).trim()).toMatch(/^\. +\.\. +b +a +output$/);
    expect(list(3n)).toMatch(/a +output/);
  });

  it('has no links and no sockets', () => {
    const wasi = new WasiHarness({ inputs: [input('/a', '')] });
    expect(wasi.call('path_symlink', 0, 0, 3, 0, 0)).toBe(ERRNO.notsup);
    expect(wasi.call('path_link', 3, 0, 0, 0, 3, 0, 0)).toBe(ERRNO.notsup);
    for (const name of ['sock_accept', 'sock_recv', 'sock_send', 'sock_shutdown']) {
      expect(wasi.call(name, 3, 0, 0, 0, 0, 0), name).toBe(ERRNO.nosys);
    }
  });

  it('shows the preopened root and nothing of the host in file status', () => {
    const wasi = new WasiHarness();
    expect(wasi.call('fd_prestat_get', 3, RESULT_AT)).toBe(0);
    expect(wasi.call('fd_prestat_dir_name', 3, 200, 1)).toBe(0);
    expect(wasi.text(200, 1)).toBe('/');
    expect(wasi.call('fd_prestat_get', 4, RESULT_AT)).toBe(ERRNO.badf);
    expect(wasi.call('path_filestat_get', 3, 0, ...wasi.path('output'), 300)).toBe(0);
    expect([0, 1, 2].map((index) => wasi.data.getBigUint64(340 + index * 8, true))).toEqual([0n, 0n, 0n]);
  });
});

describe('WASI clocks, randomness and waiting', () => {
  it('shows a time that follows from the calls alone', () => {
    const times = (): bigint[] => {
      const wasi = new WasiHarness();
      return [0, 1, 0].map((id) => {
        expect(wasi.call('clock_time_get', id, 0n, RESULT_AT)).toBe(0);
        return wasi.data.getBigUint64(RESULT_AT, true);
      });
    };
    expect(times()).toEqual([1577836800000000000n, 1577836800001000000n, 1577836800002000000n]);
    expect(times()).toEqual(times());
  });

  it('sleeps without waiting', () => {
    const wasi = new WasiHarness();
    const before = performance.now();
    wasi.data.setBigUint64(256 + 24, 3_600_000_000_000n, true);
    expect(wasi.call('poll_oneoff', 256, 512, 1, RESULT_AT)).toBe(0);
    expect(wasi.data.getUint32(RESULT_AT, true)).toBe(1);
    wasi.call('clock_time_get', 1, 0n, RESULT_AT);
    expect(wasi.data.getBigUint64(RESULT_AT, true)).toBe(1577836800000000000n + 3_600_000_000_000n);
    expect(performance.now() - before).toBeLessThan(1000);
  });

  it('draws from the seed', () => {
    const draw = (seed: number): string => {
      const wasi = new WasiHarness({ seed: new Uint8Array(32).fill(seed) });
      wasi.call('random_get', 256, 16);
      return Buffer.from(wasi.text(256, 16)).toString('hex');
    };
    expect(draw(1)).toBe(draw(1));
    expect(draw(1)).not.toBe(draw(2));
  });

  it('gives arguments and environment of the job and nothing else', () => {
    const wasi = new WasiHarness({ arguments: ['ä'], environment: [['A', 'b']] });
    wasi.call('args_sizes_get', 0, 4);
    expect([wasi.data.getUint32(0, true), wasi.data.getUint32(4, true)]).toEqual([2, 11]);
    wasi.call('args_get', 16, 256);
    expect(wasi.text(256, 11)).toBe('program\0ä\0');
    wasi.call('environ_sizes_get', 0, 4);
    expect(wasi.data.getUint32(0, true)).toBe(1);
    wasi.call('environ_get', 16, 256);
    expect(wasi.text(256, 4)).toBe('A=b\0');
  });

  it('turns writes to stdout and stderr into lines', () => {
    const wasi = new WasiHarness();
    wasi.write(1, 'one\ntw');
    wasi.write(2, 'problem\n');
    wasi.write(1, 'o\nthree');
    wasi.flush();
    expect(wasi.logs).toEqual(['stdout: one', 'stderr: problem', 'stdout: two', 'stdout: three']);
  });
});

describe('WASI programs', () => {
  const program = (body: string, imports = ''): string => `(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) ${imports}
    (memory (export "memory") 1) (func (export "_start") ${body}))`;

  it('complete by returning or by exit code 0', () => {
    expect(runWat('wasi', program('')).outcome).toEqual({ kind: 'completed' });
    expect(runWat('wasi', program('(call $exit (i32.const 0)) unreachable')).outcome).toEqual({ kind: 'completed' });
  });

  it('fail with their exit code', () => {
    expect(runWat('wasi', program('(call $exit (i32.const 42))')).outcome).toEqual({
      kind: 'program-failed',
      code: 'EXIT_CODE',
      detail: '42',
    });
  });

  it('fail with the limit of outputs they pass, whatever they exit with', () => {
    const imports = `(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $resize (param i32 i64) (result i32)))
      (data (i32.const 100) "output/x")`;
    const body = `(drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 8) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 0)))
      (drop (call $resize (i32.load (i32.const 0)) (i64.const 1001))) (call $exit (i32.const 3))`;
    const wat = program(body, `${imports.replace(/\(data.*\)/, '')}`).replace(
      '(func (export',
      '(data (i32.const 100) "output/x") (func (export',
    );
    expect(runWat('wasi', wat, { outputBytes: 1000 }).outcome).toMatchObject({ code: 'OUTPUT_LIMIT' });
    const run = runWat('wasi', wat, { outputBytes: 1001 });
    expect(run.outcome).toMatchObject({ code: 'EXIT_CODE' });
    expect(run.outputs.map((file) => file.bytes.length)).toEqual([1001]);
  });

  it('are trapped by a pointer beyond memory', () => {
    const imports = '(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))';
    const run = runWat('wasi', program('(drop (call $random (i32.const 65530) (i32.const 100)))', imports));
    expect(run.outcome).toMatchObject({ code: 'TRAP' });
  });
});
