/**
 * Blobs from one and from four other processes to the disk of this one, verified, against the same bytes over a bare TLS 1.3
 * socket in the same run: one whose bytes are thrown away and one whose bytes go to a file. And what the transfer does to
 * the round trip of a small request. 4 GiB with FOGPROOF_BENCH_LARGE=1.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { BlobId, PeerKey } from '../src/domain/ids.ts';
import { type BlobHost, startBlobHost } from '../test/support/blob-host.ts';
import { leaseOf } from '../test/support/snapshots.ts';
import type { SourceAnswer, SourceOrder } from './blob-messages.ts';
import { atLeast, atMost, type BenchRow, percentile } from './rows.ts';

const MIB = 2 ** 20;
const SOURCES = 4;
const SIZES = [
  { name: '1 MiB', sizeBytes: MIB, rounds: 9 },
  { name: '100 MiB', sizeBytes: 100 * MIB, rounds: 6 },
  { name: '4 GiB', sizeBytes: 4096 * MIB, rounds: 1 },
] as const;
const LEASE = leaseOf(1);
const LATENCY = { quietRequests: 100, rounds: 3, pauseMs: 2 } as const;
const WAYS = [
  { name: 'loopback', sizeBytes: 100 * MIB, link: null },
  { name: '8 MiB/s and 20 ms', sizeBytes: 16 * MIB, link: { bytesPerSecond: 8 * MIB, delayMs: 10 } },
] as const;

interface Source {
  readonly child: ChildProcess;
  readonly address: string;
  readonly peer: PeerKey;
  readonly port: number;
}

interface Parts {
  readonly host: BlobHost;
  readonly sources: readonly Source[];
}

export async function benchBlobs(): Promise<readonly BenchRow[]> {
  const host = await startBlobHost();
  const sources: Source[] = [];
  try {
    for (let index = 0; index < SOURCES; index++) sources.push(await startSource(host));
    const rows: BenchRow[] = [];
    for (const size of SIZES) {
      if (process.env['FOGPROOF_BENCH_ONLY'] === 'latency') continue;
      if (size.sizeBytes > 1024 * MIB && !(await isLargeWanted(host, size.sizeBytes))) continue;
      rows.push(...(await benchSize({ host, sources }, size)));
    }
    for (const way of WAYS) rows.push(...(await benchLatency(sources, way)));
    return rows;
  } finally {
    for (const { child } of sources) child.disconnect();
    const living = sources.filter(({ child }) => child.exitCode === null);
    await Promise.all(living.map(({ child }) => once(child, 'exit')));
    await host[Symbol.asyncDispose]();
  }
}

/** Each source has the file and its blob. */
async function isLargeWanted(host: BlobHost, sizeBytes: number): Promise<boolean> {
  if (process.env['FOGPROOF_BENCH_LARGE'] !== '1') return false;
  const { bavail, bsize } = await statfs(host.folder);
  // The first source has two, this process what came from one and from four, and for a while what the socket wrote.
  const needed = (2 * (SOURCES + 1) + 3) * sizeBytes;
  if (bavail * bsize > needed + 2 ** 30) return true;
  console.log(`4 GiB is left out: ${needed / 2 ** 30} GiB of disk are needed`);
  return false;
}

async function startSource(host: BlobHost): Promise<Source> {
  const child = fork(join(import.meta.dirname, 'blob-source.ts'), { stdio: 'inherit' });
  const ready = await nextAnswer(child);
  if (ready.kind !== 'ready') throw new TypeError('a source did not start');
  await host.node.network.connect(ready.address);
  return { child, address: ready.address, peer: ready.peer, port: ready.port };
}

async function nextAnswer(child: ChildProcess): Promise<SourceAnswer> {
  const [answer] = (await once(child, 'message')) as [SourceAnswer];
  return answer;
}

/** Has the sources make a file of that size; every round has another one, since a blob that is here is not moved again. */
async function makeBlob({ host, sources }: Parts, sizeBytes: number): Promise<{ blob: BlobId; sizeBytes: number }> {
  const answers = sources.map(({ child }) => nextAnswer(child));
  const order: SourceOrder = { sizeBytes, reader: host.node.identity.peer };
  for (const { child } of sources) child.send(order);
  const [made] = await Promise.all(answers);
  if (made?.kind !== 'has') throw new TypeError('a source made nothing');
  return made;
}

async function benchSize(parts: Parts, size: (typeof SIZES)[number]): Promise<readonly BenchRow[]> {
  const [one, four, bare, filed]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < size.rounds; round++) {
    // Sizes differ by a few bytes, so that no blob is here before.
    const first = { ...parts, sources: parts.sources.slice(0, 1) };
    const single = await makeBlob(first, size.sizeBytes + 16 + 2 * round);
    one.push(await measureFetch(first, single));
    bare.push(await measureSocket(parts, size.sizeBytes, null));
    filed.push(await measureFiled(parts, size.sizeBytes, round));
    four.push(await measureFetch(parts, await makeBlob(parts, size.sizeBytes + 17 + 2 * round)));
  }
  // The fastest of each: what others do on the machine only ever adds.
  const rate = (durations: readonly number[]): number => size.sizeBytes / MIB / (Math.min(...durations) / 1000);
  const [bareRate, filedRate] = [rate(bare), rate(filed)];
  const rows: BenchRow[] = [
    { name: `${size.name} over a bare TLS 1.3 socket`, value: bareRate, unit: 'MiB/s' },
    { name: `${size.name} over a bare TLS 1.3 socket to a file`, value: filedRate, unit: 'MiB/s' },
  ];
  const bounds = { goal: atLeast(0.8, 'ratio'), floor: atLeast(0.4, 'ratio') };
  for (const [name, durations] of [['one source', one] as const, ['four sources', four] as const]) {
    const row = { name: `blob of ${size.name} from ${name}, to disk`, value: rate(durations), unit: 'MiB/s' };
    rows.push({ ...row, baseline: { name: 'the socket', value: bareRate }, ...bounds });
    rows.push({ ...row, baseline: { name: 'the socket to a file', value: filedRate } });
  }
  return rows;
}

async function measureFetch(parts: Parts, { blob, sizeBytes }: { blob: BlobId; sizeBytes: number }): Promise<number> {
  const startedMs = performance.now();
  await parts.host.transfers.fetchBlob({ blob, sizeBytes, sources: parts.sources.map(({ peer }) => peer) });
  return performance.now() - startedMs;
}

/** Into a new file each time, as a blob is: one that is written again finds its pages in memory. */
async function measureFiled(parts: Parts, sizeBytes: number, round: number): Promise<number> {
  const path = join(parts.host.folder, `socket-${round}.bin`);
  const durationMs = await measureSocket(parts, sizeBytes, path);
  await rm(path);
  return durationMs;
}

async function measureSocket({ sources }: Parts, sizeBytes: number, path: string | null): Promise<number> {
  const [source] = sources;
  if (source === undefined) throw new TypeError('there is no source');
  const socket = connect({ port: source.port, host: '127.0.0.1', rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  await once(socket, 'secureConnect');
  const file = path === null ? null : await open(path, 'w');
  const startedMs = performance.now();
  const request = Buffer.alloc(8);
  request.writeBigUInt64BE(BigInt(sizeBytes));
  socket.write(request);
  let received = 0;
  for await (const data of socket) {
    received += (data as Buffer).length;
    await file?.write(data as Buffer);
  }
  await file?.datasync();
  const durationMs = performance.now() - startedMs;
  await file?.close();
  if (received !== sizeBytes) throw new TypeError(`${received} bytes came over the socket`);
  return durationMs;
}

interface RoundTrips {
  readonly quiet: number[];
  readonly busy: number[];
}

/**
 * Round trips of a `job` request to the peer that sends the blob: with a connection of its own for bulk, and with one for
 * all. In turns, the first of each for warming up: V8 marks a young heap far more often.
 */
async function benchLatency([source]: readonly Source[], way: (typeof WAYS)[number]): Promise<readonly BenchRow[]> {
  if (source === undefined) throw new TypeError('there is no source');
  await using own = await startBlobHost();
  await using shared = await startBlobHost({ sharesConnections: true });
  await using link = await openLink(source, way);
  const measured = new Map<BlobHost, RoundTrips>([own, shared].map((host) => [host, { quiet: [], busy: [] }]));
  for (const host of measured.keys()) await host.node.network.connect(link.address);
  for (let round = 0; round <= LATENCY.rounds; round++) {
    for (const [host, roundTrips] of measured) {
      const { quiet, busy } = await measureBeside({ host, sources: [source] }, way.sizeBytes + 3 + 2 * round);
      if (round === 0) continue;
      roundTrips.quiet.push(...quiet);
      roundTrips.busy.push(...busy);
    }
  }
  return [...measured].flatMap(([host, roundTrips]) =>
    describeLatency(roundTrips, `${way.name}${host === shared ? ', one connection' : ''}`),
  );
}

/** The way to a source: loopback itself, or a slow link over it. */
async function openLink(source: Source, { link }: (typeof WAYS)[number]) {
  if (link === null) return { address: source.address, [Symbol.asyncDispose]: async () => undefined };
  const port = /\/tcp\/(\d+)/.exec(source.address)?.[1] ?? '';
  const figures = [port, String(link.bytesPerSecond), String(link.delayMs)];
  const child = fork(join(import.meta.dirname, 'slow-link.ts'), figures, { stdio: 'inherit' });
  const [own] = (await once(child, 'message')) as [number];
  const dispose = async (): Promise<void> => {
    child.disconnect();
    await once(child, 'exit');
  };
  return { address: source.address.replace(`/tcp/${port}`, `/tcp/${own}`), [Symbol.asyncDispose]: dispose };
}

async function measureBeside(parts: Parts, sizeBytes: number): Promise<RoundTrips> {
  const blob = await makeBlob(parts, sizeBytes);
  const quiet = await measureRoundTrips(parts, (count) => count < LATENCY.quietRequests);
  let isMoving = true;
  const moving = measureFetch(parts, blob).finally(() => {
    isMoving = false;
  });
  const busy = await measureRoundTrips(parts, () => isMoving);
  await moving;
  return { quiet, busy };
}

function describeLatency({ quiet, busy }: RoundTrips, way: string): readonly BenchRow[] {
  return [0.5, 0.99].map((share) => ({
    name: `job request as a blob moves, ${way}, p${share * 100}`,
    value: percentile(busy, share),
    unit: 'ms',
    baseline: { name: 'nothing moves', value: percentile(quiet, share) },
    ...(way.endsWith('one connection') ? {} : { goal: atMost(2, 'ratio') }),
  }));
}

async function measureRoundTrips({ host, sources }: Parts, goesOn: (count: number) => boolean): Promise<number[]> {
  const peer = sources[0]?.peer;
  if (peer === undefined) throw new TypeError('there is no source');
  const durations: number[] = [];
  while (goesOn(durations.length)) {
    const startedMs = performance.now();
    await host.node.network.request(peer, 'job', { op: 'close', leases: [LEASE] });
    durations.push(performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, LATENCY.pauseMs));
  }
  return durations;
}

if (import.meta.main) console.table(await benchBlobs());
