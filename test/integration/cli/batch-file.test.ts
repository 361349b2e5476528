import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BatchItem, expandBatch } from '../../../src/cli/job-file/batch/expand-batch.ts';
import { openJobFile } from '../../../src/cli/job-file/load-job-file.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';
import { runCommandLine } from '../../support/run-cli.ts';
import { programOf, seedOf } from '../../support/workload.ts';

const MODULE = new Uint8Array(
  Buffer.from(
    '0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b',
    'hex',
  ),
);

type Files = Readonly<Record<string, string>>;

async function inFolder<Value>(files: Files, run: (folder: string) => Promise<Value>): Promise<Value> {
  await using folder = await createTemporaryFolder();
  await writeFile(join(folder.path, 'a.wasm'), MODULE);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder.path, name), content);
  return await run(folder.path);
}

async function expand(text: string, files: Files = {}): Promise<BatchItem[]> {
  return await inFolder({ ...files, 'job.yaml': text }, async (folder) => {
    const items: BatchItem[] = [];
    const opened = await openJobFile(join(folder, 'job.yaml'));
    for await (const item of expandBatch(opened, { nowMs: 0, random: new SystemRandom() })) items.push(item);
    return items;
  });
}

const TEMPLATE = `
name: "job \${index}"
workload:
  kind: wasm
  module: ./a.wasm
  abi: wasi
  arguments: ["--rate", "\${rate}"]
  environment: { PART: "\${part}" }
  seed: "\${index}"
inputs:
  /data.csv: "./\${part}.csv"
`;
const DATA = { 'x.csv': '1', 'y.csv': '22' };

describe('a batch file', () => {
  it('makes a job of each row, from a CSV file', async () => {
    const rows = 'rate,part\n0.1,x\n0.2,y\n';
    const items = await expand(`${TEMPLATE}batch: { from: rows.csv }\n`, { ...DATA, 'rows.csv': rows });
    expect(items.map(({ plan }) => plan.draft.name)).toEqual(['job 0', 'job 1']);
    expect(items.map(({ plan }) => programOf(plan).arguments)).toEqual([
      ['--rate', '0.1'],
      ['--rate', '0.2'],
    ]);
    expect(programOf(items[1]?.plan).environment).toEqual({ PART: 'y' });
    expect(items[1]?.plan.files.at(-1)?.path).toMatch(/\/y\.csv$/);
    expect(items.map(({ plan }) => seedOf(plan)[31])).toEqual([0, 1]);
  });

  it('makes the same of JSON Lines, and of a list in the file itself', async () => {
    const jsonl = await expand(`${TEMPLATE}batch: { from: rows.jsonl }\n`, {
      ...DATA,
      'rows.jsonl': '{"rate":0.1,"part":"x"}\n{"rate":0.2,"part":"y"}\n',
    });
    const each = await expand(`${TEMPLATE}batch: { each: [{rate: 0.1, part: x}, {rate: 0.2, part: y}] }\n`, DATA);
    const describeItems = (items: readonly BatchItem[]) => items.map(({ plan }) => [plan.draft.name, plan.workload]);
    expect(describeItems(jsonl)).toEqual(describeItems(each));
  });

  it('repeats each row as often as it says, and tells the repetitions apart', async () => {
    const text = TEMPLATE.replace('job ${index}', 'job ${index} of ${rate}, run ${repeat}');
    const items = await expand(`${text}batch: { count: 2, each: [{rate: 1, part: x}, {rate: 2, part: y}] }\n`, DATA);
    expect(items.map(({ index, plan }) => [index, plan.draft.name])).toEqual([
      [0, 'job 0 of 1, run 0'],
      [1, 'job 1 of 1, run 1'],
      [2, 'job 2 of 2, run 0'],
      [3, 'job 3 of 2, run 1'],
    ]);
  });

  it('may only count', async () => {
    const text = 'name: a${index}\nworkload: {kind: wasm, module: ./a.wasm, abi: wasi}\nbatch: {count: 1000}\n';
    const items = await expand(text);
    expect(items).toHaveLength(1000);
    expect(items.at(-1)).toMatchObject({ index: 999, hasSeed: false, plan: { draft: { name: 'a999' } } });
    const seeds = new Set(items.map(({ plan }) => Buffer.from(seedOf(plan)).toString('hex')));
    expect(seeds.size).toBe(1000);
  });

  it('says of every bad row where it stands and what is wrong, up to ten', async () => {
    const rows = ['rate,part', '0.1,x', '0.2,zzz', ...Array.from({ length: 20 }, () => '1,nowhere')].join('\n');
    const failure = await expand(`${TEMPLATE}batch: { from: rows.csv }\n`, { ...DATA, 'rows.csv': rows }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'JOB_FILE_BAD_ROWS' });
    const { message } = failure as Error;
    expect(message).toMatch(/rows\.csv:3: .*zzz\.csv/);
    expect(message.split('\n')).toHaveLength(11);
  });

  it.each([
    ['each: [{rate: 1, part: x}, {part: y}]', /job\.yaml:13: there is no value for \$\{rate\}; it has: part, index/],
    ['from: rows.txt', /\.csv or \.jsonl/],
    ['from: absent.csv', /cannot read .*absent\.csv/],
    ['from: empty.csv', /empty\.csv:1: it has no rows/],
    ['from: bad.jsonl', /bad\.jsonl:2: it is not JSON/],
    ['count: 100000\n  each: [{rate: 1, part: x}, {rate: 1, part: y}]', /more than 100000 jobs/],
  ])('with %s is refused', async (batch, message) => {
    const files = { ...DATA, 'empty.csv': 'rate,part\n', 'bad.jsonl': '{"rate":1,"part":"x"}\nx\n', 'rows.txt': '' };
    await expect(expand(`${TEMPLATE}batch:\n  ${batch}\n`, files)).rejects.toThrow(message);
  });

  it('has a seed that a variable gives, or it is refused', async () => {
    const rows = (seed: string) =>
      `${TEMPLATE.replace('"${index}"', '"${s}"')}batch: { each: [{rate: 1, part: x, s: ${seed}}] }\n`;
    expect(seedOf((await expand(rows('258'), DATA))[0]?.plan)[30]).toBe(1);
    await expect(expand(rows('abc'), DATA)).rejects.toThrow(/workload\.seed: expected a whole number/);
  });

  it.each([
    ['batch: {}', /needs count, each or from/],
    ['batch: {from: a.csv, each: [{a: 1}]}', /exclude each other/],
    ['batch: {count: 0}', /found 0/],
    ['batch: {each: [{index: 1}]}', /variable/],
    ['batch: {each: [{a: [1]}]}', /text, a number/],
    ['batch: {cuont: 1}', /not known/],
  ])('with %s is no valid file', async (batch, message) => {
    await expect(expand(`${TEMPLATE}${batch}\n`, DATA)).rejects.toThrow(message);
  });

  it('alone has variables: elsewhere a seed like that is refused, and text stays as it is', async () => {
    const text = 'name: "${x}"\nworkload: {kind: wasm, module: ./a.wasm, abi: wasi, seed: "${x}"}\n';
    await inFolder({ 'job.yaml': text }, async (folder) => {
      await expect(openJobFile(join(folder, 'job.yaml'))).rejects.toThrow(/only a batch has variables/);
    });
    await inFolder({ 'job.yaml': text.replace(', seed: "${x}"', '') }, async (folder) => {
      expect((await openJobFile(join(folder, 'job.yaml'))).jobFile.name).toBe('${x}');
    });
  });
});

describe('job validate', () => {
  const validate = (files: Files) =>
    inFolder(files, (folder) => runCommandLine(['job', 'validate', 'job.yaml'], folder));

  it('goes through all jobs of a batch', async () => {
    const good = await validate({ ...DATA, 'job.yaml': `${TEMPLATE}batch: {count: 3, each: [{rate: 1, part: x}]}\n` });
    expect(good).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('valid batch of 3 jobs') });
    const bad = await validate({ ...DATA, 'job.yaml': `${TEMPLATE}batch: {each: [{rate: 1, part: zz}]}\n` });
    expect(bad).toMatchObject({ exitCode: 2, stdout: expect.stringMatching(/job\.yaml:12: .*zz\.csv/) });
  });
});
