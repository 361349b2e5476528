import { once } from 'node:events';
import {
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  SystemProgram,
  sendAndConfirmTransaction,
  Transaction,
  TransactionInstruction,
} from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';

let net: TestLocalnet;
let payer: Keypair;

beforeAll(async () => {
  net = await startLocalnet();
  payer = await net.fund(1000 * LAMPORTS_PER_SOL);
});
afterAll(() => net[Symbol.asyncDispose]());

const transfer = (to: PublicKey, lamports = 1_000_000) =>
  new Transaction().add(SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports }));
const send = (transaction: Transaction, ...signers: Keypair[]) =>
  sendAndConfirmTransaction(net.connection, transaction, [payer, ...signers]);

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly result?: number | boolean;
  readonly error?: { readonly code: number; readonly message: string };
  readonly params?: { readonly subscription: number; readonly result: { readonly value: unknown } };
}

/** A WebSocket client that knows no library. */
class RawSocket implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #messages: Message[] = [];
  #wake = Promise.withResolvers<void>();
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.#messages.push(JSON.parse(data.toString('utf8')) as Message);
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
  }

  static async open(url: string): Promise<RawSocket> {
    const socket = new WebSocket(url);
    const opened = new RawSocket(socket);
    await once(socket, 'open');
    return opened;
  }

  async call(method: string, ...params: unknown[]): Promise<Message> {
    const id = (this.#id += 1);
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return await this.next((message) => message.id === id);
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  async nextBatch(): Promise<readonly Message[]> {
    const batch: unknown = await this.next((message) => Array.isArray(message));
    return batch as readonly Message[];
  }

  async next(matches: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const index = this.#messages.findIndex(matches);
      const [found] = index < 0 ? [] : this.#messages.splice(index, 1);
      if (found !== undefined) return found;
      await this.#wake.promise;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
  }
}

describe('web3.js', () => {
  it.each(['processed', 'confirmed', 'finalized'] as const)('hears of an account at %s', async (commitment) => {
    const to = Keypair.generate().publicKey;
    const heard = Promise.withResolvers<[number, number]>();
    const id = net.connection.onAccountChange(to, ({ lamports }, { slot }) => heard.resolve([lamports, slot]), {
      commitment,
    });
    await subscribed(id);
    const signature = await send(transfer(to, 890_880));
    const [lamports, slot] = await heard.promise;
    expect(lamports).toBe(890_880);
    const status = await net.connection.getSignatureStatus(signature);
    expect(slot).toBe(status.value?.slot);
    await net.connection.removeAccountChangeListener(id);
  });

  it('hears of logs, of all and of one address', async () => {
    const program = new PublicKey('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr');
    const all = Promise.withResolvers<string>();
    const mentioned = Promise.withResolvers<readonly string[]>();
    const ids = [
      net.connection.onLogs('all', ({ signature }) => all.resolve(signature), 'processed'),
      net.connection.onLogs(program, ({ logs }) => mentioned.resolve(logs), 'confirmed'),
    ];
    await Promise.all(ids.map(subscribed));
    const memo = new TransactionInstruction({ programId: program, keys: [], data: Buffer.from('heard') });
    const signature = await send(new Transaction().add(memo));
    expect(await all.promise).toBe(signature);
    expect(await mentioned.promise).toContain('Program log: heard');
    await Promise.all(ids.map((id) => net.connection.removeOnLogsListener(id)));
  });

  it('hears of accounts of a program that match', async () => {
    const owner = Keypair.generate().publicKey;
    const heard: [string, number][] = [];
    const done = Promise.withResolvers<void>();
    const id = net.connection.onProgramAccountChange(
      owner,
      ({ accountId, accountInfo }) => {
        heard.push([accountId.toBase58(), accountInfo.data.length]);
        done.resolve();
      },
      { commitment: 'confirmed', filters: [{ dataSize: 33 }] },
    );
    await subscribed(id);
    const accounts = [32, 33].map((space) => ({ space, key: Keypair.generate() }));
    for (const { space, key } of accounts) {
      const lamports = await net.connection.getMinimumBalanceForRentExemption(space);
      const create = SystemProgram.createAccount({
        fromPubkey: payer.publicKey,
        newAccountPubkey: key.publicKey,
        lamports,
        space,
        programId: owner,
      });
      await send(new Transaction().add(create), key);
    }
    await done.promise;
    expect(heard).toEqual([[accounts[1]?.key.publicKey.toBase58(), 33]]);
    await net.connection.removeProgramAccountChangeListener(id);
  });

  it('hears of slots and roots, each once and in order', async () => {
    const slots: number[] = [];
    const roots: number[] = [];
    const done = Promise.withResolvers<void>();
    const ids = [
      net.connection.onSlotChange(({ slot, parent, root }) => {
        slots.push(slot);
        expect([parent, root]).toEqual([slot - 1, slot - 2]);
        if (slots.length >= 5 && roots.length >= 5) done.resolve();
      }),
      net.connection.onRootChange((root) => roots.push(root)),
    ];
    await done.promise;
    for (const list of [slots, roots]) expect(list).toEqual(list.map((_, index) => (list[0] ?? 0) + index));
    await net.connection.removeSlotChangeListener(ids[0] ?? 0);
    await net.connection.removeRootChangeListener(ids[1] ?? 0);
  });

  it('hears what happens inside a slot', async () => {
    const types = new Set<string>();
    const done = Promise.withResolvers<void>();
    const id = net.connection.onSlotUpdate(({ type }) => {
      types.add(type);
      if (types.size === 6) done.resolve();
    });
    await done.promise;
    expect(types).toEqual(
      new Set(['completed', 'frozen', 'firstShredReceived', 'createdBank', 'optimisticConfirmation', 'root']),
    );
    await net.connection.removeSlotUpdateListener(id);
  });

  /** The client subscribes on its own time. */
  async function subscribed(id: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const subscriptions = net.connection as unknown as {
        _onSubscriptionStateChange(id: number, callback: (state: string) => void): () => void;
        _subscriptionHashByClientSubscriptionId: Record<number, string>;
        _subscriptionsByHash: Record<string, { state: string }>;
      };
      const hash = subscriptions._subscriptionHashByClientSubscriptionId[id] ?? '';
      if (subscriptions._subscriptionsByHash[hash]?.state === 'subscribed') return resolve();
      subscriptions._onSubscriptionStateChange(id, (state) => state === 'subscribed' && resolve());
    });
  }
});

describe('the protocol', () => {
  it('answers on both ports, and ends a signature subscription by itself', async () => {
    for (const url of [net.webSocketUrl, net.url.replace('http', 'ws')]) {
      await using socket = await RawSocket.open(url);
      const transaction = transfer(Keypair.generate().publicKey);
      const latest = await net.connection.getLatestBlockhash();
      transaction.recentBlockhash = latest.blockhash;
      transaction.feePayer = payer.publicKey;
      transaction.sign(payer);
      const [signature] = transaction.signatures.map((one) => one.signature);
      const { base58btc } = await import('multiformats/bases/base58');
      const name = base58btc.baseEncode(signature ?? new Uint8Array());
      const { result } = await socket.call('signatureSubscribe', name, {
        commitment: 'confirmed',
        enableReceivedNotification: true,
      });
      await net.connection.sendRawTransaction(transaction.serialize());
      const notifications = [await socket.next(isOf(result)), await socket.next(isOf(result))];
      expect(notifications.map(({ method }) => method)).toEqual(['signatureNotification', 'signatureNotification']);
      expect(notifications.map(({ params }) => params?.result.value)).toEqual(['receivedSignature', { err: null }]);
      expect((await socket.call('signatureUnsubscribe', result)).error).toMatchObject({ code: -32602 });
      const { result: late } = await socket.call('signatureSubscribe', name, { commitment: 'confirmed' });
      expect((await socket.next(isOf(late))).params?.result.value).toEqual({ err: null });
    }
  });

  it('tells of blocks', async () => {
    await using socket = await RawSocket.open(net.webSocketUrl);
    const to = Keypair.generate().publicKey;
    const { result } = await socket.call(
      'blockSubscribe',
      { mentionsAccountOrProgram: to.toBase58() },
      { commitment: 'confirmed', transactionDetails: 'signatures' },
    );
    const signature = await send(transfer(to, 890_880));
    const { params } = await socket.next(isOf(result));
    expect(params?.result.value).toMatchObject({
      err: null,
      block: { signatures: [signature], blockhash: expect.any(String) },
    });
    expect((await socket.call('blockSubscribe', 'all', { commitment: 'processed' })).error).toMatchObject({
      code: -32602,
    });
  });

  it('stops when told to', async () => {
    await using socket = await RawSocket.open(net.webSocketUrl);
    const { result } = await socket.call('slotSubscribe');
    await socket.next(isOf(result));
    expect(await socket.call('slotUnsubscribe', result)).toMatchObject({ result: true });
    expect((await socket.call('slotUnsubscribe', result)).error).toMatchObject({ code: -32602 });
    expect((await socket.call('rootUnsubscribe', 'x')).error).toMatchObject({ code: -32602 });
  });

  it('answers garbage with an error and goes on', async () => {
    await using socket = await RawSocket.open(net.webSocketUrl);
    for (const [text, code] of [
      ['{', -32700],
      ['[]', -32600],
      ['1', -32600],
      ['{"jsonrpc":"2.0","id":1,"method":"voteSubscribe"}', -32601],
      ['{"jsonrpc":"2.0","id":1,"method":"getSlot"}', -32601],
      ['{"jsonrpc":"2.0","id":1,"method":"accountSubscribe","params":["nonsense"]}', -32602],
      ['{"jsonrpc":"2.0","id":1,"method":"logsSubscribe","params":[{"mentions":[]}]}', -32602],
    ] as const) {
      socket.send(text);
      expect((await socket.next((message) => 'error' in message)).error?.code).toBe(code);
    }
    // What web3.js sends to keep the connection: no answer is due.
    socket.send('{"jsonrpc":"2.0","method":"ping"}');
    expect(await socket.call('slotSubscribe')).toMatchObject({ result: expect.any(Number) });
  });

  it('bounds the subscriptions of a connection', async () => {
    await using socket = await RawSocket.open(net.webSocketUrl);
    const calls = Array.from({ length: 2_001 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'rootSubscribe' }));
    for (let start = 0; start < calls.length; start += 1_000)
      socket.send(JSON.stringify(calls.slice(start, start + 1_000)));
    const answers = [await socket.nextBatch(), await socket.nextBatch(), await socket.nextBatch()].flat();
    const refused = answers.filter(({ error }) => error !== undefined);
    expect(refused).toMatchObject([{ error: { message: expect.stringContaining('limit') } }]);
  });
});

function isOf(subscription: Message['result']): (message: Message) => boolean {
  return ({ params }) => params?.subscription === subscription;
}
