import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BYTES_CODEC, createCborCodec, createJsonCodec, STRING_CODEC } from '../../src/storage/codecs.ts';
import type { Database, KeyRange } from '../../src/storage/interface.ts';
import { LevelDatabase } from '../../src/storage/level-database.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { MemoryDatabase } from '../support/memory-database.ts';

interface Subject {
  readonly database: Database;
  close(): Promise<void>;
}

const SUBJECTS: Readonly<Record<string, () => Promise<Subject>>> = {
  LevelDatabase: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fogproof-database-'));
    const database = await LevelDatabase.open(join(folder, 'db'), { logger: new NoopLogger() });
    return {
      database,
      close: async () => {
        await database[Symbol.asyncDispose]();
        await rm(folder, { recursive: true });
      },
    };
  },
  MemoryDatabase: async () => {
    const database = new MemoryDatabase();
    return { database, close: () => database[Symbol.asyncDispose]() };
  },
};

async function collect<Value>(entries: AsyncIterable<readonly [string, Value]>): Promise<(readonly [string, Value])[]> {
  const found: (readonly [string, Value])[] = [];
  for await (const entry of entries) found.push(entry);
  return found;
}

describe.each(Object.entries(SUBJECTS))('Database contract: %s', (_name, create) => {
  let subject: Subject;
  let database: Database;

  beforeEach(async () => {
    subject = await create();
    database = subject.database;
  });
  afterEach(async () => {
    await subject.close();
  });

  it('gives back what was put, and undefined for what was not', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    await jobs.put('a', 'first', { durable: true });
    await jobs.put('b', '');
    expect(await jobs.get('a')).toBe('first');
    expect(await jobs.get('b')).toBe('');
    expect(await jobs.has('b')).toBe(true);
    expect(await jobs.get('c')).toBeUndefined();
    expect(await jobs.has('c')).toBe(false);
  });

  it('replaces and deletes, and deletes what is not there without complaint', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    await jobs.put('a', 'first');
    await jobs.put('a', 'second');
    expect(await jobs.get('a')).toBe('second');
    await jobs.delete('a', { durable: true });
    await jobs.delete('a');
    expect(await jobs.get('a')).toBeUndefined();
  });

  it('keeps namespaces apart, also where one name begins another', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    const history = database.repository('job-history', STRING_CODEC);
    const logs = database.repository('job-logs', STRING_CODEC);
    await jobs.put('x', 'job');
    await history.put('x', 'history');
    await logs.put('x', 'log');
    expect(await collect(jobs.entries())).toEqual([['x', 'job']]);
    expect(await collect(history.entries())).toEqual([['x', 'history']]);
    await history.delete('x');
    expect(await collect(logs.entries())).toEqual([['x', 'log']]);
    expect(await collect(history.entries())).toEqual([]);
  });

  it('writes over several namespaces at once, the last operation on a key winning', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    const leases = database.repository('leases', BYTES_CODEC);
    await jobs.put('old', 'x');
    await database.write(
      [
        jobs.putOperation('a', '1'),
        leases.putOperation('l', Uint8Array.of(7)),
        jobs.deleteOperation('old'),
        jobs.putOperation('a', '2'),
      ],
      { durable: true },
    );
    expect(await jobs.get('a')).toBe('2');
    expect(await leases.get('l')).toEqual(Uint8Array.of(7));
    expect(await jobs.has('old')).toBe(false);
  });

  it('writes nothing of a write when one of its values cannot be encoded', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    const numbers = database.repository('jobs', createJsonCodec(z.int()));
    await expect(async () =>
      database.write([jobs.putOperation('a', '1'), numbers.putOperation('b', 0.5)]),
    ).rejects.toThrow();
    expect(await jobs.has('a')).toBe(false);
  });

  it('keeps the order of writes that are not awaited', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    const writes: Promise<void>[] = [];
    for (let index = 0; index < 500; index += 1) {
      writes.push(jobs.put('counter', String(index), { durable: index % 50 === 0 }));
    }
    await Promise.all(writes);
    expect(await jobs.get('counter')).toBe('499');
  });

  it('is closed after disposal, which may happen twice', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    await database[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
    await expect(jobs.put('a', '1')).rejects.toMatchObject({ code: 'STORAGE_CLOSED' });
    await expect(jobs.get('a')).rejects.toMatchObject({ code: 'STORAGE_CLOSED' });
    await expect(collect(jobs.entries())).rejects.toMatchObject({ code: 'STORAGE_CLOSED' });
  });

  it('names the key of a value that its codec cannot read', async () => {
    await database.repository('leases', BYTES_CODEC).put('bad', Uint8Array.of(0xff, 0x00));
    const leases = database.repository('leases', createCborCodec(z.strictObject({ at: z.int() })));
    await expect(leases.get('bad')).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      info: { where: 'leases/bad' },
    });
  });

  it('a change to bytes after a put, or to bytes that were read, does not reach the stored value', async () => {
    const leases = database.repository('leases', BYTES_CODEC);
    const bytes = Uint8Array.of(1, 2, 3);
    await leases.put('a', bytes);
    bytes[0] = 9;
    (await leases.get('a'))?.fill(0);
    expect(await leases.get('a')).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('reads ranges as a sorted map does', async () => {
    const key = fc.string({ unit: fc.constantFrom('a', 'b', '/', '0', '!', 'é', '\u{1f600}', '\uffff'), maxLength: 4 });
    const bound = fc.option(key, { nil: undefined });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 12 }),
        fc.record({
          lower: fc.tuple(fc.constantFrom('gt', 'gte'), bound),
          upper: fc.tuple(fc.constantFrom('lt', 'lte'), bound),
          reverse: fc.boolean(),
          limit: fc.option(fc.nat(5), { nil: undefined }),
        }),
        async (keys, { lower, upper, reverse, limit }) => {
          round += 1;
          const namespace = round % 2 === 0 ? 'jobs' : 'job-history';
          const repository = database.repository(namespace, STRING_CODEC);
          for (const [old] of await collect(repository.entries())) await repository.delete(old);
          await database.write(keys.map((each) => repository.putOperation(each, `value of ${each}`)));
          const range: KeyRange = {
            ...(lower[1] === undefined ? {} : { [lower[0]]: lower[1] }),
            ...(upper[1] === undefined ? {} : { [upper[0]]: upper[1] }),
            reverse,
            ...(limit === undefined ? {} : { limit }),
          };
          const found = await collect(repository.entries(range));
          expect(found).toEqual(selectFromModel(keys, range).map((each) => [each, `value of ${each}`]));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('lets a loop over entries be left early, and a write happen meanwhile', async () => {
    const jobs = database.repository('jobs', STRING_CODEC);
    await database.write(Array.from({ length: 50 }, (_, index) => jobs.putOperation(`k${index}`, String(index))));
    let seen = 0;
    for await (const [key] of jobs.entries()) {
      await jobs.delete(key);
      seen += 1;
      if (seen === 10) break;
    }
    expect(await collect(jobs.entries())).toHaveLength(40);
  });
});

function selectFromModel(keys: readonly string[], range: KeyRange): string[] {
  const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const { gt, gte, lt, lte } = range;
  const within = keys.filter(
    (key) =>
      (gt === undefined || compare(key, gt) > 0) &&
      (gte === undefined || compare(key, gte) >= 0) &&
      (lt === undefined || compare(key, lt) < 0) &&
      (lte === undefined || compare(key, lte) <= 0),
  );
  within.sort(compare);
  if (range.reverse === true) within.reverse();
  return within.slice(0, range.limit);
}
