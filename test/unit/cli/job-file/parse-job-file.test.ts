import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml, stringify } from 'yaml';
import { z } from 'zod';
import { renderProblem } from '../../../../src/cli/job-file/errors.ts';
import type { JobFileProblem } from '../../../../src/cli/job-file/interface.ts';
import { parseJobFile } from '../../../../src/cli/job-file/parse-job-file.ts';
import { COMMAND_TEMPLATE, WASM_TEMPLATE } from '../../../../src/cli/job-file/template.ts';
import { DEFAULT_FUEL, type JobFile, jobFileSchema, MAX_JOB_FILE_BYTES } from '../../../../src/domain/job-file.ts';
import { nearestName } from '../../../../src/lib/nearest-name.ts';

const LEAST = 'name: a\nworkload: {kind: wasm, module: a.wasm, abi: wasi}\n';
const LEAST_COMMAND = 'name: a\nworkload: { kind: command, root: host, program: /bin/a }\n';

function parseValid(text: string): JobFile {
  const parsed = parseJobFile(text);
  if (parsed.kind === 'invalid') throw new Error(parsed.problems.map(renderProblem).join('\n'));
  return parsed.jobFile;
}

function problemsOf(text: string): readonly JobFileProblem[] {
  const parsed = parseJobFile(text);
  return parsed.kind === 'invalid' ? parsed.problems : [];
}

describe('a valid job file', () => {
  it('needs a name and a workload; the rest has defaults', () => {
    expect(parseValid(LEAST)).toMatchObject({
      inputs: {},
      resources: { memory: 2 ** 28, wallTime: 300_000, output: 2 ** 26, logs: 2 ** 20 },
      replicas: 1,
      isolation: 'process',
      deadline: 3_600_000,
      retries: 3,
      priceCeiling: '0',
    });
  });

  it('may be JSON, with tabs', () => {
    const json = JSON.stringify({ name: 'a', workload: { kind: 'wasm', module: 'a.wasm', abi: 'wasi' } }, null, '\t');
    expect(parseValid(json)).toEqual(parseValid(LEAST));
  });

  it('may be the template of job init', () => {
    expect(parseValid(WASM_TEMPLATE)).toEqual({
      ...parseValid(LEAST),
      name: 'my-job',
      workload: { ...parseValid(LEAST).workload, module: './job.wasm' },
      resources: { ...parseValid(LEAST).resources, fuel: DEFAULT_FUEL },
    });
    expect(parseValid(COMMAND_TEMPLATE)).toEqual({
      ...parseValid(LEAST_COMMAND),
      name: 'my-job',
      workload: { ...parseValid(LEAST_COMMAND).workload, root: './root.tar.gz', program: '/bin/program' },
    });
  });

  it('may describe a command, which has limits of its own and no fuel', () => {
    expect(parseValid(LEAST_COMMAND)).toMatchObject({
      workload: {
        kind: 'command',
        root: 'host',
        arguments: [],
        environment: {},
        limits: { cpus: 1, processes: 64, scratch: 2 ** 26 },
      },
    });
    expect(parseValid(LEAST_COMMAND).resources.fuel).toBeUndefined();
  });

  it('may let a command train: compare its files, and begin with some', () => {
    const text = [
      'checkpoints: { everyRounds: 3 }',
      'comparisons: [{ path: /output/a, element: f32 }]',
      'inputs: { /checkpoint/model.bin: ./model.bin }',
    ].join('\n');
    expect(parseValid(`${LEAST_COMMAND}${text}\n`).checkpoints).toMatchObject({ everyRounds: 3 });
    expect(problemsOf(`${LEAST_COMMAND}inputs: { /fogproof/x: ./x }\n`)).toEqual([]);
  });

  it.each<readonly [string, string, RegExp]>([
    ['resources: { fuel: 1G }', 'resources.fuel', /a command has no fuel/],
    ['checkpoints: { everySteps: 3 }', 'checkpoints', /neither steps nor fuel.*everyRounds: 1/],
    ['checkpoints: { everyFuel: 3G }', 'checkpoints', /neither steps nor fuel/],
    ['checkpoints: { sealed: true }', 'checkpoints', /use everyRounds/],
    ['comparisons: [{ path: /output/a, element: f32 }]', 'comparisons', /add checkpoints: \{ everyRounds: 1 \}/],
    ['checkpoints: { everyRounds: 1 }\ninputs: { /fogproof/x: ./x }', 'inputs./fogproof/x', /its own \/fogproof/],
    ['inputs: { /tmp/x: ./x }', 'inputs./tmp/x', /its own \/tmp/],
    ['inputs: { /output: ./x }', 'inputs./output', /its own \/output/],
  ])('refuses of a command: %s', (text, field, message) => {
    const problems = problemsOf(`${LEAST_COMMAND}${text}\n`);
    expect(problems).toEqual([expect.objectContaining({ field, message: expect.stringMatching(message) })]);
  });

  it('takes numbers as people write them', () => {
    const { resources, priceCeiling } = parseValid(
      `${LEAST}resources: {memory: 64MiB, fuel: 2e9, wallTime: 1h30m, output: 1000, logs: 1_000}\npriceCeiling: 10\n`,
    );
    expect(resources).toEqual({ memory: 2 ** 26, fuel: 2e9, wallTime: 5_400_000, output: 1000, logs: 1000 });
    expect(priceCeiling).toBe('10');
  });
});

/** Text added to a valid file, and the problem that must be named: place, field, message, hint. */
const PROBLEMS: readonly (readonly [string, string, string, RegExp, RegExp])[] = [
  ['replica: 3', '3:1', 'replica', /not known/, /Did you mean 'replicas'\?/],
  ['whatever: 3', '3:1', 'whatever', /not known/, /Known here: .*workload/],
  ['resources: {memori: 1}', '3:13', 'resources.memori', /not known/, /'memory'/],
  ['resources:\n  memory: 12XB', '4:3', 'resources.memory', /expected a size such as 64MiB, found "12XB"/, /KiB, MiB/],
  ['resources:\n  memory: 1TiB', '4:3', 'resources.memory', /from 64 KiB to 64 GiB/, /MiB/],
  ['resources: {fuel: -1}', '3:13', 'resources.fuel', /found -1/, /2e9 or 2G/],
  ['resources: {fuel: 1.5}', '3:13', 'resources.fuel', /found 1.5/, /whole number/],
  ['resources: {wallTime: 30}', '3:13', 'resources.wallTime', /with a unit.*found 30/, /ms, s, m, h or d/],
  ['deadline: tomorrow', '3:1', 'deadline', /a duration/, /10m/],
  ['replicas: 17', '3:1', 'replicas', /found 17/, /from 1 to 16/],
  ['replicas: 3\nquorum: 1', '4:1', 'quorum', /more than half/, /Equal results/],
  ['replicas: 3\nquorum: 4', '4:1', 'quorum', /at most all/, /Equal results/],
  ['isolation: none', '3:1', 'isolation', /process or bubblewrap, found "none"/, /Weakest/],
  ['inputs: {data.csv: ./data.csv}', '3:10', 'inputs.data.csv', /absolute path/, /\/data.csv: .\/data.csv/],
  ['inputs: {/a/../b: ./data.csv}', '3:10', 'inputs./a/../b', /absolute path/, /relative to this file/],
  ['inputs: {/a: 7}', '3:10', 'inputs./a', /a path, or \{ blob, size \}/, /relative/],
  ['inputs: {/a: {blob: Qm, size: 1}}', '3:15', 'inputs./a.blob', /CID of a blob, found "Qm"/, /bafkrei/],
  ['priceCeiling: 12345678901234567890', '3:1', 'priceCeiling', /whole number/, /quotes/],
  ['name: b', '3:1', '', /unique/, /repeated names/],
  ['retries: [', '4:1', '', /sequence/, /brackets/],
];

describe('a problem', () => {
  it.each(PROBLEMS)('in %j stands at %s in %s', (...row) => {
    const [text, place, field, message, hint] = row;
    const problems = problemsOf(`${LEAST}${text}\n`);
    expect(problems).toHaveLength(1);
    const [problem] = problems;
    expect(`${problem?.line}:${problem?.column}`).toBe(place);
    expect(problem?.field).toBe(field);
    expect(problem?.message).toMatch(message);
    expect(problem?.hint).toMatch(hint);
  });

  it('is named with all others, in the order of the file', () => {
    const text =
      'nam: x\nworkload:\n  kind: wasm\n  module: 3\n  abi: x\n  arguments: [1]\n  environment: {A: 1}\n  seed: 0f\nreplicas: 3\nquorum: 9\n';
    expect(problemsOf(text).map(({ line, field }) => `${line} ${field}`)).toEqual([
      '1 name',
      '1 nam',
      '4 workload.module',
      '5 workload.abi',
      '6 workload.arguments.0',
      '7 workload.environment.A',
      '8 workload.seed',
      '10 quorum',
    ]);
  });

  it.each(['', '7', '- a', 'null', '"text"'])('is named for a document that is no map: %j', (text) => {
    expect(problemsOf(text)).not.toEqual([]);
  });

  it('is a file that is too large, or a bomb of aliases', () => {
    expect(problemsOf('#'.repeat(MAX_JOB_FILE_BYTES + 1))[0]?.message).toMatch(/larger than/);
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let level = 0; level < 8; level += 1) {
      const name = String.fromCharCode(98 + level);
      const below = String.fromCharCode(97 + level);
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${below}`).join(',')}]`);
    }
    expect(problemsOf(bomb.join('\n'))[0]?.message).toMatch(/alias/i);
  });

  it('never escapes as an exception, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.stringMatching(/^[a-z:{}[\]&*!#|>\-"'\n ]{0,60}$/)), (text) => {
        const parsed = parseJobFile(text);
        expect(parsed.kind === 'valid' || parsed.problems.length > 0).toBe(true);
      }),
    );
  });
});

describe('nearest name', () => {
  it.each([
    ['enviroment', 'environment'],
    ['Memory', 'memory'],
    ['walltime', 'wallTime'],
    ['zzz', undefined],
  ])('of %s is %s', (name, nearest) => {
    expect(nearestName(name, ['environment', 'memory', 'wallTime'])).toBe(nearest);
  });
});

describe('schema/job.schema.json', async () => {
  const schema = JSON.parse(await readFile(new URL('../../../../schema/job.schema.json', import.meta.url), 'utf8'));
  const validate = new Ajv2020({ strict: false }).compile(schema);

  it('is what scripts/generate-schema.ts would write', () => {
    expect(schema).toMatchObject(z.toJSONSchema(jobFileSchema, { io: 'input' }));
  });

  it('has no field that docs/job-spec.md does not explain', async () => {
    const text = await readFile(new URL('../../../../docs/job-spec.md', import.meta.url), 'utf8');
    const listed = new Set([...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, field]) => field));
    const { workload, resources, ...others } = jobFileSchema.shape;
    const inside = (field: string, shape: object) => Object.keys(shape).map((name) => `${field}.${name}`);
    const fields = [
      ...Object.keys(others),
      ...workload.options.flatMap((option) => inside('workload', option.shape)),
      ...inside('resources', resources.unwrap().shape),
    ];
    expect(fields.filter((field) => !listed.has(field))).toEqual([]);
    expect(fields.length).toBeGreaterThan(15);
  });

  it('takes what the program takes', () => {
    expect(validate({ name: 'a', workload: { kind: 'wasm', module: 'a.wasm', abi: 'wasi' } })).toBe(true);
    expect(
      validate({
        name: 'a',
        workload: { kind: 'wasm', module: 'a', abi: 'wasi' },
        resources: { memory: '64MiB' },
        deadline: '10m',
        priceCeiling: 3,
      }),
    ).toBe(true);
  });

  it('refuses what the program refuses, but for rules over two fields and ranges of quantities', () => {
    const beyond = /possible|more than half|from 64 KiB/;
    for (const [text, , , message] of PROBLEMS.filter(([, , field]) => field !== '')) {
      if (beyond.test(message.source) || text.includes('quorum: 4')) continue;
      const document: unknown = parseYaml(`${LEAST}${text}\n`);
      expect(validate(document), text).toBe(false);
    }
  });

  it('agrees on any valid document that is written out', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), fc.constantFrom('wasi', 'fogproof'), (replicas, abi) => {
        const document = { name: 'x', workload: { kind: 'wasm', module: 'm', abi }, replicas };
        expect(parseJobFile(stringify(document)).kind).toBe('valid');
        expect(validate(document)).toBe(true);
      }),
    );
  });
});
