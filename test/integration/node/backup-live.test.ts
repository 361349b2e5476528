import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { JobId } from '../../../src/domain/ids.ts';
import { restoreBackup } from '../../../src/node/backup/restore-backup.ts';
import { runNode } from '../../../src/node/run-node.ts';
import type { NodeStatus } from '../../../src/rpc/interface.ts';
import { connectSocket } from '../../../src/rpc/socket-client.ts';
import { HistoryRun } from '../../support/history-run.ts';

const { signal } = new AbortController();
const QUICK_JOBS = 6;

it('a backup that is written while jobs run gives a node that can read every one of them', async () => {
  await using run = await HistoryRun.open();
  const client = await run.start('requester', { 'provide.enabled': false });
  await run.start('ada');
  await run.untilProviders(client, 1);
  const hello = await run.draftHello(client, 'hello', (text) => text);
  const ended = await run.submit(client, hello);
  const before = await run.wait(client, ended);
  expect(before.state).toBe('completed');
  const slow = await run.submit(client, await run.draftIsing(client, '128 2.0 1000000\n'));
  await run.until('it runs', async () => (await client.call('job.checkpoints', { job: slow })).checkpoints.length > 0);
  const quick: JobId[] = [];
  const path = join(run.folder, 'node.tar');
  const load = (async () => {
    for (let index = 0; index < QUICK_JOBS; index += 1) quick.push(await run.submit(client, hello));
  })();
  let done: unknown;
  for await (const event of client.subscribe('node.backup', { path, blobs: true }, { signal })) done = event;
  expect(done).toMatchObject({ kind: 'done', path });
  await load;
  await client.call('job.cancel', { job: slow });
  for (const job of quick) expect((await run.wait(client, job)).state).toBe('completed');
  await run.stop();

  const home = run.homeOf('restored');
  await restoreBackup(path, { home, signal });
  const controller = new AbortController();
  const ready = Promise.withResolvers<NodeStatus>();
  const node = runNode({
    environment: { HOME: run.folder, PATH: process.env['PATH'] },
    home,
    signal: controller.signal,
    log: 'file',
    // Nobody to talk to: nothing is asked of the network.
    overrides: { listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, 'provide.enabled': false },
    onReady: ready.resolve,
  });
  node.catch(ready.reject);
  const { socket } = await ready.promise;
  const restored = await connectSocket(socket);
  const { jobs } = await restored.call('job.list', { limit: 100 });
  expect(jobs.map(({ job }) => job)).toEqual(expect.arrayContaining([ended, slow]));
  expect(await restored.call('job.show', { job: ended })).toEqual(before);
  for (const { job } of jobs) expect((await restored.call('job.show', { job })).job).toBe(job);
  // Outputs are there without anybody to fetch them from.
  const written = await restored.call('job.writeOutputs', { job: ended, directory: join(run.folder, 'out') });
  expect(written.files.length).toBeGreaterThan(0);
  await restored[Symbol.asyncDispose]();
  controller.abort();
  await node;
}, 120_000);
