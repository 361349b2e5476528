import { describe, expect, it } from 'vitest';
import { GROUP_COMMIT_BYTES, GROUP_COMMIT_OPERATIONS } from '../../../src/storage/constants.ts';
import { StorageError } from '../../../src/storage/errors.ts';
import { GroupCommit } from '../../../src/storage/group-commit.ts';
import type { WriteOperation, WriteOptions } from '../../../src/storage/interface.ts';

interface Commit {
  readonly keys: readonly string[];
  readonly durable: boolean | undefined;
  finish(error?: Error): void;
}

/** Commits that wait until the test finishes them. */
function createCommits() {
  const commits: Commit[] = [];
  const group = new GroupCommit({
    commit: (operations: readonly WriteOperation[], options: WriteOptions) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      commits.push({
        keys: operations.map(({ key }) => key),
        durable: options.durable,
        finish: (error) => (error === undefined ? resolve() : reject(error)),
      });
      return promise;
    },
  });
  return { commits, group };
}

const put = (key: string, sizeBytes = 1): WriteOperation => ({
  kind: 'put',
  namespace: 'jobs',
  key,
  value: new Uint8Array(sizeBytes),
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('GroupCommit', () => {
  it('puts what is written meanwhile into the next commit, in order, durable if any of it is', async () => {
    const { commits, group } = createCommits();
    const first = group.write([put('a')], {});
    await turn();
    const rest = [
      group.write([put('b'), put('c')], { durable: true }),
      group.write([put('d')], {}),
      group.write([put('e')], {}),
    ];
    await turn();
    expect(commits).toHaveLength(1);
    commits[0]?.finish();
    await first;
    await turn();
    expect(commits.map(({ keys, durable }) => ({ keys, durable }))).toEqual([
      { keys: ['a'], durable: false },
      { keys: ['b', 'c', 'd', 'e'], durable: true },
    ]);
    commits[1]?.finish();
    await Promise.all(rest);
  });

  it('fails every write of a commit that failed, and goes on with the next', async () => {
    const { commits, group } = createCommits();
    const writes = [group.write([put('a')], {}), group.write([put('b')], {})];
    await turn();
    const later = group.write([put('c')], {});
    commits[0]?.finish(new StorageError({ code: 'STORAGE_FULL', path: 'test' }));
    for (const write of writes) await expect(write).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await turn();
    expect(commits[1]?.keys).toEqual(['c']);
    commits[1]?.finish();
    await later;
  });

  it('bounds a commit by operations and bytes, and never splits a write', async () => {
    const { commits, group } = createCommits();
    const half = Array.from({ length: GROUP_COMMIT_OPERATIONS / 2 + 1 }, (_, index) => put(`h${index}`));
    const writes = [
      group.write(half, {}),
      group.write(half, {}),
      group.write([put('big', GROUP_COMMIT_BYTES + 1)], {}),
      group.write([put('small')], {}),
    ];
    for (let index = 0; index < 4; index += 1) {
      await turn();
      commits[index]?.finish();
    }
    await Promise.all(writes);
    expect(commits.map(({ keys }) => keys.length)).toEqual([half.length, half.length, 1, 1]);
  });

  it('is drained when the last write has ended', async () => {
    const { commits, group } = createCommits();
    await group.drain();
    const write = group.write([put('a')], {});
    let isDrained = false;
    const drained = group.drain().then(() => {
      isDrained = true;
    });
    await turn();
    expect(isDrained).toBe(false);
    commits[0]?.finish();
    await Promise.all([write, drained]);
  });
});
