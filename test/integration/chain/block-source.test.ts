import { afterEach, beforeEach, expect, test } from 'vitest';
import { ChainBlockSource } from '../../../src/chain/reader/chain-block-source.ts';
import { BlockHash, decodeBase58, encodeBase58 } from '../../../src/domain/chain.ts';
import { createPool } from '../../support/chain-rig.ts';
import { ScriptedChain } from '../../support/scripted-chain.ts';
import { type RpcCallSeen, ScriptedEndpoint } from '../../support/scripted-endpoint.ts';
import { answerRpc } from '../../support/scripted-rpc.ts';

let stack: AsyncDisposableStack;
let chain: ScriptedChain;

beforeEach(() => {
  stack = new AsyncDisposableStack();
  chain = new ScriptedChain();
});

afterEach(async () => {
  await stack.disposeAsync();
});

const options = (): { readonly signal: AbortSignal } => ({ signal: AbortSignal.timeout(8_000) });

async function open(
  count: number,
): Promise<{ readonly source: ChainBlockSource; readonly endpoints: readonly ScriptedEndpoint[] }> {
  const endpoints = await Promise.all(
    Array.from({ length: count }, async () => stack.use(await ScriptedEndpoint.open(chain))),
  );
  const pool = stack.use(
    createPool(
      endpoints.map(({ url }) => url),
      chain.genesis,
    ),
  );
  return { source: new ChainBlockSource({ pool }, { genesis: chain.genesis }), endpoints };
}

/** By looking at every block. */
function expected(timeMs: number): { slot: number; blockHash: Uint8Array; timeMs: number } | undefined {
  const final = chain.headAt('finalized').slot;
  const block = chain.blocks.find(({ slot, time }) => slot <= final && time * 1_000 >= timeMs);
  return block && { slot: block.slot, blockHash: decodeBase58(block.blockHash), timeMs: block.time * 1_000 };
}

function irregular(): void {
  for (let index = 0; index < 40; index += 1) {
    chain.produce(1 + ((index * 7) % 50));
    chain.skip((index * 13) % 40);
  }
  chain.skip(900);
  chain.produce(30);
}

test('the lowest final block at or after any time, over skipped slots', async () => {
  irregular();
  const { source } = await open(1);
  const [first] = chain.blocks;
  const last = chain.headAt('finalized');
  const startMs = (first?.time ?? 0) * 1_000;
  const endMs = last.time * 1_000;
  for (let step = -1; step <= 40; step += 1) {
    const timeMs = Math.floor(startMs + ((endMs - startMs) * step) / 40) + (step % 3);
    expect(await source.findBlockAtOrAfter(timeMs, options()), `at ${timeMs}`).toEqual(expected(timeMs));
  }
});

test('nothing yet for a time after the newest final block', async () => {
  const { source } = await open(1);
  const { time } = chain.headAt('finalized');
  expect(await source.findBlockAtOrAfter(time * 1_000 + 1, options())).toBeUndefined();
  expect(await source.findBlockAtOrAfter(time * 1_000, options())).toEqual(expected(time * 1_000));
  chain.produce(20);
  expect(await source.findBlockAtOrAfter(time * 1_000 + 1, options())).toEqual(expected(time * 1_000 + 1));
});

test('one search near the end takes few requests', async () => {
  chain.produce(20_000);
  const { source, endpoints } = await open(1);
  const timeMs = chain.headAt('finalized').time * 1_000 - 30_000;
  expect(await source.findBlockAtOrAfter(timeMs, options())).toEqual(expected(timeMs));
  expect(endpoints[0]?.calls.length).toBeLessThan(30);
});

test('two endpoints agree, or the block is not known yet', async () => {
  chain.produce(300);
  const { source, endpoints } = await open(2);
  const timeMs = chain.headAt('finalized').time * 1_000;
  expect(await source.findBlockAtOrAfter(timeMs, options())).toEqual(expected(timeMs));
  const [, behind] = endpoints;
  behind?.misbehave({ kind: 'result', result: chain.headAt('finalized').slot - 100 }, 'getSlot');
  expect(await source.findBlockAtOrAfter(timeMs, options())).toBeUndefined();
});

test('another block hash from one of two endpoints is a contradiction, and no value', async () => {
  chain.produce(300);
  const { source, endpoints } = await open(2);
  const [honest, liar] = endpoints;
  const wrong = BlockHash(encodeBase58(new Uint8Array(32).fill(1)));
  if (honest === undefined || liar === undefined) throw new Error('two were opened');
  liar.script = (call: RpcCallSeen) =>
    call.method === 'getBlock'
      ? { kind: 'result', result: { ...(answerRpc(chain, call.method, call.params) as object), blockhash: wrong } }
      : undefined;
  const timeMs = chain.headAt('finalized').time * 1_000;
  const error: unknown = await source.findBlockAtOrAfter(timeMs, options()).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'CHAIN_ENDPOINTS_DISAGREE', retryable: true });
  expect(String(error)).toContain(wrong);
  expect(String(error)).toContain(liar.url);
  expect(String(error)).toContain(honest.url);
});

test('one of two endpoints down: nothing is taken from the other', async () => {
  chain.produce(300);
  const { source, endpoints } = await open(2);
  endpoints[1]?.misbehave({ kind: 'reset' });
  await expect(source.findBlockAtOrAfter(chain.headAt('finalized').time * 1_000, options())).rejects.toMatchObject({
    code: 'CHAIN_NOT_CORROBORATED',
  });
});

test('times that go back are found out', async () => {
  chain.produce(3_000);
  const { source, endpoints } = await open(1);
  const [endpoint] = endpoints;
  const timeMs = (chain.blocks[1_500]?.time ?? 0) * 1_000;
  if (endpoint === undefined) throw new Error('one was opened');
  const asked: unknown[] = [];
  endpoint.script = (call) => {
    if (call.method !== 'getBlock') return undefined;
    const [slot] = call.params;
    if (!asked.includes(slot)) asked.push(slot);
    const block = answerRpc(chain, call.method, call.params) as { blockTime: number };
    return slot === asked[2]
      ? { kind: 'result', result: { ...block, blockTime: block.blockTime + 50_000 } }
      : undefined;
  };
  await expect(source.findBlockAtOrAfter(timeMs, options())).rejects.toMatchObject({ code: 'CHAIN_BAD_RESPONSE' });
});

test('a slot that was not asked for is found out', async () => {
  chain.produce(3_000);
  const { source, endpoints } = await open(1);
  const timeMs = (chain.blocks[1_500]?.time ?? 0) * 1_000;
  endpoints[0]?.misbehave({ kind: 'result', result: [5] }, 'getBlocks');
  await expect(source.findBlockAtOrAfter(timeMs, options())).rejects.toMatchObject({
    code: 'CHAIN_BAD_RESPONSE',
    message: expect.stringContaining('a block at 5, not from'),
  });
});

test('a time before the history of the endpoint is not answered with its first block', async () => {
  chain.produce(3_000);
  chain.firstAvailableSlot = 2_000;
  const { source } = await open(1);
  const timeMs = (chain.blocks[1_000]?.time ?? 0) * 1_000;
  await expect(source.findBlockAtOrAfter(timeMs, options())).rejects.toMatchObject({ code: 'CHAIN_HISTORY_GONE' });
});

test('a chain that is none of the public ones is predictable', async () => {
  const { source } = await open(1);
  expect(source.isPredictable).toBe(true);
  const mainnet = BlockHash('5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d');
  const pool = stack.use(createPool(['http://127.0.0.1:1'], mainnet));
  expect(new ChainBlockSource({ pool }, { genesis: mainnet }).isPredictable).toBe(false);
});
