import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { INSTRUMENTER } from '../../../src/wasm/constants.ts';
import { instrument } from '../../../src/wasm/instrument/instrument.ts';
import { steppingWat } from '../../support/program.ts';
import { runCommandLine } from '../../support/run-cli.ts';
import { assembleWat } from '../../support/wat.ts';

const STEPPING = assembleWat(steppingWat({ rest: '(global $g (mut i32) (i32.const 0))' }));
const REFUSED = assembleWat(
  steppingWat({
    rest: '(table $t 1 funcref) (global (mut v128) (v128.const i64x2 0 0))',
    step: '(table.set $t (i32.const 0) (ref.null func)) (i32.const 1)',
  }),
);
const WASI = assembleWat('(module (memory (export "memory") 1) (func (export "_start")))');

describe('wasm inspect', () => {
  let folder: string;
  const run = async (...words: readonly string[]) => await runCommandLine(['wasm', 'inspect', ...words], folder);
  const runJson = async (...words: readonly string[]) => {
    const { exitCode, stdout } = await run(...words, '--json');
    return { exitCode, value: JSON.parse(stdout) as { isCached: boolean } & Record<string, unknown> };
  };
  const cached = async () => await readdir(join(folder, 'cache/instrumented')).catch(() => []);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-test-'));
    await Promise.all([
      writeFile(join(folder, 'stepping.wasm'), STEPPING),
      writeFile(join(folder, 'refused.wasm'), REFUSED),
      writeFile(join(folder, 'wasi.wasm'), WASI),
    ]);
  });
  afterEach(async () => await rm(folder, { recursive: true, force: true }));

  it('finds the ABI by itself and exits with 0 for a module that fits', async () => {
    const { exitCode, stdout } = await run('stepping.wasm');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/fits +the fogproof ABI\n/);
    expect(stdout).toMatch(/stepping +yes: it can be checkpointed/);
    expect(stdout).toMatch(/mutable globals +0 i32\n/);
    expect(stdout).toContain(
      '1 page (64 KiB), no maximum declared; up to 4096 pages (256 MiB) under the limit of 256 MiB',
    );
    expect(stdout).toContain('fogproof metric  (i32, i32, f64) -> ()');
    expect(stdout).toContain(INSTRUMENTER);
    expect((await runJson('wasi.wasm')).value).toMatchObject({ abi: 'wasi', isAccepted: true, isStepping: false });
  });

  it('exits with 1 and gives every reason for one that does not', async () => {
    const { exitCode, stdout } = await run('refused.wasm');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('refused by the fogproof ABI: 2 reasons');
    expect(stdout).toContain('mutable globals of vector or reference type');
    expect(stdout).toMatch(/changing tables or passive segments.*function 8\s+\(fogproof_step\)/s);
    const { value } = await runJson('stepping.wasm', '--abi', 'wasi');
    expect(value).toMatchObject({
      isAccepted: false,
      abis: { wasi: { kind: 'refused' }, fogproof: { kind: 'accepted' } },
    });
  });

  it('writes the module as providers run it, by the limit that is given', async () => {
    const target = join(folder, 'out.wasm');
    const { exitCode, value } = await runJson('stepping.wasm', '--memory', '2MiB', '--output', 'out.wasm');
    const written = new Uint8Array(await readFile(target));
    expect(exitCode).toBe(0);
    expect(written).toEqual(instrument(STEPPING, { maxPages: 32, isStepping: true }).bytes);
    expect(value).toMatchObject({
      output: target,
      abis: { fogproof: { sha256: createHash('sha256').update(written).digest('hex') } },
    });
  });

  it('refuses at once what is no regular file: a device has no end', async () => {
    for (const path of ['/dev/zero', '/dev/null']) {
      const { exitCode, stderr } = await runCommandLine(['wasm', 'inspect', path], '/');
      expect([path, exitCode]).toEqual([path, 2]);
      expect(stderr).toContain('is no regular file');
    }
  });

  it('writes nothing of a module that is refused', async () => {
    const { exitCode, stderr } = await run('refused.wasm', '--output', 'out.wasm');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('nothing written');
    expect(await readdir(folder)).not.toContain('out.wasm');
  });

  it('takes the rewritten module from the cache, and makes a damaged one anew', async () => {
    const first = await runJson('stepping.wasm');
    const again = await runJson('stepping.wasm');
    expect([first.value.isCached, again.value.isCached]).toEqual([false, true]);
    expect({ ...again.value, isCached: false }).toEqual(first.value);
    const [name = ''] = await cached();
    const path = join(folder, 'cache/instrumented', name);
    const entry = await readFile(path);
    entry.fill(0, 200, 210);
    await writeFile(path, entry);
    const repaired = await runJson('stepping.wasm', '--output', 'out.wasm');
    expect(repaired.value.isCached).toBe(false);
    expect(new Uint8Array(await readFile(join(folder, 'out.wasm')))).toEqual(
      instrument(STEPPING, { maxPages: 4096, isStepping: true }).bytes,
    );
    expect(await cached()).toEqual([name]);
  });

  it('makes no data folder, and keeps nothing of a module that is refused', async () => {
    await run('refused.wasm');
    expect(await cached()).toEqual([]);
    const home = join(folder, 'nowhere');
    expect((await runCommandLine(['wasm', 'inspect', 'stepping.wasm', '--home', home], folder)).exitCode).toBe(0);
    expect(await readdir(folder)).not.toContain('nowhere');
  });

  it.each([
    ['a file that is not there', ['none.wasm'], 2, 'there is no such file'],
    ['a folder', ['.'], 2, 'it is a folder'],
    ['a size that is none', ['stepping.wasm', '--memory', 'much'], 2, 'not a size'],
    ['the module as its own output', ['stepping.wasm', '--output', 'stepping.wasm'], 2, 'names the module itself'],
    ['an ABI that is none', ['stepping.wasm', '--abi', 'posix'], 2, 'Allowed choices'],
    ['an output that cannot be written', ['stepping.wasm', '--output', 'none/out.wasm'], 5, 'CLI_MODULE_UNWRITABLE'],
  ])('says what is wrong with %s', async (_name, words, expected, text) => {
    const { exitCode, stderr } = await run(...words);
    expect(exitCode).toBe(expected);
    expect(stderr).toContain(text);
  });

  it('judges bytes that are no module at all', async () => {
    await writeFile(join(folder, 'text.wasm'), '(module)');
    const { exitCode, stdout } = await run('text.wasm');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('not a WebAssembly module');
    expect(stdout).toContain('not looked at');
  });
});
