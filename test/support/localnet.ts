import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection, Keypair, type PublicKey } from '@solana/web3.js';
import { SystemClock } from '../../src/lib/clock.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { LocalChainStatus } from '../../src/localnet/interface.ts';
import { LiteLocalChain } from '../../src/localnet/lite-local-chain.ts';
import type { LocalnetOptions } from '../../src/localnet/options.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';

export interface TestLocalnet extends AsyncDisposable {
  readonly chain: LiteLocalChain;
  readonly url: string;
  readonly webSocketUrl: string;
  readonly status: LocalChainStatus;
  /** To the chain, at `confirmed` unless said otherwise. Its sockets end with the localnet. */
  readonly connection: Connection;
  /** A new key with that many lamports (10 SOL by default), confirmed. */
  fund(lamports?: number): Promise<Keypair>;
  airdrop(address: PublicKey, lamports: number): Promise<void>;
  /** Waits until it is confirmed, failed or not: web3.js stops waiting as soon as it sees an error. */
  settle(signature: string): Promise<void>;
}

/**
 * A local chain on free ports of the loopback, in a folder of its own that goes with it. Slots take 20 ms unless said
 * otherwise: `confirmed` follows within one, `finalized` within two.
 */
export async function startLocalnet(options: Partial<LocalnetOptions> = {}): Promise<TestLocalnet> {
  const temporary = options.directory === undefined ? await mkdtemp(join(tmpdir(), 'fogproof-localnet-')) : undefined;
  const chain = new LiteLocalChain(
    { clock: new SystemClock(), random: new SystemRandom(), logger: new NoopLogger() },
    { directory: temporary ?? null, port: 0, slotMs: 20, ...options },
  );
  await chain.start({ signal: AbortSignal.timeout(20_000) });
  const status = chain.status();
  const { url, webSocketUrl } = status;
  const requests = new Set<Promise<unknown>>();
  const trackedFetch: typeof fetch = async (...request) => {
    const answered = fetch(...request);
    const settled: Promise<unknown> = answered.catch(() => {}).finally(() => requests.delete(settled));
    requests.add(settled);
    return await answered;
  };
  const connection = new Connection(url, { commitment: 'confirmed', wsEndpoint: webSocketUrl, fetch: trackedFetch });
  // It keeps a block hash for 30 s; with slots of 20 ms one lives for 3.
  (connection as unknown as { _disableBlockhashCaching: boolean })._disableBlockhashCaching = true;
  const airdrop = async (address: PublicKey, lamports: number): Promise<void> => {
    const signature = await connection.requestAirdrop(address, lamports);
    const latest = await connection.getLatestBlockhash();
    await connection.confirmTransaction({ signature, ...latest }, 'confirmed');
  };
  return {
    chain,
    url,
    webSocketUrl,
    status,
    connection,
    airdrop,
    settle: (signature) =>
      new Promise((resolve) => {
        connection.onSignature(signature, () => resolve(), 'confirmed');
      }),
    fund: async (lamports = 10_000_000_000) => {
      const keypair = Keypair.generate();
      await airdrop(keypair.publicKey, lamports);
      return keypair;
    },
    [Symbol.asyncDispose]: async () => {
      endSockets(connection);
      // web3.js asks for more than it waits for, and nobody would hear that these failed.
      while (requests.size > 0) await Promise.all(requests);
      await chain[Symbol.asyncDispose]();
      if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
    },
  };
}

/** web3.js connects again for ever, and says so each time, while a subscription is left. */
function endSockets(connection: Connection): void {
  const { _rpcWebSocket: socket } = connection as unknown as {
    _rpcWebSocket: { setAutoReconnect(on: boolean): void; connect(): void; close(): void };
  };
  socket.setAutoReconnect(false);
  socket.connect = () => {};
  socket.close();
}
