import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadJobFile } from '../../../src/cli/job-file/load-job-file.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';
import { runCommandLine } from '../../support/run-cli.ts';

/** (module (memory (export "memory") 1) (func (export "_start"))) */
const MODULE = Buffer.from(
  '0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b',
  'hex',
);
const MEASUREMENT = 'ab'.repeat(48);
const LEAST = 'name: a\nworkload: {kind: wasm, module: ./a.wasm, abi: wasi}\n';
const INLINE = `${LEAST}confidential: {policy: {simulated: {measurements: [${MEASUREMENT}]}}}\n`;

async function inFolder<Value>(files: Readonly<Record<string, string>>, use: (folder: string) => Promise<Value>) {
  await using folder = await createTemporaryFolder();
  await mkdir(join(folder.path, 'policies'));
  await writeFile(join(folder.path, 'a.wasm'), MODULE);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder.path, name), content);
  return await use(folder.path);
}

interface Validated {
  readonly confidential: object | null;
  readonly problems: readonly { readonly field: string; readonly message: string }[];
}
const read = (stdout: string): Validated => JSON.parse(stdout) as Validated;

const validate = (text: string, files: Readonly<Record<string, string>> = {}, flags: readonly string[] = []) =>
  inFolder({ ...files, 'job.yaml': text }, (folder) =>
    runCommandLine(['job', 'validate', 'job.yaml', ...flags], folder),
  );

const plan = (text: string, files: Readonly<Record<string, string>> = {}) =>
  inFolder({ ...files, 'job.yaml': text }, (folder) =>
    loadJobFile(join(folder, 'job.yaml'), { nowMs: 1_700_000_000_000, random: new SystemRandom() }),
  );

describe('a confidential job in a file', () => {
  it('says what will be asked for, what is sealed, what is not, and that simulated is no hardware', async () => {
    const { exitCode, stdout } = await validate(INLINE);
    expect(exitCode, stdout).toBe(0);
    expect(stdout).toContain('confidential: of SIMULATED; SIMULATED shows nothing of any hardware');
    expect(stdout).toContain('runs on providers of the class tee');
    expect(stdout).toMatch(/^sealed: .*inputs and outputs/m);
    expect(stdout).toMatch(/^not sealed: the module, arguments, environment/m);
    const json = read((await validate(INLINE, {}, ['--json'])).stdout);
    expect(json.confidential).toEqual({ kinds: ['simulated'], gpus: false });
  });

  it('has the class tee and no checkpoints by itself, and the policy as JSON, whether it was a file or not', async () => {
    const stepping = INLINE.replace('abi: wasi', 'abi: fogproof');
    const { draft } = await plan(`${stepping}resources: {fuel: 100G}\n`);
    expect(draft.capabilityClass).toBe('tee');
    expect(draft.checkpoints).toBeUndefined();
    const policy = JSON.stringify({ simulated: { measurements: [MEASUREMENT] } });
    expect(draft.confidential).toEqual({ policy });
    const file = `# ours\nsimulated:\n  measurements: [ ${MEASUREMENT} ]\n`;
    const named = await plan(`${LEAST}confidential: {policy: policies/ours.yaml}\n`, { 'policies/ours.yaml': file });
    expect(named.draft.confidential).toEqual({ policy });
    expect((await plan(LEAST)).draft).not.toHaveProperty('confidential');
  });

  it.each([
    ['capabilityClass: cpu', 'capabilityClass', 'class tee'],
    ['checkpoints: {everyFuel: 1G}', 'checkpoints', 'no checkpoints'],
    ['batch: {count: 2}', 'batch', 'one by one'],
  ])('cannot have %s', async (line, field, message) => {
    const text = `${INLINE.replace('abi: wasi', 'abi: fogproof')}${line}\n`;
    const { exitCode, stdout } = await validate(text, {}, ['--json']);
    expect(exitCode).toBe(2);
    const { problems } = read(stdout);
    expect(problems).toContainEqual(expect.objectContaining({ field, message: expect.stringContaining(message) }));
  });

  it.each([
    ['that is not there', 'policies/none.yaml', {}, 'no such file'],
    ['that is a folder', 'policies', {}, 'not a regular file'],
    ['that is neither YAML nor JSON', 'p', { p: '{' }, 'neither YAML nor JSON'],
    ['with a misspelt field', 'p', { p: '{"sgx":{"debugs":true}}' }, 'sgx'],
    ['of GPUs alone', 'p', { p: '{"nvidia":{}}' }, 'no section of an environment'],
  ])('cannot have a policy %s', async (_what, path, files, message) => {
    const { exitCode, stdout } = await validate(`${LEAST}confidential: {policy: ${path}}\n`, files, ['--json']);
    expect(exitCode).toBe(2);
    const [problem] = read(stdout).problems;
    expect(problem).toMatchObject({ field: 'confidential.policy', severity: 'error' });
    expect(problem?.message.toLowerCase()).toContain(message.toLowerCase());
  });
});
