import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineCommand } from '../../../src/cli/interface.ts';
import { DomainError } from '../../../src/domain/errors.ts';
import { InternalError, UsageError } from '../../../src/lib/errors.ts';
import { RpcError } from '../../../src/rpc/errors.ts';
import { runLine } from '../../support/cli-harness.ts';

const seen: unknown[] = [];
const show = defineCommand({
  name: 'thing show',
  summary: 'show a thing',
  details: 'More of it.',
  arguments: [
    { name: 'first', description: 'the first', isRequired: true },
    { name: 'rest', description: 'the rest', isRequired: false, isVariadic: true },
  ],
  options: z.strictObject({
    follow: z.boolean().default(false).describe('go on').meta({ short: 'f' }),
    color: z.boolean().default(true).describe('no colors'),
    backup: z.string().exactOptional().describe('a file'),
    noBackup: z.boolean().default(false).describe('no file'),
    either: z.boolean().exactOptional().describe('on or off'),
    maxDepth: z.int().min(1).default(3).describe('how deep'),
    kind: z.enum(['big', 'small']).exactOptional().describe('which kind'),
    tag: z.array(z.string()).default([]).describe('a tag'),
    level: z.array(z.int()).default([]).describe('a level'),
    token: z.string().exactOptional().describe('a token').meta({ environment: 'FOGPROOF_TOKEN', placeholder: 'TOKEN' }),
  }),
  examples: [{ line: 'fogproof thing show x', does: 'Shows x.' }],
  run: async (input, { output }) => {
    seen.push(input);
    output.result({ fine: true, big: 2n ** 64n }, () => ['line one', 'line two']);
    return 0;
  },
});
const must = defineCommand({
  name: 'must',
  summary: 'needs an option',
  arguments: [],
  options: z.strictObject({ name: z.string().describe('a name') }),
  examples: [],
  run: async () => 3,
});
const thrown: { error: unknown } = { error: undefined };
const fail = defineCommand({
  name: 'fail',
  summary: 'fails',
  arguments: [],
  options: z.strictObject({}),
  examples: [],
  run: async () => {
    throw thrown.error;
  },
});
const commands = [show, must, fail];
const run = (line: string, extra: Parameters<typeof runLine>[1] = {}) =>
  runLine(line.split(' '), { commands, ...extra });
const defaults = { follow: false, color: true, noBackup: false, maxDepth: 3, tag: [], level: [] };

describe('options', () => {
  it.each([
    ['thing show a', ['a'], {}],
    ['thing show a b c -f', ['a', 'b', 'c'], { follow: true }],
    ['thing show a --no-color --max-depth 7', ['a'], { color: false, maxDepth: 7 }],
    ['thing show a --no-backup', ['a'], { noBackup: true }],
    ['thing show a --backup x', ['a'], { backup: 'x' }],
    ['thing show a --either', ['a'], { either: true }],
    ['thing show a --no-either', ['a'], { either: false }],
    ['thing show a --tag x --tag y --level 1 --level 2', ['a'], { tag: ['x', 'y'], level: [1, 2] }],
    ['--json thing show a --kind big --quiet', ['a'], { kind: 'big' }],
    ['thing show a -- --follow', ['a', '--follow'], {}],
  ])('%s', async (line, args, options) => {
    seen.length = 0;
    expect((await run(line)).exitCode).toBe(0);
    expect(seen).toEqual([{ arguments: args, options: { ...defaults, ...options } }]);
  });

  it('are taken from the environment where they say so, flags first', async () => {
    const environment = { FOGPROOF_TOKEN: 'from env' };
    process.env['FOGPROOF_TOKEN'] = 'from env';
    try {
      seen.length = 0;
      await run('thing show a', { environment });
      await run('thing show a --token flag', { environment });
      expect(seen).toMatchObject([{ options: { token: 'from env' } }, { options: { token: 'flag' } }]);
    } finally {
      delete process.env['FOGPROOF_TOKEN'];
    }
  });

  it.each([
    ['thing show', /missing required argument 'first'/],
    ['thing show a --max-depth x', /--max-depth: expected a number/],
    ['thing show a --max-depth 0', /--max-depth: .*1/],
    ['thing show a --max-depth 1.5', /--max-depth: expected a whole number/],
    ['thing show a --level x', /--level/],
    ['thing show a --kind huge', /--kind.*big, small/],
    ['thing show a --unknown', /unknown option '--unknown'/],
    ['must', /required option '--name <VALUE>' not specified/],
    ['must --name', /argument missing/],
    ['must --name x y', /too many arguments/],
    ['nonsense', /unknown command 'nonsense'/],
  ])('refuses %s', async (line, message) => {
    const { exitCode, stdout, stderr } = await run(line);
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error USAGE: /);
    expect(stderr).toMatch(message);
    expect(stderr).toContain('hint: ');
  });

  it('suggests what was meant', async () => {
    expect((await run('thing shwo')).stderr).toContain('Did you mean show?');
    expect((await run('thng')).stderr).toContain('Did you mean thing?');
    expect((await run('thing show a --folow')).stderr).toContain('Did you mean --follow?');
  });
});

describe('help', () => {
  it('tells everything of a command, however it is asked for', async () => {
    const { stdout, exitCode } = await run('thing show --help');
    expect(exitCode).toBe(0);
    for (const part of [
      'show a thing',
      'More of it.',
      '<first>',
      '[rest...]',
      '--no-color',
      '--max-depth <N>',
      'default: 3',
      '--token <TOKEN>',
      'fogproof thing show x',
      'Shows x.',
    ]) {
      expect(stdout).toContain(part);
    }
    expect((await run('help thing show')).stdout).toBe(stdout);
    expect((await run('thing show -h')).stdout).toBe(stdout);
  });

  it('lists groups and commands, and is an error where a verb is missing', async () => {
    const { stdout, exitCode } = await run('--help');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/thing|must/);
    const group = await run('thing');
    expect(group).toMatchObject({ exitCode: 2, stdout: '' });
    expect(group.stderr).toContain('show a thing');
    expect((await run('help')).stdout).toBe(stdout);
  });

  it('prints the version', async () =>
    expect(await run('--version')).toMatchObject({ exitCode: 0, stdout: '1.2.3\n' }));
});

describe('results and errors', () => {
  it('prints JSON, and JSON only, with --json', async () => {
    const { stdout, stderr } = await run('thing show a --json');
    expect(JSON.parse(stdout)).toEqual({ fine: true, big: '18446744073709551616' });
    expect(stderr).toBe('');
    expect((await run('thing show a')).stdout).toBe('line one\nline two\n');
  });

  it('gives the exit code of the command', async () => expect((await run('must --name x')).exitCode).toBe(3));

  it.each([
    ['usage', new UsageError('wrong', 'do right'), 2, 'USAGE'],
    ['malformed', new DomainError({ code: 'DOMAIN_BAD_ID', kind: 'job id', text: 'x' }), 2, 'DOMAIN_BAD_ID'],
    ['no daemon', new RpcError({ code: 'RPC_NO_DAEMON', path: '/x', reason: 'ENOENT' }), 4, 'RPC_NO_DAEMON'],
    ['coded', new RpcError({ code: 'RPC_FILE_EXISTS', path: '/x' }), 5, 'RPC_FILE_EXISTS'],
    ['defect', new InternalError('broken'), 70, 'INTERNAL'],
    ['unforeseen', new TypeError('broken'), 70, 'INTERNAL'],
  ])('reports a failure: %s', async (_, error, exitCode, code) => {
    thrown.error = error;
    const plain = await run('fail');
    expect(plain).toMatchObject({ exitCode, stdout: '' });
    expect(plain.stderr).toMatch(new RegExp(`^error ${code}: `));
    expect(plain.stderr.includes('    at ')).toBe(exitCode === 70);
    const json = await run('fail --json');
    expect(json).toMatchObject({ exitCode, stdout: '' });
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code, message: error.message } });
  });

  it('says nothing of an interruption but its exit code', async () => {
    const controller = new AbortController();
    controller.abort(new DOMException('stopped by SIGINT', 'AbortError'));
    thrown.error = controller.signal.reason;
    expect(await run('fail', { signal: controller.signal })).toEqual({ exitCode: 130, stdout: '', stderr: '' });
  });

  it('lets no escape sequence of an error through', async () => {
    thrown.error = new UsageError('a\u001b[31mred\u001b]0;title\u0007', 'b\u001b[2J');
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect((await run('fail')).stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });
});
