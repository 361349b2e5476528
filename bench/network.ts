/**
 * A request of 1 KiB over a kept stream between two processes, against an echo over a bare TLS 1.3 socket between the
 * same two processes in the same run.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { BlobId, type PeerKey } from '../src/domain/ids.ts';
import { computeRawCid } from '../src/lib/cid.ts';
import { startTestNode, type TestNode } from '../test/support/network.ts';
import { BENCH_LIMITS, MESSAGE_BYTES } from './network-settings.ts';
import { atMost, type BenchRow } from './rows.ts';

interface Answerer {
  readonly address: string;
  readonly peer: PeerKey;
  readonly port: number;
}

const WARM_UP = 2_000;
const ROUND_TRIPS = 2_000;
/** The two are measured in turns, so that a busy machine slows both. */
const ROUNDS = 5;
const IN_FLIGHT = 64;
const THROUGHPUT_REQUESTS = 20_000;

async function measureMedianUs(ask: () => Promise<unknown>, times: number): Promise<number> {
  const durations = new Float64Array(times);
  for (let index = 0; index < times; index++) {
    const startedMs = performance.now();
    await ask();
    durations[index] = performance.now() - startedMs;
  }
  return (durations.sort()[Math.floor(times / 2)] ?? 0) * 1000;
}

/** Requests a second with a fixed number under way. */
async function measureRate(ask: () => Promise<unknown>): Promise<number> {
  let left = THROUGHPUT_REQUESTS;
  const startedMs = performance.now();
  const work = async (): Promise<void> => {
    while (left-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return THROUGHPUT_REQUESTS / ((performance.now() - startedMs) / 1000);
}

/** Echo over a socket: answers come back in order, so each that is whole ends the oldest wait. */
function createEcho(socket: TLSSocket): () => Promise<void> {
  const message = Buffer.alloc(MESSAGE_BYTES);
  const waiting: (() => void)[] = [];
  let received = 0;
  socket.on('data', (data: Buffer) => {
    received += data.length;
    for (; received >= MESSAGE_BYTES; received -= MESSAGE_BYTES) waiting.shift()?.();
  });
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      socket.write(message);
    });
}

async function startAnswerer(): Promise<{ child: ChildProcess; answerer: Answerer }> {
  const child = fork(join(import.meta.dirname, 'network-answerer.ts'));
  const [answerer] = (await once(child, 'message')) as [Answerer];
  return { child, answerer };
}

async function openSocket(port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  await once(socket, 'secureConnect');
  socket.setNoDelay(true);
  return socket;
}

function createAsk(node: TestNode, peer: PeerKey): () => Promise<unknown> {
  const blob = BlobId(computeRawCid(new Uint8Array(MESSAGE_BYTES)).toString());
  return () => node.network.request(peer, 'blob', { op: 'read', blob, offset: 0, maxBytes: MESSAGE_BYTES });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

export async function benchNetwork(): Promise<readonly BenchRow[]> {
  const { child, answerer } = await startAnswerer();
  const socket = await openSocket(answerer.port);
  const node = await startTestNode({ options: { limits: BENCH_LIMITS } });
  try {
    await node.network.connect(answerer.address);
    const ask = createAsk(node, answerer.peer);
    const echo = createEcho(socket);
    await measureMedianUs(ask, WARM_UP);
    await measureMedianUs(echo, WARM_UP);
    const request: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      request.push(await measureMedianUs(ask, ROUND_TRIPS));
      bare.push(await measureMedianUs(echo, ROUND_TRIPS));
    }
    const requestRate = await measureRate(ask);
    const bareRate = await measureRate(echo);
    const bareMedian = median(bare);
    return [
      { name: 'echo of 1 KiB over a bare TLS 1.3 socket, p50', value: bareMedian, unit: 'µs' },
      {
        name: 'request of 1 KiB over a kept stream, p50',
        value: median(request),
        unit: 'µs',
        baseline: { name: 'a bare TLS 1.3 socket', value: bareMedian },
        goal: atMost(2.5, 'ratio'),
        floor: atMost(3.5, 'ratio'),
      },
      { name: `echoes over a bare TLS 1.3 socket, ${IN_FLIGHT} in flight`, value: bareRate, unit: '1/s' },
      {
        name: `requests over a kept stream, ${IN_FLIGHT} in flight`,
        value: requestRate,
        unit: '1/s',
        baseline: { name: 'a bare TLS 1.3 socket', value: bareRate },
      },
    ];
  } finally {
    await node.network.stop();
    socket.destroy();
    if (child.connected) child.disconnect();
    if (child.exitCode === null) await once(child, 'exit');
  }
}

if (import.meta.main) console.table(await benchNetwork());
