import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { BLOB_DISK_SHARE, BLOB_MAX_BYTES, RESERVE_SHARE, SNAPSHOT_MAX_BYTES } from './constants.ts';
import { computeDataPaths } from './paths.ts';
import type { NodeConfigInput } from './schema.ts';

/** What some defaults depend on. */
export interface HostFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Size of the disk that holds the data folder. */
  readonly diskBytes: number;
}

export async function readHostFacts(home: string): Promise<HostFacts> {
  return { cpus: availableParallelism(), memoryBytes: totalmem(), diskBytes: await readDiskBytes(home) };
}

/** Of the nearest folder that is there: the data folder may not be yet. */
async function readDiskBytes(path: string): Promise<number> {
  try {
    const { blocks, bsize } = await statfs(path);
    return blocks * bsize;
  } catch (error) {
    const parent = dirname(path);
    if (parent === path) throw error;
    return readDiskBytes(parent);
  }
}

const ATTEST: NodeConfigInput['attest'] = {
  tee: 'auto',
  policyFile: null,
  simulatedKeyFile: null,
  collateralUrl: null,
  // As NVIDIA's documentation of its attestation CLI has it (docs.nvidia.com/attestation, "Command Reference").
  nvidiaCommand: ['nvattest', 'collect-evidence', '--device', 'gpu', '--nonce', '{nonce}', '--format', 'json'],
  offline: false,
};

const QUEUE = { attempts: 16_384, attemptsPerRequester: 8_192, maxWaitMs: '30s', maxWorkMs: '30m' } as const;
const COMMAND = {
  enabled: true,
  hostRoot: false,
  maxProcesses: 1024,
  rootsFolder: null,
  network: { hosts: [], maxBytes: '10GiB', privateAddresses: false },
};
const CONTAINER = { enabled: true, runtime: 'auto', maxProcesses: 1024, imagesFolder: null } as const;
const INFERENCE = { enabled: true, runtimeFolder: null, cacheBytes: 64 * 2 ** 20, keepWarmMs: '5m' } as const;

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Everything from everybody, at any time. */
const POLICY: NodeConfigInput['policy'] = {
  allow: { kinds: 'any', images: 'any', networks: 'any' },
  deny: { kinds: [], images: [], requesters: [], networks: [] },
  quotas: { concurrentAttempts: null, attemptsPerHour: null, cpuTimePerDayMs: null },
  quietHours: { zone: 'UTC', windows: [] },
  audit: { maxBytes: 64 * MIB },
};

const RELAY: NodeConfigInput['relay'] = {
  client: 'auto',
  through: [],
  service: 'auto',
  maxReservations: 64,
  maxBytes: 8 * MIB,
  maxDurationMs: '10m',
};

/** Unpacked roots are a cache: a part of the disk, and never more than this. */
function computeRootsBytes({ diskBytes }: HostFacts): number {
  return Math.max(MIB, Math.min(8 * GIB, Math.floor(diskBytes * BLOB_DISK_SHARE)));
}

/** The lowest layer: every setting (design section 12), but for home and socket. */
export function computeDefaults(home: string, host: HostFacts): Omit<NodeConfigInput, 'home' | 'socket'> {
  return {
    listen: ['/ip4/0.0.0.0/tcp/4717'],
    announce: [],
    network: 'local',
    bootstrap: [],
    mdns: true,
    nat: { autonat: true, upnp: false },
    relay: RELAY,
    neighbours: { asnDatabase: null },
    region: null,
    provide: {
      enabled: true,
      slots: Math.min(4096, host.cpus),
      maxMemoryBytes: Math.max(64 * MIB, Math.min(4 * GIB, Math.floor(host.memoryBytes / 2))),
      maxWallTimeMs: '1h',
      maxFuel: '10T',
      maxOutputBytes: 256 * MIB,
      allowRequesters: 'anyone',
      trustedRequesters: [],
      command: { ...COMMAND, rootsBytes: computeRootsBytes(host) },
      gpus: { enabled: true, sharedWithDesktop: false, only: [] },
      container: { ...CONTAINER, imagesBytes: computeRootsBytes(host) },
      inference: INFERENCE,
      isolationForStrangers: 'bubblewrap',
      pricesPerHour: { cpu: '0', 'gpu-consumer': '0', 'gpu-datacentre': '0', tee: '0' },
      queue: QUEUE,
      host: {
        reserveMemoryBytes: Math.min(GIB, Math.floor(host.memoryBytes * RESERVE_SHARE)),
        reserveDiskBytes: Math.min(GIB, Math.floor(host.diskBytes * RESERVE_SHARE)),
        maxLoopDelayMs: 500,
        maxCpuPressurePercent: 100,
      },
    },
    policy: POLICY,
    attest: ATTEST,
    request: { maxActiveJobs: 100_000 },
    blobs: { maxBytes: Math.max(MIB, Math.min(BLOB_MAX_BYTES, Math.floor(host.diskBytes * BLOB_DISK_SHARE))) },
    snapshots: {
      maxBytes: Math.max(MIB, Math.min(SNAPSHOT_MAX_BYTES, Math.floor(host.diskBytes * BLOB_DISK_SHARE))),
      timePercent: 10,
      keepForMs: '1h',
      maxPerAttempt: 64,
      hold: { for: 'trusted', maxBytesPerRequester: GIB },
    },
    results: { keepForMs: '30d' },
    chain: {
      rpcUrls: [],
      keypairFile: null,
      signerCommand: [],
      maxPriorityFee: 100_000,
      anchor: { received: true, provided: false, maxWaitMs: '5m', maxReceipts: 10_000 },
    },
    log: { level: 'info', format: 'pretty', file: computeDataPaths(home).log },
    keystore: { passphraseFile: null },
  };
}
