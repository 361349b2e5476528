import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PinoLogger } from '../../../src/telemetry/pino-logger.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-log-'));
  path = join(folder, 'node.log');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function readLines(file: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The lines of all files, oldest file last in `names`, must be without a gap up to `last`; gives the first. */
async function expectLastLines(names: readonly string[], last: number): Promise<number> {
  const indexes: unknown[] = [];
  for (const name of names.toReversed()) {
    indexes.push(...(await readLines(join(folder, name))).map(({ index }) => index));
  }
  const first = Number(indexes[0]);
  expect(indexes).toEqual(Array.from({ length: last + 1 - first }, (_, offset) => first + offset));
  return first;
}

describe('PinoLogger', () => {
  it('writes JSON lines with the fields of its parents, from its level on, for its owner only', async () => {
    const logger = await PinoLogger.open({ level: 'info', file: { path }, stream: null });
    logger.debug({}, 'not written');
    logger.child({ module: 'network' }).child({ peer: 'abc' }).warn({ port: 1 }, 'refused');
    logger.fatal({ passphrase: 'x' }, 'ended');
    await logger[Symbol.asyncDispose]();
    expect(await readLines(path)).toMatchObject([
      { level: 40, module: 'network', peer: 'abc', port: 1, msg: 'refused' },
      { level: 60, passphrase: '[redacted]', msg: 'ended' },
    ]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('goes on at the end of a file that is there', async () => {
    await writeFile(path, '{"msg":"before"}\n');
    const logger = await PinoLogger.open({ level: 'info', file: { path }, stream: null });
    logger.info({}, 'after');
    await logger[Symbol.asyncDispose]();
    expect((await readLines(path)).map(({ msg }) => msg)).toEqual(['before', 'after']);
  });

  it('moves a full file aside and keeps as many as it was told', async () => {
    for (let round = 0; round < 20; round += 1) {
      const logger = await PinoLogger.open({ level: 'info', file: { path, maxBytes: 2000, keep: 2 }, stream: null });
      for (let index = 0; index < 10; index += 1) logger.info({ index: round * 10 + index }, 'x'.repeat(100));
      await logger[Symbol.asyncDispose]();
    }
    const names = (await readdir(folder)).sort();
    expect(names).toEqual(['node.log', 'node.log.1', 'node.log.2']);
    await expectLastLines(names, 199);
  });

  it('moves it aside while it is written to, without losing the lines of that moment', async () => {
    const logger = await PinoLogger.open({ level: 'info', file: { path, maxBytes: 2000, keep: 50 }, stream: null });
    for (let index = 0; index < 500; index += 1) {
      logger.info({ index }, 'a line of some length to fill the file');
      if (index % 10 === 9) await stat(path).catch(() => undefined);
    }
    await logger[Symbol.asyncDispose]();
    const names = (await readdir(folder)).sort((a, b) => Number(a.slice(9)) - Number(b.slice(9)));
    expect(names.length).toBeGreaterThan(1);
    expect(await expectLastLines(names, 499)).toBe(0);
  });

  it('shows a person one readable line, in which a peer cannot hide control characters', async () => {
    const [line] = await writePretty({ hasColors: false });
    expect(line).toMatch(/^[\d:.]+ INFO {2}network: hello\?world peer="a\\u001b\[2Jb" port=4717\n$/);
  });

  it('colours the level where it is told that a terminal shows it, whatever the environment says', async () => {
    const [line] = await writePretty({ hasColors: true });
    expect(line).toContain('\u001b[32mINFO \u001b[39m network: hello?world');
    expect(line).not.toContain('\u001b[2J');
  });

  async function writePretty({ hasColors }: { hasColors: boolean }): Promise<string[]> {
    const written: string[] = [];
    const stream = { format: 'pretty' as const, hasColors, write: (text: string) => written.push(text) };
    const logger = await PinoLogger.open({ level: 'debug', file: null, stream });
    logger.child({ module: 'network' }).info({ peer: 'a\u001b[2Jb', port: 4717 }, 'hello\nworld');
    expect(written).toHaveLength(1);
    return written;
  }
});
