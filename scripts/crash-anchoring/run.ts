import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Keypair } from '@solana/web3.js';
import { computeLogAddress } from '../../src/chain/anchoring/anchor-log.ts';
import { SolanaAddress } from '../../src/domain/chain.ts';
import { encodeHex } from '../../src/lib/bytes.ts';
import { LevelDatabase } from '../../src/storage/level-database.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { PROOF_ANCHOR, readProofAnchor, startAnchoringNode } from '../../test/support/anchoring-node.ts';
import { startLocalnet } from '../../test/support/localnet.ts';
import type { ChildLine, ChildTask } from './child.ts';
import { createLeaf, seededRandom } from './leaves.ts';
import { Rival } from './rival.ts';
import { type Verified, verifyRun } from './verify.ts';

export interface CrashRunOptions {
  readonly kills: number;
  readonly seed: number;
  /** New leaves for each life of the process. */
  readonly leavesPerLife?: number;
  readonly onKill?: (kills: number) => void;
}

export interface CrashReport extends Verified {
  readonly kills: number;
  /** Kills before the process had started. */
  readonly duringStart: number;
  readonly seed: number;
  readonly leavesGiven: number;
  /** Leaves that the process had said to have taken when it was killed: given once only. */
  readonly givenOnce: number;
  readonly seconds: number;
}

const CHILD = new URL('child.ts', import.meta.url).pathname;
/** Moments after the start at which it is killed, in ms: a batch takes some 100. */
const KILL_WITHIN_MS = 700;
const FINAL_TIMEOUT_MS = 120_000;
const RIVAL_EVERY_MS = 300;

type Draw = (below: number) => number;

/** Kills a process that anchors, again and again, against a chain that stays up; then looks at what is on the chain. */
export async function runCrashes(options: CrashRunOptions): Promise<CrashReport> {
  const startMs = performance.now();
  const { kills, seed, leavesPerLife = 40 } = options;
  const draw = seededRandom(seed);
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-crash-'));
  stack.defer(async () => await rm(folder, { recursive: true, force: true }));
  const net = stack.use(await startLocalnet({ programs: [await readProofAnchor()] }));
  const walletSeed = new Uint8Array(32).map(() => draw(256));
  const wallet = Keypair.fromSeed(walletSeed);
  const log = computeLogAddress(PROOF_ANCHOR, SolanaAddress(wallet.publicKey.toBase58()));
  await net.airdrop(wallet.publicKey, 10_000_000_000);
  const rival = new Rival({ connection: net.connection, program: PROOF_ANCHOR, log, wallet });
  await net.airdrop(rival.address, 1_000_000_000);
  const meddling = setInterval(() => {
    rival.append(new Uint8Array(32).map(() => draw(256))).catch(() => undefined);
  }, RIVAL_EVERY_MS);
  stack.defer(() => clearInterval(meddling));
  const database = join(folder, 'db');
  const { genesis } = net.status;
  const task = { database, rpcUrl: net.url, genesis, walletSeed: encodeHex(walletSeed), leafSeed: seed };

  const untaken = new Set<number>();
  let given = 0;
  let duringStart = 0;
  for (let life = 0; life <= kills; life++) {
    for (let each = 0; each < leavesPerLife; each++) untaken.add(given++);
    const isLast = life === kills;
    const run = { ...task, leaves: [...untaken], callLeaves: 1 + draw(12), untilFinal: isLast };
    const lived = isLast ? await liveToTheEnd(run, untaken) : await liveAndDie(run, untaken, draw);
    if (!lived) duringStart += 1;
    if (!isLast) options.onKill?.(life + 1);
  }
  clearInterval(meddling);
  const verified = await verify(task, { net, log, wallet: walletSeed, rival, given });
  return {
    ...verified,
    kills,
    duringStart,
    seed,
    leavesGiven: given,
    givenOnce: given - untaken.size,
    seconds: (performance.now() - startMs) / 1000,
  };
}

type Child = ChildProcessByStdio<null, Readable, null>;

function start(task: ChildTask): Child {
  return spawn(process.execPath, [...process.execArgv, CHILD, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Reads what it says until it has ended. */
async function listen(child: Child, onLine: (line: ChildLine) => void): Promise<void> {
  for await (const line of createInterface({ input: child.stdout })) {
    // A line that the kill cut off was not said.
    if (line.endsWith('}')) onLine(JSON.parse(line) as ChildLine);
  }
}

/** @returns whether it had started before it died */
async function liveAndDie(task: ChildTask, untaken: Set<number>, draw: Draw): Promise<boolean> {
  const child = start(task);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let hasStarted = false;
  const dieSoon = (ms: number) => setTimeout(() => child.kill('SIGKILL'), ms);
  // One in ten dies while it starts; the others at any moment of their work.
  if (draw(10) === 0) dieSoon(draw(1_500));
  const killAfterMs = draw(KILL_WITHIN_MS);
  await listen(child, (line) => {
    if (line.kind === 'started') {
      hasStarted = true;
      dieSoon(killAfterMs);
    } else if (line.kind === 'taken') {
      for (const number of line.leaves) untaken.delete(number);
    } else if (line.kind === 'failed') {
      throw new Error(`the process failed by itself: ${line.reason}`);
    }
  });
  await ended;
  return hasStarted;
}

async function liveToTheEnd(task: ChildTask, untaken: Set<number>): Promise<boolean> {
  const child = start(task);
  const deadline = setTimeout(() => child.kill('SIGKILL'), FINAL_TIMEOUT_MS);
  let isFinal = false;
  await listen(child, (line) => {
    if (line.kind === 'taken') for (const number of line.leaves) untaken.delete(number);
    if (line.kind === 'final') isFinal = true;
    if (line.kind === 'failed') throw new Error(`the process failed by itself: ${line.reason}`);
  });
  clearTimeout(deadline);
  if (!isFinal) throw new Error(`not all was final after ${FINAL_TIMEOUT_MS} ms`);
  return true;
}

async function verify(
  task: Pick<ChildTask, 'database' | 'rpcUrl' | 'leafSeed'>,
  run: {
    readonly net: Awaited<ReturnType<typeof startLocalnet>>;
    readonly log: SolanaAddress;
    readonly wallet: Uint8Array;
    readonly rival: Rival;
    readonly given: number;
  },
): Promise<Verified> {
  const { net, log, rival, given } = run;
  await using database = await LevelDatabase.open(task.database, { logger: new NoopLogger() });
  await using node = await startAnchoringNode(database, {
    rpcUrl: task.rpcUrl,
    genesis: net.status.genesis,
    seed: run.wallet,
  });
  const leaves = Array.from({ length: given }, (_, number) => createLeaf(task.leafSeed, number));
  return await verifyRun(
    database,
    { reader: node.reader, connection: net.connection, place: { program: PROOF_ANCHOR, log } },
    { leaves, rivalRoots: rival.roots },
  );
}
