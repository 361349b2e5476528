import { describe, expect, it } from 'vitest';
import { InternalError } from '../../../src/lib/errors.ts';
import { RpcError } from '../../../src/rpc/errors.ts';
import type { MethodContext, RpcMethod } from '../../../src/rpc/json-rpc.ts';
import { connectRaw, startServer } from '../../support/rpc-harness.ts';

/** A method that opens a subscription on what `source` gives, and tells when it was cut off. */
function createSubscription(source: (signal: AbortSignal) => AsyncIterable<unknown>) {
  const aborted = Promise.withResolvers<void>();
  const method: RpcMethod = {
    invoke: (_: unknown, context: MethodContext) => ({
      subscription: context.subscribe((signal) => {
        signal.addEventListener('abort', () => aborted.resolve());
        return source(signal);
      }),
    }),
  };
  return { method, aborted: aborted.promise };
}

async function* count(to: number): AsyncGenerator<number> {
  for (let value = 1; value <= to; value += 1) yield value;
}

/** Gives one event and then nothing until it is cut off. */
async function* hang(signal: AbortSignal): AsyncGenerator<string> {
  yield 'first';
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
}

const call = (method: string, params: unknown = {}, id = 1) => ({ jsonrpc: '2.0', id, method, params });
const unsubscribe: RpcMethod = {
  invoke: (params, context) => ({ isEnded: context.unsubscribe((params as { subscription: string }).subscription) }),
};
const name = (answer: unknown): string => (answer as { result: { subscription: string } }).result.subscription;

describe('subscriptions on the control socket', () => {
  it('answers first, then sends the events in order, then the end', async () => {
    await using server = await startServer(new Map([['count', createSubscription(() => count(3)).method]]));
    using client = await connectRaw(server.path);
    const subscription = name(await client.ask(call('count')));
    const events = [await client.next(), await client.next(), await client.next(), await client.next()];
    const params = [{ event: 1 }, { event: 2 }, { event: 3 }, { end: true }];
    expect(events).toEqual(
      params.map((rest) => ({ jsonrpc: '2.0', method: 'subscription', params: { subscription, ...rest } })),
    );
  });

  it('sends no event of a batch before its answer', async () => {
    const gate = Promise.withResolvers<string>();
    const methods = new Map<string, RpcMethod>([
      ['count', createSubscription(() => count(1)).method],
      ['slow', { invoke: () => gate.promise }],
    ]);
    await using server = await startServer(methods);
    using client = await connectRaw(server.path);
    client.send(`${JSON.stringify([call('count'), call('slow', {}, 2)])}\n`);
    client.send(`${JSON.stringify(call('nothing', {}, 3))}\n`);
    expect(await client.next()).toMatchObject({ id: 3 });
    gate.resolve('done');
    expect(await client.next()).toHaveLength(2);
    expect(await client.next()).toMatchObject({ params: { event: 1 } });
  });

  it('ends with the error that the source threw, a defect without its message', async () => {
    const failing = (error: Error) =>
      createSubscription(async function* () {
        yield* await Promise.reject<never[]>(error);
      }).method;
    const methods = new Map([
      ['coded', failing(new RpcError({ code: 'RPC_NOT_ABSOLUTE', path: 'x' }))],
      ['defect', failing(new InternalError('secret'))],
    ]);
    await using server = await startServer(methods);
    using client = await connectRaw(server.path);
    await client.ask(call('coded'));
    expect(await client.next()).toMatchObject({ params: { end: true, error: { data: { code: 'RPC_NOT_ABSOLUTE' } } } });
    await client.ask(call('defect'));
    const last = await client.next();
    expect(last).toMatchObject({ params: { end: true, error: { data: { code: 'INTERNAL' } } } });
    expect(JSON.stringify(last)).not.toContain('secret');
  });

  it('is cut off by rpc.unsubscribe, and nothing of it follows', async () => {
    const { method, aborted } = createSubscription(hang);
    await using server = await startServer(
      new Map([
        ['hang', method],
        ['rpc.unsubscribe', unsubscribe],
      ]),
    );
    using client = await connectRaw(server.path);
    const subscription = name(await client.ask(call('hang')));
    expect(await client.next()).toMatchObject({ params: { event: 'first' } });
    expect(await client.ask(call('rpc.unsubscribe', { subscription }))).toMatchObject({ result: { isEnded: true } });
    await aborted;
    expect(await client.ask(call('rpc.unsubscribe', { subscription }))).toMatchObject({ result: { isEnded: false } });
  });

  it('cannot be ended from another connection', async () => {
    const methods = new Map([
      ['hang', createSubscription(hang).method],
      ['rpc.unsubscribe', unsubscribe],
    ]);
    await using server = await startServer(methods);
    using client = await connectRaw(server.path);
    using other = await connectRaw(server.path);
    const subscription = name(await client.ask(call('hang')));
    expect(await other.ask(call('rpc.unsubscribe', { subscription }))).toMatchObject({ result: { isEnded: false } });
  });

  it('is cut off when its connection goes', async () => {
    const { method, aborted } = createSubscription(hang);
    await using server = await startServer(new Map([['hang', method]]));
    const client = await connectRaw(server.path);
    await client.ask(call('hang'));
    client.socket.destroy();
    await aborted;
  });

  it('ends with a word when the server stops', async () => {
    const { method, aborted } = createSubscription(hang);
    await using server = await startServer(new Map([['hang', method]]));
    using client = await connectRaw(server.path);
    await client.ask(call('hang'));
    await client.next();
    await server.server.stop();
    await aborted;
    expect(await client.next()).toMatchObject({ params: { end: true, error: { data: { code: 'RPC_ABORTED' } } } });
    await client.closed;
  });

  it('may be had only so many times', async () => {
    const { method } = createSubscription(hang);
    await using server = await startServer(new Map([['hang', method]]), { limits: { maxSubscriptions: 1 } });
    using client = await connectRaw(server.path);
    await client.ask(call('hang'));
    await client.next();
    expect(await client.ask(call('hang'))).toMatchObject({ error: { data: { code: 'RPC_TOO_MANY_SUBSCRIPTIONS' } } });
  });

  it('waits for a reader that lags, instead of piling up', async () => {
    let given = 0;
    const flood = createSubscription(async function* () {
      for (; given < 2000; given += 1) yield 'x'.repeat(10_000);
    });
    await using server = await startServer(new Map([['flood', flood.method]]));
    using client = await connectRaw(server.path);
    await client.ask(call('flood'));
    client.socket.pause();
    let before = -1;
    await expect
      .poll(() => {
        const isStill = given === before;
        before = given;
        return isStill;
      })
      .toBe(true);
    expect(given).toBeLessThan(1000);
    client.socket.resume();
    for (let index = 0; index < 1999; index += 1) await client.next();
    expect(await client.next()).toMatchObject({ params: { event: expect.any(String) } });
    expect(await client.next()).toMatchObject({ params: { end: true } });
  });
});
