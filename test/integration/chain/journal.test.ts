import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChainError } from '../../../src/chain/errors.ts';
import type { TransactionIntent, TransactionRecord } from '../../../src/chain/interface.ts';
import type { JournalTransactionSender } from '../../../src/chain/journal/journal-transaction-sender.ts';
import { KeypairSigner } from '../../../src/chain/signers/keypair-signer.ts';
import {
  createPool,
  createSender,
  programInstruction,
  RECEIVER,
  type SenderParts,
  transferInstruction,
  transferIntent,
  WALLET,
} from '../../support/chain-rig.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { FEE, ScriptedChain, type ScriptedChainOptions, TEST_PROGRAM } from '../../support/scripted-chain.ts';
import { type RpcCallSeen, readSent, ScriptedEndpoint } from '../../support/scripted-endpoint.ts';
import { answerRpc } from '../../support/scripted-rpc.ts';

const LIFETIME = 20;
const WEALTH = 10_000_000_000n;

let stack: AsyncDisposableStack;

beforeEach(() => {
  stack = new AsyncDisposableStack();
});

afterEach(async () => {
  await stack.disposeAsync();
});

function makeChain(options: ScriptedChainOptions = {}): ScriptedChain {
  const chain = new ScriptedChain({ lifetime: LIFETIME, ...options });
  chain.fund(WALLET.address, WEALTH);
  return chain;
}

/** Blocks pass by themselves: a chain waits for nobody. */
function run(chain: ScriptedChain, slotMs = 4): void {
  const timer = setInterval(() => chain.produce(), slotMs);
  stack.defer(() => clearInterval(timer));
}

async function openEndpoint(chain: ScriptedChain): Promise<ScriptedEndpoint> {
  return stack.use(await ScriptedEndpoint.open(chain));
}

async function startSender(
  chain: ScriptedChain,
  endpoints: readonly ScriptedEndpoint[],
  parts: SenderParts = {},
): Promise<JournalTransactionSender> {
  const pool = stack.use(
    createPool(
      endpoints.map(({ url }) => url),
      chain.genesis,
    ),
  );
  const sender = stack.use(createSender(pool, chain.genesis, parts));
  await sender.start();
  return sender;
}

const signal = (): AbortSignal => AbortSignal.timeout(8_000);

async function sendAndWait(sender: JournalTransactionSender, intent: TransactionIntent): Promise<TransactionRecord> {
  await sender.submit(intent, { signal: signal() });
  return sender.wait(intent.key, { signal: signal(), until: 'finalized' });
}

/** Waits until the record is as wanted: it changes by itself. */
async function untilRecord(
  sender: JournalTransactionSender,
  key: string,
  holds: (record: TransactionRecord) => boolean,
): Promise<TransactionRecord> {
  const deadline = signal();
  for (;;) {
    const record = await sender.get(key);
    if (record !== undefined && holds(record)) return record;
    if (deadline.aborted)
      throw new Error(
        `it never came to that: ${JSON.stringify(record, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('one endpoint', () => {
  test('an intent is sent, confirmed and final, with what it cost', async () => {
    const chain = makeChain();
    run(chain);
    const sender = await startSender(chain, [await openEndpoint(chain)]);
    const record = await sendAndWait(sender, transferIntent('pay/1'));
    expect(record).toMatchObject({
      state: 'finalized',
      feeLamports: FEE,
      computeUnits: 450,
      failure: null,
      problem: null,
    });
    expect(record.attempts).toHaveLength(1);
    expect(record.attempts[0]?.outcome).toBe('landed');
    expect(chain.balances.get(RECEIVER)).toBe(1_000_000n);
    expect(chain.landed).toHaveLength(1);
  });

  test('what waits before the journal is started goes on when it is', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const database = new MemoryDatabase();
    const first = await startSender(chain, [endpoint], { database });
    await first.stop();
    await first.submit(transferIntent('pay/1'), { signal: signal() });
    const pool = stack.use(createPool([endpoint.url], chain.genesis));
    const second = stack.use(createSender(pool, chain.genesis, { database }));
    const waiting = second.wait('pay/1', { signal: signal(), until: 'finalized' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await second.start();
    expect(await waiting).toMatchObject({ state: 'finalized' });
  });

  test('the same key is the same intent, however often and whatever it holds', async () => {
    const chain = makeChain();
    run(chain);
    const sender = await startSender(chain, [await openEndpoint(chain)]);
    const asked = Array.from({ length: 8 }, (_, index) =>
      sender.submit(transferIntent('pay/1', 1_000_000n + BigInt(index)), { signal: signal() }),
    );
    await Promise.all(asked);
    const record = await sendAndWait(sender, transferIntent('pay/1', 5n));
    await sendAndWait(sender, transferIntent('pay/1', 6n));
    expect(chain.landed).toHaveLength(1);
    expect(record.purpose).toBe('transfer 1000000');
  });

  test('many keys at once land once each', async () => {
    const chain = makeChain();
    run(chain);
    const sender = await startSender(chain, [await openEndpoint(chain)]);
    const keys = Array.from({ length: 20 }, (_, index) => `pay/${index}`);
    const records = await Promise.all(keys.map((key) => sendAndWait(sender, transferIntent(key))));
    expect(records.every(({ state }) => state === 'finalized')).toBe(true);
    expect(chain.landed).toHaveLength(20);
  });

  test('signed bytes are on disk before they are sent', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const database = new MemoryDatabase();
    const durable: string[] = [];
    database.onWrite = (operations, options) => {
      for (const operation of operations) {
        const text = operation.kind === 'put' ? Buffer.from(operation.value).toString('latin1') : '';
        if (options.durable === true) durable.push(text);
      }
    };
    const unknown: string[] = [];
    endpoint.script = (call) => {
      if (call.method === 'sendTransaction' && !durable.some((text) => text.includes(readSent(call)))) {
        unknown.push(readSent(call));
      }
      return undefined;
    };
    const sender = await startSender(chain, [endpoint], { database });
    await sendAndWait(sender, transferIntent('pay/1'));
    expect(endpoint.count('sendTransaction')).toBeGreaterThan(0);
    expect(unknown).toEqual([]);
  });

  test('what is lost on the way is sent again, with the same bytes', async () => {
    const chain = makeChain({ lifetime: 10_000 });
    run(chain);
    const endpoint = await openEndpoint(chain);
    let lost = 0;
    chain.accepts = () => {
      lost += 1;
      return lost > 3;
    };
    const sender = await startSender(chain, [endpoint]);
    const record = await sendAndWait(sender, transferIntent('pay/1'));
    expect(record.attempts).toHaveLength(1);
    const sent = new Set(endpoint.calls.filter(({ method }) => method === 'sendTransaction').map(readSent));
    expect(sent.size).toBe(1);
    expect(endpoint.count('sendTransaction')).toBeGreaterThanOrEqual(4);
  });

  test('an expired block hash is followed by a fresh one, and one of them lands', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const first = new Set<string>();
    chain.accepts = (transaction) => {
      first.add(transaction.message.recentBlockhash);
      return first.size > 2;
    };
    const sender = await startSender(chain, [endpoint]);
    const record = await sendAndWait(sender, transferIntent('pay/1'));
    expect(record.state).toBe('finalized');
    expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['expired', 'expired', 'landed']);
    expect(chain.landed).toHaveLength(1);
  });

  test('nothing is signed anew while the final height is below the last valid one', async () => {
    const chain = makeChain({ lifetime: 1_000_000 });
    run(chain);
    const endpoint = await openEndpoint(chain);
    chain.accepts = () => false;
    const sender = await startSender(chain, [endpoint]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    await untilRecord(sender, 'pay/1', () => endpoint.count('getEpochInfo') > 20);
    expect((await sender.get('pay/1'))?.attempts).toHaveLength(1);
  });

  test('an endpoint whose history begins later proves no absence', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    chain.accepts = () => false;
    chain.firstAvailableSlot = 1_000_000;
    const sender = await startSender(chain, [endpoint]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    const waiting = await untilRecord(sender, 'pay/1', ({ problem }) => problem?.code === 'CHAIN_EXPIRY_UNPROVEN');
    expect(waiting.attempts).toHaveLength(1);
    expect(waiting.problem?.message).toContain('chain.rpcUrls');
    chain.firstAvailableSlot = 0;
    chain.accepts = () => true;
    const record = await sender.wait('pay/1', { signal: signal(), until: 'finalized' });
    expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['expired', 'landed']);
  });

  test('a node without history proves no absence', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    chain.accepts = () => false;
    chain.isHistoryKept = false;
    const sender = await startSender(chain, [endpoint]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    await untilRecord(sender, 'pay/1', () => chain.head.height > 3 * LIFETIME);
    expect((await sender.get('pay/1'))?.attempts).toHaveLength(1);
  });

  test('a confirmed transaction that a fork took back is sent until it is final', async () => {
    const chain = makeChain({ lifetime: 10_000, finalLag: 30 });
    const endpoint = await openEndpoint(chain);
    const sender = await startSender(chain, [endpoint]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    await untilRecord(sender, 'pay/1', () => endpoint.count('sendTransaction') > 0);
    chain.produce(4);
    const confirmed = await sender.wait('pay/1', { signal: signal(), until: 'confirmed' });
    expect(confirmed.state).toBe('confirmed');
    expect(confirmed.slot).not.toBeNull();
    chain.rollBack(4);
    expect(chain.landed).toHaveLength(0);
    const back = await untilRecord(sender, 'pay/1', ({ state }) => state === 'sent');
    expect(back).toMatchObject({ slot: null, problem: { code: 'CHAIN_ROLLED_BACK' } });
    run(chain);
    const record = await sender.wait('pay/1', { signal: signal(), until: 'finalized' });
    expect(record).toMatchObject({ state: 'finalized', problem: null });
    expect(record.attempts).toHaveLength(1);
    expect(chain.landed).toHaveLength(1);
    expect(chain.balances.get(RECEIVER)).toBe(1_000_000n);
  });

  test('too little in the wallet is refused with what it has and needs', async () => {
    const chain = new ScriptedChain({ lifetime: LIFETIME });
    chain.fund(WALLET.address, 700_000n);
    run(chain);
    const endpoint = await openEndpoint(chain);
    const sender = await startSender(chain, [endpoint]);
    const record = await sendAndWait(sender, transferIntent('pay/1'));
    expect(record).toMatchObject({ state: 'refused', attempts: [], problem: { code: 'CHAIN_INSUFFICIENT_FUNDS' } });
    expect(record.problem?.message).toContain(`${WALLET.address} has 700000 lamports and needs 1005000`);
    expect(record.problem?.message).toContain('fogproof wallet airdrop');
    expect(endpoint.count('sendTransaction')).toBe(0);
    chain.fund(WALLET.address, 1_000_000n);
    await sender.forget('pay/1');
    expect(await sendAndWait(sender, transferIntent('pay/1'))).toMatchObject({ state: 'finalized' });
  });

  test('a wallet that is not on the chain at all has nothing', async () => {
    const chain = new ScriptedChain();
    run(chain);
    const sender = await startSender(chain, [await openEndpoint(chain)]);
    const record = await sendAndWait(sender, transferIntent('pay/1'));
    expect(record.problem?.message).toContain('has 0 lamports and needs 1005000');
  });

  test('what a program would refuse is not sent, and says its code', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const sender = await startSender(chain, [endpoint]);
    const instructions = [programInstruction(TEST_PROGRAM, Uint8Array.of(7))];
    const record = await sendAndWait(sender, { ...transferIntent('pay/1'), instructions });
    expect(record).toMatchObject({ state: 'refused', problem: { code: 'CHAIN_REFUSED' } });
    expect(record.failure).toMatchObject({ name: 'InstructionError', customCode: 7 });
    expect(endpoint.count('sendTransaction')).toBe(0);
  });

  test('what fails on chain is failed, and was paid for', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const fine = {
      context: { slot: 1 },
      value: { err: null, logs: [], accounts: null, unitsConsumed: 1, returnData: null },
    };
    endpoint.misbehave({ kind: 'result', result: fine }, 'simulateTransaction');
    const sender = await startSender(chain, [endpoint]);
    const instructions = [programInstruction(TEST_PROGRAM, Uint8Array.of(7))];
    const record = await sendAndWait(sender, { ...transferIntent('pay/1'), instructions });
    expect(record).toMatchObject({ state: 'failed', feeLamports: FEE, failure: { customCode: 7 } });
  });

  test('an intent that cannot be a transaction is refused before it is kept', async () => {
    const chain = makeChain();
    const database = new MemoryDatabase();
    const sender = await startSender(chain, [await openEndpoint(chain)], { database });
    const submit = (change: Partial<TransactionIntent>) =>
      sender.submit({ ...transferIntent('pay/1'), ...change }, { signal: signal() });
    const large = programInstruction(TEST_PROGRAM, new Uint8Array(1_200));
    await expect(submit({ instructions: [large] })).rejects.toMatchObject({ code: 'CHAIN_TRANSACTION_TOO_LARGE' });
    const huge = programInstruction(TEST_PROGRAM, new Uint8Array(100_000));
    await expect(submit({ instructions: [huge] })).rejects.toMatchObject({ code: 'CHAIN_TRANSACTION_TOO_LARGE' });
    await expect(submit({ instructions: [] })).rejects.toMatchObject({ code: 'CHAIN_BAD_INTENT' });
    await expect(submit({ key: 'k'.repeat(201) })).rejects.toMatchObject({ code: 'CHAIN_BAD_INTENT' });
    await expect(submit({ computeUnitLimit: 2_000_000 })).rejects.toMatchObject({ code: 'CHAIN_BAD_INTENT' });
    const foreign = transferInstruction(1n, RECEIVER);
    await expect(submit({ instructions: [foreign] })).rejects.toMatchObject({ code: 'CHAIN_BAD_INTENT' });
    expect(database.rows('chain-transactions').size).toBe(0);
  });

  test('open intents are bounded', async () => {
    const chain = makeChain();
    const sender = await startSender(chain, [await openEndpoint(chain)], { maxOpen: 3 });
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const outcomes = await Promise.allSettled(
      keys.map((key) => sender.submit(transferIntent(key), { signal: signal() })),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as ChainError] : [],
    );
    expect(refused.map(({ code }) => code)).toEqual(['CHAIN_TOO_MANY_OPEN', 'CHAIN_TOO_MANY_OPEN']);
  });

  test('unknown keys, and what may not be forgotten', async () => {
    const chain = makeChain();
    run(chain);
    const sender = await startSender(chain, [await openEndpoint(chain)]);
    await expect(sender.wait('nothing', { signal: signal(), until: 'confirmed' })).rejects.toMatchObject({
      code: 'CHAIN_NO_INTENT',
    });
    await expect(sender.forget('nothing')).rejects.toMatchObject({ code: 'CHAIN_NO_INTENT' });
    await sendAndWait(sender, transferIntent('pay/1'));
    await expect(sender.forget('pay/1')).rejects.toMatchObject({ code: 'CHAIN_NOT_FORGETTABLE' });
  });

  test('the offered fee follows recent ones and never passes the limit', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const fees = [1, 400, 90_000].map((prioritizationFee, slot) => ({ slot, prioritizationFee }));
    endpoint.misbehave({ kind: 'result', result: fees }, 'getRecentPrioritizationFees');
    const sender = await startSender(chain, [endpoint], { maxPriorityFee: 300 });
    await sendAndWait(sender, transferIntent('pay/1'));
    const [landed] = chain.landed;
    const budget = landed?.transaction.message.compiledInstructions.slice(0, 2).map(({ data }) => data) ?? [];
    expect(Buffer.from(budget[0] ?? []).readUInt32LE(1)).toBe(5_000);
    expect(Buffer.from(budget[1] ?? []).readBigUInt64LE(1)).toBe(300n);
  });

  test('another wallet takes no intent over: it is refused once it provably never landed', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const database = new MemoryDatabase();
    chain.accepts = () => false;
    const first = await startSender(chain, [endpoint], { database });
    await first.submit(transferIntent('pay/1'), { signal: signal() });
    await untilRecord(first, 'pay/1', ({ state }) => state === 'sent');
    await first.stop();
    const signer = new KeypairSigner({ seed: new Uint8Array(32).fill(4), description: 'another' });
    const second = await startSender(chain, [endpoint], { database, signer });
    const record = await second.wait('pay/1', { signal: signal(), until: 'finalized' });
    expect(record).toMatchObject({ state: 'refused', problem: { code: 'CHAIN_OTHER_SIGNER' } });
    expect(chain.landed).toHaveLength(0);
  });

  test('an intent for one chain is not sent to another', async () => {
    const chain = makeChain();
    const database = new MemoryDatabase();
    const first = await startSender(chain, [await openEndpoint(chain)], { database });
    await first.stop();
    await first.submit(transferIntent('pay/1'), { signal: signal() });
    const other = makeChain({ name: 'another' });
    run(other);
    const second = await startSender(other, [await openEndpoint(other)], { database });
    await sendAndWait(second, transferIntent('pay/2'));
    expect(await second.get('pay/1')).toBeUndefined();
    expect(other.landed).toHaveLength(1);
  });

  test('old terminal records are pruned, open ones never', async () => {
    const chain = makeChain();
    run(chain);
    const endpoint = await openEndpoint(chain);
    const database = new MemoryDatabase();
    const first = await startSender(chain, [endpoint], { database });
    for (const key of ['a', 'b', 'c']) await sendAndWait(first, transferIntent(key));
    await first.stop();
    await first.submit(transferIntent('open'), { signal: signal() });
    chain.accepts = () => false;
    const second = await startSender(chain, [endpoint], { database, maxTerminal: 1 });
    await untilRecord(second, 'open', () => database.rows('chain-transactions').size === 2);
    expect(await second.get('c')).toMatchObject({ state: 'finalized' });
    expect(await second.get('a')).toBeUndefined();
  });
});

/** What an endpoint would answer, altered. */
function altered(chain: ScriptedChain, call: RpcCallSeen, change: (answer: Record<string, unknown>) => unknown) {
  const answer = answerRpc(chain, call.method, call.params) as Record<string, unknown>;
  return { kind: 'result' as const, result: change(answer) };
}

describe('two endpoints', () => {
  test('finality needs both', async () => {
    const chain = makeChain();
    run(chain);
    const [first, second] = [await openEndpoint(chain), await openEndpoint(chain)];
    second.script = (call) =>
      call.method === 'getSignatureStatuses'
        ? altered(chain, call, (answer) => ({
            ...answer,
            value: (answer['value'] as (Record<string, unknown> | null)[]).map((status) =>
              status === null ? null : { ...status, confirmationStatus: 'confirmed' },
            ),
          }))
        : undefined;
    const sender = await startSender(chain, [first, second]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    await sender.wait('pay/1', { signal: signal(), until: 'confirmed' });
    const { height } = chain.head;
    await untilRecord(sender, 'pay/1', () => chain.head.height > height + 10);
    expect(await sender.get('pay/1')).toMatchObject({ state: 'confirmed' });
    second.behave();
    expect(await sender.wait('pay/1', { signal: signal(), until: 'finalized' })).toMatchObject({ state: 'finalized' });
  });

  test('one that calls it final where the other does not know it is believed by nobody', async () => {
    const chain = makeChain({ lifetime: 10_000 });
    run(chain, 2);
    const [honest, liar] = [await openEndpoint(chain), await openEndpoint(chain)];
    chain.accepts = () => false;
    const status = { slot: 5, confirmations: null, err: null, confirmationStatus: 'finalized' };
    liar.script = (call) =>
      call.method === 'getSignatureStatuses'
        ? { kind: 'result', result: { context: { slot: chain.head.slot }, value: [status] } }
        : undefined;
    const sender = await startSender(chain, [honest, liar]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    const record = await untilRecord(sender, 'pay/1', ({ problem }) => problem?.code === 'CHAIN_ENDPOINTS_DISAGREE');
    expect(record.state).not.toBe('finalized');
    expect(record.problem?.message).toContain(`${liar.url} says finalized in slot 5`);
    expect(record.problem?.message).toContain(`${honest.url} says unknown`);
  });

  test('two that are final with other results contradict each other', async () => {
    const chain = makeChain();
    run(chain);
    const [honest, liar] = [await openEndpoint(chain), await openEndpoint(chain)];
    liar.script = (call) =>
      call.method === 'getSignatureStatuses'
        ? altered(chain, call, (answer) => ({
            ...answer,
            value: (answer['value'] as (Record<string, unknown> | null)[]).map((status) =>
              status === null ? null : { ...status, err: { InstructionError: [0, { Custom: 9 }] } },
            ),
          }))
        : undefined;
    const sender = await startSender(chain, [honest, liar]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    const record = await untilRecord(sender, 'pay/1', ({ problem }) => problem?.code === 'CHAIN_ENDPOINTS_DISAGREE');
    expect(record.problem?.message).toContain('Custom');
    liar.behave();
    expect(await sender.wait('pay/1', { signal: signal(), until: 'finalized' })).toMatchObject({ state: 'finalized' });
  });

  test('a liar that denies a transaction cannot have it signed anew', async () => {
    const chain = makeChain();
    run(chain);
    const [honest, liar] = [await openEndpoint(chain), await openEndpoint(chain)];
    const denying = (call: RpcCallSeen) => {
      if (call.method === 'getSignatureStatuses') {
        return { kind: 'result' as const, result: { context: { slot: chain.head.slot }, value: [null] } };
      }
      return undefined;
    };
    // The liar denies; the honest one has no history, and its memory of it is short.
    liar.script = denying;
    const sender = await startSender(chain, [honest, liar]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    await untilRecord(sender, 'pay/1', () => chain.landed.length === 1);
    honest.script = (call) => {
      const [, config] = call.params as [unknown, { searchTransactionHistory?: boolean } | undefined];
      if (call.method !== 'getSignatureStatuses') return undefined;
      return config?.searchTransactionHistory === true
        ? { kind: 'fault', code: -32_011, message: 'Transaction history is not available' }
        : denying(call);
    };
    const { height } = chain.head;
    await untilRecord(sender, 'pay/1', () => chain.head.height > height + 3 * LIFETIME);
    expect((await sender.get('pay/1'))?.attempts).toHaveLength(1);
    honest.behave();
    liar.behave();
    await sender.wait('pay/1', { signal: signal(), until: 'finalized' });
    expect(chain.landed).toHaveLength(1);
  });

  test('a height that is told too low does not make an attempt look expired', async () => {
    const chain = makeChain({ lifetime: 10_000 });
    run(chain);
    const [honest, liar] = [await openEndpoint(chain), await openEndpoint(chain)];
    chain.accepts = () => false;
    liar.script = (call) =>
      call.method === 'getLatestBlockhash'
        ? altered(chain, call, (answer) => ({
            ...answer,
            value: { ...(answer['value'] as Record<string, unknown>), lastValidBlockHeight: 9_500 },
          }))
        : undefined;
    const sender = await startSender(chain, [liar, honest]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    const record = await untilRecord(sender, 'pay/1', ({ state }) => state === 'sent');
    expect(record.attempts[0]?.lastValidBlockHeight).toBeGreaterThan(10_000);
  });

  test('signed while one endpoint is down, it is not called expired by the word of the other', async () => {
    const chain = makeChain();
    run(chain);
    const [first, second] = [await openEndpoint(chain), await openEndpoint(chain)];
    chain.accepts = () => false;
    second.misbehave({ kind: 'reset' });
    first.script = (call) =>
      call.method === 'getLatestBlockhash'
        ? altered(chain, call, (answer) => ({
            ...answer,
            value: { ...(answer['value'] as Record<string, unknown>), lastValidBlockHeight: 1 },
          }))
        : undefined;
    const sender = await startSender(chain, [first, second]);
    await sender.submit(transferIntent('pay/1'), { signal: signal() });
    const sent = await untilRecord(sender, 'pay/1', ({ state }) => state === 'sent');
    expect(sent.attempts[0]?.lastValidBlockHeight).toBe(1);
    second.behave();
    const raised = await untilRecord(
      sender,
      'pay/1',
      ({ attempts }) => (attempts[0]?.lastValidBlockHeight ?? 0) > chain.head.height,
    );
    expect(raised.attempts[0]?.outcome).toBe('pending');
  });

  test('refused by one that is behind, and fine for the other: it is sent', async () => {
    const chain = makeChain();
    run(chain);
    const [behind, ahead] = [await openEndpoint(chain), await openEndpoint(chain)];
    behind.misbehave(
      { kind: 'result', result: { context: { slot: 1 }, value: { err: 'AccountNotFound', logs: [], accounts: null } } },
      'simulateTransaction',
    );
    const sender = await startSender(chain, [behind, ahead]);
    expect(await sendAndWait(sender, transferIntent('pay/1'))).toMatchObject({ state: 'finalized' });
  });
});
