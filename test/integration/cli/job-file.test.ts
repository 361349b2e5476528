import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadJobFile } from '../../../src/cli/job-file/load-job-file.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { affineModel } from '../../support/onnx-models.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';
import { runCommandLine } from '../../support/run-cli.ts';

/** (module (memory (export "memory") 1) (func (export "_start"))) */
const MODULE = new Uint8Array(
  Buffer.from(
    '0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b',
    'hex',
  ),
);
const LEAST = 'name: a\nworkload: {kind: wasm, module: ./a.wasm, abi: wasi}\n';

interface Problem {
  readonly severity: string;
  readonly line: number;
  readonly field: string;
  readonly message: string;
}

async function validate(text: string, files: Readonly<Record<string, Uint8Array | string>> = { 'a.wasm': MODULE }) {
  await using folder = await createTemporaryFolder();
  await mkdir(join(folder.path, 'data'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder.path, name), content);
  await writeFile(join(folder.path, 'job.yaml'), text);
  const { exitCode, stdout } = await runCommandLine(['job', 'validate', 'job.yaml', '--json'], folder.path);
  const { problems, isValid } = JSON.parse(stdout) as { problems: Problem[]; isValid: boolean };
  return { exitCode, problems, isValid };
}

describe('job init', () => {
  it('writes a file that job validate takes, but for the module that is not there yet', async () => {
    await using folder = await createTemporaryFolder();
    expect((await runCommandLine(['job', 'init', 'job.yaml'], folder.path)).exitCode).toBe(0);
    const first = await runCommandLine(['job', 'validate', 'job.yaml'], folder.path);
    expect(first.exitCode).toBe(2);
    expect(first.stdout).toMatch(/workload\.module: .*job\.wasm does not exist/);
    await writeFile(join(folder.path, 'job.wasm'), MODULE);
    const second = await runCommandLine(['job', 'validate', 'job.yaml'], folder.path);
    expect(second.exitCode, second.stdout).toBe(0);
  });

  it('writes one of a model that job validate takes, once the model is there and no garbage', async () => {
    await using folder = await createTemporaryFolder();
    await runCommandLine(['job', 'init', 'job.yaml', '--kind', 'inference'], folder.path);
    await mkdir(join(folder.path, 'items'));
    await writeFile(join(folder.path, 'items/a.npy'), 'x');
    const missing = await runCommandLine(['job', 'validate', 'job.yaml'], folder.path);
    expect(missing.stdout).toMatch(/workload\.model: .*model\.onnx does not exist/);
    await writeFile(join(folder.path, 'model.onnx'), 'garbage');
    const garbage = await runCommandLine(['job', 'validate', 'job.yaml'], folder.path);
    expect(garbage.exitCode).toBe(2);
    expect(garbage.stdout).toMatch(/workload\.model: .*it is no ONNX model/);
    await writeFile(join(folder.path, 'model.onnx'), affineModel());
    const taken = await runCommandLine(['job', 'validate', 'job.yaml'], folder.path);
    expect(taken.exitCode, taken.stdout).toBe(0);
  });

  it('prints the same if no file is named', async () => {
    await using folder = await createTemporaryFolder();
    await runCommandLine(['job', 'init', 'job.yaml'], folder.path);
    const { exitCode, stdout } = await runCommandLine(['job', 'init'], folder.path);
    expect(exitCode).toBe(0);
    expect(stdout).toBe(await readFile(join(folder.path, 'job.yaml'), 'utf8'));
  });

  it('says how urgent and how secret a job is', async () => {
    await using folder = await createTemporaryFolder();
    await writeFile(join(folder.path, 'a.wasm'), MODULE);
    await writeFile(join(folder.path, 'job.yaml'), `${LEAST}priority: high\nprivate: true\n`);
    const text = await runCommandLine(['job', 'validate', 'job.yaml'], folder.path);
    expect(text.stdout).toMatch(/priority high; private: encrypted/);
    const json = await runCommandLine(['job', 'validate', 'job.yaml', '--json'], folder.path);
    expect(JSON.parse(json.stdout)).toMatchObject({ priority: 'high', private: true, isValid: true });
  });

  it('warns of snapshots of a private job that are not sealed', async () => {
    const { exitCode, problems } = await validate(
      `${LEAST}private: true\ncheckpoints: {everyRounds: 1, sealed: false}\n`,
    );
    expect(exitCode).toBe(0);
    expect(problems).toMatchObject([{ severity: 'warning', field: 'checkpoints.sealed' }]);
  });

  it('never overwrites', async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'mine.yaml');
    await writeFile(path, 'mine');
    const { exitCode, stderr } = await runCommandLine(['job', 'init', 'mine.yaml', '--kind', 'wasm'], folder.path);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('JOB_FILE_EXISTS');
    expect(await readFile(path, 'utf8')).toBe('mine');
  });

  it('says where it cannot write', async () => {
    await using folder = await createTemporaryFolder();
    const { exitCode, stderr } = await runCommandLine(['job', 'init', 'absent/job.yaml'], folder.path);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('JOB_FILE_UNWRITABLE');
  });
});

describe('job validate', () => {
  it('exits 0 for a valid job', async () => {
    expect(await validate(LEAST)).toEqual({ exitCode: 0, problems: [], isValid: true });
  });

  it('exits 2 with every problem', async () => {
    const { exitCode, problems, isValid } = await validate('nam: x\nreplicas: 99\n');
    expect({ exitCode, isValid }).toEqual({ exitCode: 2, isValid: false });
    expect(problems.map(({ field }) => field)).toEqual(['name', 'workload', 'nam', 'replicas']);
  });

  it.each([
    ['text', 'hello, world'],
    ['nothing', ''],
    ['the text format', '(module)'],
    ['a component', Uint8Array.of(0, 0x61, 0x73, 0x6d, 13, 0, 1, 0)],
  ])('refuses a module that is %s', async (_, content) => {
    const { exitCode, problems } = await validate(LEAST, { 'a.wasm': content });
    expect(exitCode).toBe(2);
    expect(problems).toMatchObject([{ line: 2, field: 'workload.module' }]);
    expect(problems[0]?.message).toMatch(/no WebAssembly module/);
  });

  it('refuses a module that is damaged, or that does not fit the ABI or the memory', async () => {
    const cut = await validate(LEAST, { 'a.wasm': MODULE.slice(0, -3) });
    const otherAbi = await validate(LEAST.replace('wasi', 'fogproof'));
    const large = await validate(LEAST, { 'a.wasm': MODULE.map((byte, at) => (at === 22 ? 127 : byte)) });
    expect(cut.problems).toMatchObject([{ field: 'workload.module' }]);
    expect(otherAbi.problems[0]?.message).toContain('fogproof_init');
    expect(large.exitCode).toBe(0);
    const tooLarge = `${LEAST}resources: {memory: 1MiB}\n`;
    expect((await validate(tooLarge, { 'a.wasm': MODULE.map((byte, at) => (at === 22 ? 127 : byte)) })).exitCode).toBe(
      2,
    );
  });

  it('names inputs that are not there, at their line', async () => {
    const { problems } = await validate(`${LEAST}inputs:\n  /a: ./a.csv\n  /b: ./data\n`);
    expect(problems.map(({ line, field }) => `${line} ${field}`)).toEqual(['4 inputs./a']);
  });

  it('warns, and exits 0, where the time of a run is above the deadline', async () => {
    const { exitCode, problems } = await validate(`${LEAST}deadline: 1m\nresources: {wallTime: 2m}\n`);
    expect(exitCode).toBe(0);
    expect(problems).toMatchObject([{ severity: 'warning', line: 3, field: 'deadline' }]);
  });

  it.each([
    ['checkpoints: {everySteps: 1.5}', 'checkpoints.everySteps'],
    ['checkpoints: {everyFuel: 1K}', 'checkpoints.everyFuel'],
    ['checkpoints: {evrySteps: 3}', 'checkpoints.evrySteps'],
    ['checkpoints: {everySteps: 3, everyFuel: 1G}', 'checkpoints'],
    ['checkpoints: 5', 'checkpoints'],
  ])('names the field that is wrong in %s', async (fields, field) => {
    const { exitCode, problems } = await validate(`${LEAST.replace('abi: wasi', 'abi: fogproof')}${fields}\n`);
    expect(exitCode).toBe(2);
    expect(problems.map((problem) => problem.field)).toContain(field);
  });

  it('warns where looking for what has changed would take more than a tenth of the run time', async () => {
    const job = (every: string, memory: string): string =>
      `${LEAST.replace('abi: wasi', 'abi: fogproof')}checkpoints: {everyFuel: ${every}}\nresources: {memory: ${memory}}\n`;
    const isWarned = async (every: string, memory: string): Promise<boolean> => {
      const { problems } = await validate(job(every, memory));
      return problems.some(({ field }) => field === 'checkpoints.everyFuel');
    };
    expect([await isWarned('1G', '64MiB'), await isWarned('1G', '256MiB'), await isWarned('4G', '256MiB')]).toEqual([
      false,
      true,
      false,
    ]);
  });

  it('exits 2 for a file that is not there or too large', async () => {
    await using folder = await createTemporaryFolder();
    await writeFile(join(folder.path, 'large.yaml'), '#'.repeat(300_000));
    const missing = await runCommandLine(['job', 'validate', 'absent.yaml'], folder.path);
    const large = await runCommandLine(['job', 'validate', 'large.yaml'], folder.path);
    expect([missing.exitCode, large.exitCode]).toEqual([2, 2]);
    expect(missing.stderr + large.stderr).toMatch(/JOB_FILE_UNREADABLE[^]*JOB_FILE_TOO_LARGE/);
  });
});

describe('input folders', () => {
  async function load(folder: string) {
    await writeFile(join(folder, 'job.yaml'), `${LEAST}inputs: {/in: ./data}\n`);
    await writeFile(join(folder, 'a.wasm'), MODULE);
    return await loadJobFile(join(folder, 'job.yaml'), { nowMs: 0, random: new SystemRandom() });
  }

  it('become the files in them, in order of their paths', async () => {
    await using folder = await createTemporaryFolder();
    await mkdir(join(folder.path, 'data/sub'), { recursive: true });
    for (const name of ['b.csv', 'a.csv', 'sub/c.csv']) await writeFile(join(folder.path, 'data', name), name);
    const { files } = await load(folder.path);
    expect(files.flatMap((file) => (file.role === 'input' ? [file.jobPath] : []))).toEqual([
      '/in/a.csv',
      '/in/b.csv',
      '/in/sub/c.csv',
    ]);
  });

  it('are refused with links in them', async () => {
    await using folder = await createTemporaryFolder();
    await mkdir(join(folder.path, 'data'));
    await symlink('/etc/passwd', join(folder.path, 'data/passwd'));
    await expect(load(folder.path)).rejects.toMatchObject({ code: 'JOB_FILE_UNREADABLE' });
  });

  it('are refused with too many files', async () => {
    await using folder = await createTemporaryFolder();
    await mkdir(join(folder.path, 'data'));
    for (let index = 0; index < 257; index += 1) await writeFile(join(folder.path, 'data', `${index}`), '');
    await expect(load(folder.path)).rejects.toThrow(/at most 256/);
  });
});
