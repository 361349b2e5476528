import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MAX_RESPONSE_BYTES } from '../../../src/chain/constants.ts';
import type { EndpointPool } from '../../../src/chain/endpoints/endpoint-pool.ts';
import { EndpointPool as Pool } from '../../../src/chain/endpoints/endpoint-pool.ts';
import type { SolanaRpc } from '../../../src/chain/endpoints/solana-rpc.ts';
import { ChainError } from '../../../src/chain/errors.ts';
import type { EndpointPoolOptions } from '../../../src/chain/options.ts';
import { encodeBase58, Lamports, TransactionSignature } from '../../../src/domain/chain.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { PromMetricsRegistry } from '../../../src/telemetry/prom-metrics.ts';
import { createPool, createReader, type PoolParts, QUICK, WALLET } from '../../support/chain-rig.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedChain } from '../../support/scripted-chain.ts';
import { type Misbehaviour, ScriptedEndpoint } from '../../support/scripted-endpoint.ts';

let stack: AsyncDisposableStack;
let chain: ScriptedChain;

beforeEach(() => {
  stack = new AsyncDisposableStack();
  chain = new ScriptedChain();
});

afterEach(async () => {
  await stack.disposeAsync();
});

const signal = (): AbortSignal => AbortSignal.timeout(8_000);
const askSlot = (rpc: SolanaRpc, options: { readonly signal: AbortSignal }): Promise<number> =>
  rpc.slot('finalized', options);

async function openEndpoints(count: number): Promise<readonly ScriptedEndpoint[]> {
  return Promise.all(Array.from({ length: count }, async () => stack.use(await ScriptedEndpoint.open(chain))));
}

async function openPair(): Promise<readonly [ScriptedEndpoint, ScriptedEndpoint]> {
  const [first, second] = await openEndpoints(2);
  if (first === undefined || second === undefined) throw new Error('two were opened');
  return [first, second];
}

async function openOne(): Promise<ScriptedEndpoint> {
  const [endpoint] = await openEndpoints(1);
  if (endpoint === undefined) throw new Error('one was opened');
  return endpoint;
}

function poolOf(
  endpoints: readonly ScriptedEndpoint[],
  options: PoolParts & Partial<EndpointPoolOptions> = {},
): EndpointPool {
  return stack.use(
    createPool(
      endpoints.map(({ url }) => url),
      chain.genesis,
      options,
    ),
  );
}

const FAILURES: readonly (readonly [string, Misbehaviour])[] = [
  ['stalls', { kind: 'stall' }],
  ['closes the connection', { kind: 'reset' }],
  ['says 429', { kind: 'http', status: 429, headers: { 'retry-after': '1' } }],
  ['says 503', { kind: 'http', status: 503 }],
  ['redirects', { kind: 'http', status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
  ['answers with HTML', { kind: 'body', text: '<html>Bad gateway</html>' }],
  ['answers with an empty body', { kind: 'body', text: '' }],
  ['answers with JSON that is no JSON-RPC', { kind: 'body', text: '[1,2,3]' }],
  ['answers without end', { kind: 'endless' }],
  ['answers with another type', { kind: 'result', result: 'soon' }],
  ['answers with a negative slot', { kind: 'result', result: -5 }],
  ['answers with a fraction', { kind: 'result', result: 1.5 }],
  ['is behind', { kind: 'fault', code: -32_005, message: 'Node is behind by 42 slots' }],
  ['has no such method', { kind: 'fault', code: -32_601, message: 'Method not found' }],
];

describe('failover', () => {
  test.each(FAILURES)('an endpoint that %s is followed by the next', async (_, misbehaviour) => {
    const [first, second] = await openPair();
    first.misbehave(misbehaviour, 'getSlot');
    const pool = poolOf([first, second]);
    expect(await pool.first(askSlot, { signal: signal() })).toBe(chain.headAt('finalized').slot);
    expect(second.count('getSlot')).toBeGreaterThan(0);
  });

  test.each(FAILURES.slice(0, 12))(
    'one endpoint alone that %s is a coded error with a next step',
    async (_, misbehaviour) => {
      const endpoint = await openOne();
      endpoint.misbehave(misbehaviour, 'getSlot');
      const pool = poolOf([endpoint], { timeoutMs: 150 });
      const error: unknown = await pool.first(askSlot, { signal: signal() }).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'ChainError', retryable: true, hint: expect.stringMatching(/.+/) });
      expect((error as { code: string }).code).toMatch(/^CHAIN_(UNREACHABLE|BAD_RESPONSE)$/);
      expect(pool.status()[0]).toMatchObject({ state: 'failing', problem: expect.any(String) });
    },
  );

  test('a body without end is not read to its end', async () => {
    const endpoint = await openOne();
    endpoint.misbehave({ kind: 'endless' }, 'getSlot');
    const pool = poolOf([endpoint], { rounds: 1, timeoutMs: 5_000 });
    await expect(pool.first(askSlot, { signal: signal() })).rejects.toMatchObject({
      code: 'CHAIN_BAD_RESPONSE',
      message: expect.stringContaining(`more than ${MAX_RESPONSE_BYTES} bytes`),
    });
  });

  test('a redirect is not followed: it would take credentials elsewhere', async () => {
    let visits = 0;
    const elsewhere = createServer((_, response) => {
      visits += 1;
      response.end('{}');
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    stack.defer(() => void elsewhere.close());
    const { port } = elsewhere.address() as AddressInfo;
    const endpoint = await openOne();
    endpoint.misbehave({ kind: 'http', status: 307, headers: { location: `http://127.0.0.1:${port}/` } });
    const pool = poolOf([endpoint], { rounds: 1 });
    await expect(pool.first(askSlot, { signal: signal() })).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    expect(visits).toBe(0);
  });

  test('what passes is tried again at the same endpoint', async () => {
    const endpoint = await openOne();
    let failures = 2;
    endpoint.script = ({ method }) => {
      if (method !== 'getSlot' || failures === 0) return undefined;
      failures -= 1;
      return { kind: 'http', status: 503 };
    };
    const pool = poolOf([endpoint], { roundBackoffMs: 30 });
    expect(await pool.first(askSlot, { signal: signal() })).toBe(chain.headAt('finalized').slot);
  });

  test('Retry-After is obeyed, up to a limit', async () => {
    const clock = new ManualClock();
    const [first, second] = await openPair();
    first.misbehave({ kind: 'http', status: 429, headers: { 'retry-after': '30' } }, 'getSlot');
    const pool = poolOf([first, second], { clock });
    await pool.first(askSlot, { signal: signal() });
    const asked = first.count('getSlot');
    first.behave();
    await clock.advance(29_000);
    // A probe beside them would have come by the last of these.
    for (let call = 0; call < 20; call += 1) await pool.first(askSlot, { signal: signal() });
    expect(first.count('getSlot')).toBe(asked);
    await clock.advance(2_000);
    await pool.first(askSlot, { signal: signal() });
    await expect.poll(() => pool.status()[0]?.state).toBe('ok');
  });

  test('an endpoint that recovered is the first again', async () => {
    const [first, second] = await openPair();
    first.misbehave({ kind: 'reset' });
    const pool = poolOf([first, second], { backoffMs: 1, backoffMaxMs: 1 });
    await pool.first(askSlot, { signal: signal() });
    expect(pool.status()[0]?.state).toBe('failing');
    first.behave();
    await expect
      .poll(async () => {
        await pool.first(askSlot, { signal: signal() });
        return pool.status()[0]?.state;
      })
      .toBe('ok');
    const before = second.count('getSlot');
    await pool.first(askSlot, { signal: signal() });
    expect(second.count('getSlot')).toBe(before);
  });

  test('an endpoint far behind is asked after the others', async () => {
    const [first, second] = await openPair();
    first.chain = new ScriptedChain();
    chain.produce(400);
    const pool = poolOf([first, second]);
    await pool.poll(askSlot, { signal: signal() });
    const before = first.count('getSlot');
    expect(await pool.first(askSlot, { signal: signal() })).toBe(chain.headAt('finalized').slot);
    expect(first.count('getSlot')).toBe(before);
  });

  test('an abort ends a call at once and is no failure of the endpoint', async () => {
    const endpoint = await openOne();
    endpoint.misbehave({ kind: 'stall' }, 'getSlot');
    const pool = poolOf([endpoint], { timeoutMs: 60_000 });
    const controller = new AbortController();
    const asked = pool.first(askSlot, { signal: controller.signal });
    await expect.poll(() => endpoint.count('getSlot')).toBe(1);
    controller.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    expect(pool.status()[0]?.state).not.toBe('failing');
  });

  test('no endpoint at all is said before anything is asked', async () => {
    const pool = poolOf([]);
    await expect(pool.first(askSlot, { signal: signal() })).rejects.toMatchObject({ code: 'CHAIN_NO_ENDPOINTS' });
  });

  test('an endpoint that is behind the slot asked for is not believed', async () => {
    const [first, second] = await openPair();
    first.chain = new ScriptedChain();
    chain.produce(50);
    chain.fund(WALLET.address, 7n);
    const minSlot = chain.headAt('finalized').slot;
    const reader = createReader(poolOf([first, second]), chain.genesis);
    const account = await reader.account(WALLET.address, { signal: signal(), commitment: 'finalized', minSlot });
    expect(account?.lamports).toBe(7n);
    // One that ignores what is asked and answers from an older slot.
    first.script = ({ method }) =>
      method === 'getAccountInfo'
        ? { kind: 'result', result: { context: { slot: minSlot - 1 }, value: null } }
        : undefined;
    const again = await reader.account(WALLET.address, { signal: signal(), commitment: 'finalized', minSlot });
    expect(again?.lamports).toBe(7n);
  });
});

describe('genesis', () => {
  test('an endpoint of another chain is asked nothing else, and named', async () => {
    const [stranger, ours] = await openPair();
    stranger.chain = new ScriptedChain({ name: 'another' });
    const pool = poolOf([stranger, ours]);
    const reader = createReader(pool, chain.genesis);
    expect(await reader.slot({ signal: signal(), commitment: 'finalized' })).toBe(chain.headAt('finalized').slot);
    expect(stranger.count('getSlot')).toBe(0);
    expect(pool.status()[0]).toMatchObject({
      state: 'refused',
      problem: expect.stringContaining(stranger.chain.genesis),
    });
    await expect(reader.cluster({ signal: signal() })).rejects.toMatchObject({
      code: 'CHAIN_WRONG_CLUSTER',
      info: { url: stranger.url, expected: chain.genesis, found: stranger.chain.genesis },
      hint: expect.stringContaining('network'),
    });
  });

  test('only endpoints of another chain: nothing is read', async () => {
    const endpoint = await openOne();
    endpoint.chain = new ScriptedChain({ name: 'another' });
    const reader = createReader(poolOf([endpoint]), chain.genesis);
    await expect(reader.balance(WALLET.address, { signal: signal(), commitment: 'finalized' })).rejects.toMatchObject({
      code: 'CHAIN_WRONG_CLUSTER',
    });
    expect(endpoint.count('getBalance')).toBe(0);
    expect(reader.status()).toMatchObject({ isReachable: false, cluster: null });
  });

  test('a chain that was begun anew at the same address is found out after the connection broke', async () => {
    const endpoint = await openOne();
    const reader = createReader(poolOf([endpoint], { backoffMs: 1, backoffMaxMs: 1 }), chain.genesis);
    expect(await reader.cluster({ signal: signal() })).toEqual({ genesis: chain.genesis, name: null });
    endpoint.misbehave({ kind: 'reset' });
    await reader.slot({ signal: signal(), commitment: 'finalized' }).catch(() => {});
    endpoint.behave();
    endpoint.chain = new ScriptedChain({ name: 'begun anew' });
    await expect(reader.slot({ signal: signal(), commitment: 'finalized' })).rejects.toMatchObject({
      code: 'CHAIN_WRONG_CLUSTER',
    });
  });
});

describe('credentials', () => {
  test('go to the endpoint, and into no message', async () => {
    const endpoint = await openOne();
    const { host } = new URL(endpoint.url);
    const secretUrl = `http://someone:hunter22@${host}/v2/abcdefghijklmnop1234?api-key=topsecret`;
    const pool = stack.use(createPool([secretUrl], chain.genesis, { rounds: 1 }));
    await pool.first(askSlot, { signal: signal() });
    expect(endpoint.calls[0]?.authorization).toBe(`Basic ${Buffer.from('someone:hunter22').toString('base64')}`);
    const message = 'no such key topsecret, or abcdefghijklmnop1234, of someone with hunter22';
    endpoint.misbehave({ kind: 'fault', code: -32_603, message }, 'getSlot');
    const error: unknown = await pool.first(askSlot, { signal: signal() }).catch((reason: unknown) => reason);
    const shown = `${JSON.stringify(pool.status())} ${String(error)} ${JSON.stringify(error)}`;
    expect(shown).toContain(`http://${host}/v2/…`);
    for (const secret of ['topsecret', 'hunter22', 'abcdefghijklmnop1234']) expect(shown).not.toContain(secret);
  });
});

describe('agreement', () => {
  const call = (rpc: SolanaRpc, options: { readonly signal: AbortSignal }) =>
    rpc.balance(WALLET.address, 'finalized', options);

  test('two that say the same', async () => {
    chain.fund(WALLET.address, 9n);
    const pool = poolOf(await openEndpoints(2));
    const answers = await pool.corroborate('the balance', call, { signal: signal() });
    expect(pool.assertSame('the balance', answers, String)).toBe(9n);
  });

  test('two that contradict each other: both answers are named and none is taken', async () => {
    const [first, second] = await openPair();
    second.chain = new ScriptedChain();
    second.chain.fund(WALLET.address, 9n);
    const pool = poolOf([first, second]);
    const answers = await pool.corroborate('the balance', call, { signal: signal() });
    expect(() => pool.assertSame('the balance', answers, String)).toThrowError(
      expect.objectContaining({ code: 'CHAIN_ENDPOINTS_DISAGREE', retryable: true }),
    );
    try {
      pool.assertSame('the balance', answers, String);
    } catch (error) {
      expect(String(error)).toContain(`${first.url} says 0`);
      expect(String(error)).toContain(`${second.url} says 9`);
    }
  });

  test('one of two is not enough, and the error says which one failed', async () => {
    const [first, second] = await openPair();
    second.misbehave({ kind: 'reset' });
    const pool = poolOf([first, second]);
    await expect(pool.corroborate('the balance', call, { signal: signal() })).rejects.toMatchObject({
      code: 'CHAIN_NOT_CORROBORATED',
      message: expect.stringContaining(second.url),
    });
  });

  test('two of three are', async () => {
    const [first, second, third] = await openEndpoints(3);
    second?.misbehave({ kind: 'stall' });
    const pool = poolOf([first, second, third].filter((endpoint) => endpoint !== undefined));
    expect(await pool.corroborate('the balance', call, { signal: signal() })).toHaveLength(2);
  });

  test('the same address twice does not corroborate itself', async () => {
    const endpoint = await openOne();
    const pool = stack.use(createPool([endpoint.url, `${endpoint.url}/`], chain.genesis));
    expect(pool.needed).toBe(1);
    expect(pool.status()).toHaveLength(1);
  });
});

describe('garbage', () => {
  const address = WALLET.address;
  const signature = TransactionSignature(encodeBase58(new Uint8Array(64).fill(1)));
  const wire = new Uint8Array(65);
  const QUESTIONS: readonly (readonly [
    string,
    (rpc: SolanaRpc, o: { readonly signal: AbortSignal }) => Promise<unknown>,
  ])[] = [
    ['getGenesisHash', (rpc, o) => rpc.genesis(o)],
    ['getEpochInfo', (rpc, o) => rpc.height('finalized', o)],
    ['getBalance', (rpc, o) => rpc.balance(address, 'finalized', o)],
    ['getAccountInfo', (rpc, o) => rpc.account(address, { ...o, commitment: 'finalized' })],
    ['getTransaction', (rpc, o) => rpc.transaction(signature, 'finalized', o)],
    ['getSignatureStatuses', (rpc, o) => rpc.signatureStatuses([signature], { ...o, searchTransactionHistory: true })],
    ['getLatestBlockhash', (rpc, o) => rpc.latestBlockHash('confirmed', o)],
    ['sendTransaction', (rpc, o) => rpc.send(wire, o)],
    ['getRecentPrioritizationFees', (rpc, o) => rpc.prioritizationFees([address], o)],
    ['getSignaturesForAddress', (rpc, o) => rpc.signaturesFor(address, {}, { ...o, commitment: 'finalized' })],
    ['getFirstAvailableBlock', (rpc, o) => rpc.firstAvailableBlock(o)],
    ['getBlocks', (rpc, o) => rpc.blocks(1, 2, o)],
    ['getBlock', (rpc, o) => rpc.block(1, o)],
    ['getMinimumBalanceForRentExemption', (rpc, o) => rpc.rentExemption(1, o)],
    ['requestAirdrop', (rpc, o) => rpc.airdrop(address, Lamports(1n), o)],
  ];
  /** Objects with the names that answers have, and anything in them. */
  const values = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, 0, -1, 1.5, 1e300, '', 'x', true, 'finalized', address, signature),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          'context',
          'value',
          'slot',
          'err',
          'meta',
          'transaction',
          'message',
          'data',
          'owner',
          'lamports',
        ),
        tie('value'),
        { maxKeys: 4 },
      ),
    ),
  })).value;

  test.each(QUESTIONS)('for %s gives a coded error or a checked value', { timeout: 30_000 }, async (method, ask) => {
    const endpoint = await openOne();
    const pool = poolOf([endpoint], { rounds: 1, backoffMs: 0, backoffMaxMs: 0 });
    await fc.assert(
      fc.asyncProperty(values, async (result) => {
        endpoint.misbehave({ kind: 'result', result }, method);
        try {
          await pool.first(ask, { signal: signal() });
        } catch (error) {
          expect(error).toBeInstanceOf(ChainError);
        }
      }),
      { numRuns: 60 },
    );
  });
});

test('what is counted', async () => {
  const registry = new PromMetricsRegistry();
  const [first, second] = await openPair();
  first.misbehave({ kind: 'http', status: 500 }, 'getSlot');
  const pool = stack.use(
    new Pool(
      { clock: new SystemClock(), logger: new NoopLogger(), metrics: registry },
      { ...QUICK, rpcUrls: [first.url, second.url], genesis: chain.genesis },
    ),
  );
  await pool.first(askSlot, { signal: signal() });
  const text = await registry.render();
  expect(text).toMatch(/fogproof_chain_requests_total\{method="getSlot"\} [2-4]/);
  expect(text).toMatch(/fogproof_chain_failures_total\{code="CHAIN_ENDPOINT_FAILED"\} [12]/);
  expect(text).toContain('fogproof_chain_failovers_total 1');
  expect(text).toContain('fogproof_chain_request_seconds_count');
});

test('a daemon without a chain does not load the Solana client', async () => {
  const source = (path: string): string => new URL(`../../../src/${path}`, import.meta.url).href;
  const script = `
    import { registerHooks } from 'node:module';
    const seen = [];
    registerHooks({ resolve: (name, context, next) => (seen.push(name), next(name, context)) });
    const isLoaded = () => seen.includes('@solana/web3.js') || seen.includes('ws');
    const { EndpointPool } = await import('${source('chain/endpoints/endpoint-pool.ts')}');
    const { SolanaChainReader } = await import('${source('chain/reader/solana-chain-reader.ts')}');
    const { JournalTransactionSender } = await import('${source('chain/journal/journal-transaction-sender.ts')}');
    const { NoopLogger } = await import('${source('telemetry/noop-logger.ts')}');
    const { NoopMetricsRegistry } = await import('${source('telemetry/noop-metrics.ts')}');
    const { SystemClock } = await import('${source('lib/clock.ts')}');
    const pool = new EndpointPool(
      { clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
      { rpcUrls: ['http://127.0.0.1:1'], genesis: '${chain.genesis}', rounds: 1 },
    );
    const before = isLoaded();
    await pool.first((rpc, options) => rpc.genesis(options), { signal: AbortSignal.timeout(9_000) }).catch(() => {});
    console.log(JSON.stringify({ before, after: isLoaded() }));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  expect(JSON.parse(stdout)).toEqual({ before: false, after: true });
});
