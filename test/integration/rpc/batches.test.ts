import { describe, expect, it } from 'vitest';
import type { RpcMethod } from '../../../src/rpc/json-rpc.ts';
import { connectRaw, type RawClient, startServer } from '../../support/rpc-harness.ts';

const BUSY_MS = 5;
const CALLS = 40;
/** Answers of `big` for which there is room. */
const FITTING = 4;

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly data: { readonly code: string } };
}

const call = (method: string, id = 1) => ({ jsonrpc: '2.0', id, method });
const calls = (method: string, count: number) => Array.from({ length: count }, (_, id) => call(method, id));
const LINES = `${calls('busy', CALLS)
  .map((item) => JSON.stringify(item))
  .join('\n')}\n`;

function busyWait(): void {
  const untilMs = performance.now() + BUSY_MS;
  while (performance.now() < untilMs);
}

async function setUp() {
  const made = { big: 0, busy: 0 };
  const full = Promise.withResolvers<string>();
  const gate = Promise.withResolvers<string>();
  const busy = { onFirst: () => {}, doneBeforeOther: -1 };
  const methods = new Map<string, RpcMethod>([
    [
      'big',
      {
        invoke: () => {
          made.big += 1;
          if (made.big === FITTING + 1) setImmediate(() => full.resolve('late'));
          return 'x'.repeat(200_000);
        },
      },
    ],
    ['late', { invoke: () => full.promise }],
    ['small', { invoke: () => 'small' }],
    ['wait', { invoke: () => gate.promise }],
    ['release', { invoke: () => gate.resolve('released') }],
    ['unwritable', { invoke: () => 1n }],
    [
      'busy',
      {
        invoke: () => {
          if (made.busy === 0) busy.onFirst();
          made.busy += 1;
          busyWait();
        },
      },
    ],
    ['other', { invoke: () => (busy.doneBeforeOther = made.busy) }],
  ]);
  const server = await startServer(methods, { limits: { maxUnreadBytes: 1_000_000 } });
  return { server, made, busy };
}

const ask = async (client: RawClient, items: unknown): Promise<readonly Answer[]> =>
  (await client.ask(items)) as readonly Answer[];
const codesOf = (answers: readonly Answer[]) => answers.map(({ error }) => error?.data.code);

describe('a batch on the control socket', () => {
  it('has an answer inside the bound, and what no longer fits is not done', async () => {
    const { server, made } = await setUp();
    await using _server = server;
    using client = await connectRaw(server.path);
    const answers = await ask(client, [...calls('big', CALLS), call('small', CALLS)]);
    expect(answers.map(({ id }) => id)).toEqual(Array.from({ length: CALLS + 1 }, (_, id) => id));
    expect(made.big).toBe(FITTING + 1);
    expect(answers.filter(({ result }) => result !== undefined)).toHaveLength(FITTING);
    expect(new Set(codesOf(answers.slice(FITTING)))).toEqual(new Set(['RPC_BATCH_ANSWER_TOO_LARGE']));
    expect(answers.map(({ error }) => error?.message).slice(FITTING, FITTING + 2)).toEqual([
      expect.stringContaining('was made'),
      expect.stringContaining('was not made'),
    ]);
    expect(codesOf(await ask(client, [call('small')]))).toEqual([undefined]);
  });

  it('leaves out no short answer of a call that was made', async () => {
    const { server } = await setUp();
    await using _server = server;
    using client = await connectRaw(server.path);
    const answers = await ask(client, [call('late'), ...calls('big', FITTING + 1)]);
    expect(answers[0]).toMatchObject({ result: 'late' });
    expect(codesOf(answers).at(-1)).toBe('RPC_BATCH_ANSWER_TOO_LARGE');
  });

  it('does not hold up its later calls by those that wait', async () => {
    const { server } = await setUp();
    await using _server = server;
    using client = await connectRaw(server.path);
    const answers = await ask(client, [...calls('wait', CALLS), call('release', CALLS)]);
    expect(answers[0]).toMatchObject({ id: 0, result: 'released' });
    expect(answers).toHaveLength(CALLS + 1);
  });

  it('goes on where one answer cannot be written', async () => {
    const { server } = await setUp();
    await using _server = server;
    using client = await connectRaw(server.path);
    const answers = await ask(client, [call('unwritable', 1), call('small', 2)]);
    expect(answers).toMatchObject([
      { id: 1, error: { code: -32603 } },
      { id: 2, result: 'small' },
    ]);
  });
});

describe('calls that come together', () => {
  it.each([
    ['as a batch', `${JSON.stringify(calls('busy', CALLS))}\n`],
    ['as lines', LINES],
  ])('%s leave others a turn', async (_name, text) => {
    const { server, busy, made } = await setUp();
    await using _server = server;
    using client = await connectRaw(server.path);
    using other = await connectRaw(server.path);
    busy.onFirst = () => other.send(`${JSON.stringify(call('other'))}\n`);
    client.send(text);
    await other.next();
    expect(busy.doneBeforeOther).toBeLessThan(CALLS / 2);
    await client.next();
    await expect.poll(() => made.busy).toBe(CALLS);
  });

  it('are all answered though the client has closed its side, in their order', async () => {
    const { server } = await setUp();
    await using _server = server;
    using client = await connectRaw(server.path);
    client.socket.end(LINES);
    for (let id = 0; id < CALLS; id++) expect(await client.next()).toMatchObject({ id });
    await client.closed;
  });
});
