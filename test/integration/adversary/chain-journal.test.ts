import { afterEach, beforeEach, expect, test } from 'vitest';
import { BLOCK_HASH_LIFETIME } from '../../../src/chain/constants.ts';
import type { TransactionRecord } from '../../../src/chain/interface.ts';
import type { JournalTransactionSender } from '../../../src/chain/journal/journal-transaction-sender.ts';
import { createPool, createSender, transferIntent, WALLET } from '../../support/chain-rig.ts';
import { ScriptedChain } from '../../support/scripted-chain.ts';
import { type RpcCallSeen, ScriptedEndpoint } from '../../support/scripted-endpoint.ts';

const DEPTH = 100_000;

let stack: AsyncDisposableStack;
let chain: ScriptedChain;

beforeEach(() => {
  stack = new AsyncDisposableStack();
  chain = new ScriptedChain({ lifetime: 20 });
  chain.fund(WALLET.address, 10_000_000_000n);
});
afterEach(async () => await stack.disposeAsync());

const openEndpoint = async (): Promise<ScriptedEndpoint> => stack.use(await ScriptedEndpoint.open(chain));

async function startSender(endpoints: readonly ScriptedEndpoint[]): Promise<JournalTransactionSender> {
  const urls = endpoints.map(({ url }) => url);
  const sender = stack.use(createSender(stack.use(createPool(urls, chain.genesis)), chain.genesis));
  await sender.start();
  return sender;
}

function runChain(): void {
  const timer = setInterval(() => chain.produce(), 4);
  stack.defer(() => clearInterval(timer));
}

/** What is waited for changes by itself. */
async function until<T>(ask: () => Promise<T> | T, holds: (value: T) => boolean): Promise<T> {
  const deadline = AbortSignal.timeout(8_000);
  for (;;) {
    const value = await ask();
    if (holds(value)) return value;
    if (deadline.aborted) throw new Error('it never came to that');
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
}

const untilRecord = (
  sender: JournalTransactionSender,
  key: string,
  holds: (record: TransactionRecord | undefined) => boolean,
) => until(() => sender.get(key), holds);

test('of several nodes behind one address, one that has not seen the block yet proves no expiry', async () => {
  const endpoint = await openEndpoint();
  const { slot } = chain.head;
  // The address leads to a node that is up to date, and for statuses to one that stands still.
  const lag = (call: RpcCallSeen) => {
    if (call.method !== 'getSignatureStatuses') return undefined;
    const value = (call.params[0] as readonly string[]).map(() => null);
    return { kind: 'result', result: { context: { slot }, value } } as const;
  };
  endpoint.script = lag;
  const sender = await startSender([endpoint]);
  await sender.submit(transferIntent('pay/1'), { signal: AbortSignal.timeout(8_000) });
  const { attempts } = (await untilRecord(sender, 'pay/1', (record) => record?.state === 'sent')) as TransactionRecord;
  await until(
    () => endpoint.count('sendTransaction'),
    (sent) => sent > 0,
  );
  chain.produce(chain.lifetime + 2 * chain.finalLag);
  expect(chain.headAt('finalized').height).toBeGreaterThan(attempts[0]?.lastValidBlockHeight ?? Infinity);
  const asked = endpoint.count('getSignatureStatuses');
  await until(
    () => endpoint.count('getSignatureStatuses'),
    (count) => count > asked + 10,
  );
  expect((await sender.get('pay/1'))?.attempts).toHaveLength(1);
  endpoint.behave();
  runChain();
  const ended = await sender.wait('pay/1', { until: 'finalized', signal: AbortSignal.timeout(8_000) });
  expect(ended).toMatchObject({ state: 'finalized', attempts: [{ outcome: 'landed' }] });
  expect(chain.landed).toHaveLength(1);
});

test('a height that nodes behind tell later does not shorten what was told when it was signed', async () => {
  chain.produce(BLOCK_HASH_LIFETIME);
  const [one, other] = [await openEndpoint(), await openEndpoint()];
  const { height, slot } = chain.head;
  const behind = (call: RpcCallSeen) => {
    const isNewest = (call.params[0] as { commitment?: string } | undefined)?.commitment === 'processed';
    if (call.method !== 'getEpochInfo' || !isNewest) return undefined;
    const result = { epoch: 0, slotIndex: 0, slotsInEpoch: 432_000, absoluteSlot: slot, blockHeight: height };
    return { kind: 'result', result: { ...result, blockHeight: height + 12 - BLOCK_HASH_LIFETIME } } as const;
  };
  one.script = behind;
  other.script = (call) =>
    call.method === 'getLatestBlockhash' ? { kind: 'fault', code: -32_005, message: 'behind' } : behind(call);
  let isOpen = false;
  chain.accepts = () => isOpen;
  const sender = await startSender([one, other]);
  await sender.submit(transferIntent('pay/1'), { signal: AbortSignal.timeout(8_000) });
  await untilRecord(sender, 'pay/1', (record) => record?.state === 'sent');
  chain.produce(17);
  expect(chain.headAt('finalized').height).toBeGreaterThan(height + 12);
  const asked = one.count('getEpochInfo');
  await until(
    () => one.count('getEpochInfo'),
    (count) => count > asked + 20,
  );
  expect((await sender.get('pay/1'))?.attempts).toMatchObject([{ outcome: 'pending' }]);
  isOpen = true;
  const sent = one.count('sendTransaction');
  await until(
    () => one.count('sendTransaction'),
    (count) => count > sent + 1,
  );
  runChain();
  await sender.wait('pay/1', { until: 'finalized', signal: AbortSignal.timeout(8_000) });
  expect(chain.landed).toHaveLength(1);
});

test('an error nested a hundred thousand levels deep is one bad answer, and others are heard', async () => {
  const honest = await openEndpoint();
  const liar = await openEndpoint();
  const error = `${'{"a":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`;
  const status = `{"slot":1,"confirmations":null,"err":${error},"confirmationStatus":"processed"}`;
  const text = `{"jsonrpc":"2.0","id":"1","result":{"context":{"slot":${chain.head.slot}},"value":[${status}]}}`;
  liar.misbehave({ kind: 'body', text }, 'getSignatureStatuses');
  runChain();
  const sender = await startSender([honest, liar]);
  await sender.submit(transferIntent('pay/1'), { signal: AbortSignal.timeout(8_000) });
  await untilRecord(sender, 'pay/1', (record) => record?.state === 'confirmed');
  liar.behave();
  const ended = await sender.wait('pay/1', { until: 'finalized', signal: AbortSignal.timeout(8_000) });
  expect(ended.attempts).toHaveLength(1);
});
