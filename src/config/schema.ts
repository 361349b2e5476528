import { multiaddr } from '@multiformats/multiaddr';
import { z } from 'zod';
import { EXECUTOR_KINDS, isolationLevelSchema } from '../domain/capability.ts';
import { rpcUrlSchema } from '../domain/chain.ts';
import { parseEgressPattern } from '../domain/egress.ts';
import { gpuUuidSchema } from '../domain/gpu.ts';
import { decimalSchema, peerKeySchema } from '../domain/ids.ts';
import { imageNameSchema } from '../domain/image.ts';
import { isTimeZone, parseQuietWindow } from '../domain/quiet-hours.ts';
import {
  COUNT_PATTERN,
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseCount,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
} from '../lib/quantity.ts';

/** What settings that may be written with a unit are amounts of. */
export const QUANTITIES = ['size', 'duration', 'count'] as const;
export type Quantity = (typeof QUANTITIES)[number];

interface QuantityOptions {
  readonly quantity: Quantity;
  readonly noun: string;
  readonly pattern: RegExp;
  readonly parse: (text: string) => number | undefined;
  readonly format: (value: number) => string;
  readonly minimum: number;
  readonly maximum: number;
}

/** A whole number, or text with a unit. */
function withUnit(options: QuantityOptions) {
  const { noun, pattern, parse, format, minimum, maximum } = options;
  const error = `expected ${noun}`;
  const schema = z.union([z.int().min(0), z.string().regex(pattern, { error })], { error });
  return schema
    .transform((given, context) => {
      const value = typeof given === 'number' ? given : parse(given);
      if (value !== undefined && value >= minimum && value <= maximum) return value;
      const range = `expected from ${format(minimum)} to ${format(maximum)}`;
      context.issues.push({ code: 'custom', message: value === undefined ? error : range, input: given });
      return z.NEVER;
    })
    .meta({ quantity: options.quantity });
}

const size = (minimum: number, maximum: number) =>
  withUnit({
    quantity: 'size',
    noun: 'a size such as 512MiB, or bytes',
    pattern: SIZE_PATTERN,
    parse: parseSize,
    format: formatSize,
    minimum,
    maximum,
  });

const duration = (minimum: number, maximum: number) =>
  withUnit({
    quantity: 'duration',
    noun: 'a duration such as 30s, or ms',
    pattern: DURATION_PATTERN,
    parse: parseDuration,
    format: formatDuration,
    minimum,
    maximum,
  });

const count = (minimum: number) =>
  withUnit({
    quantity: 'count',
    noun: 'a count such as 2e9',
    pattern: COUNT_PATTERN,
    parse: parseCount,
    format: String,
    minimum,
    maximum: Number.MAX_SAFE_INTEGER,
  });

const DAY_MS = 86_400_000;

const multiaddrText = z.string().max(256).refine(isMultiaddr, 'expected a multiaddr such as /ip4/0.0.0.0/tcp/4717');

function isMultiaddr(text: string): boolean {
  try {
    return multiaddr(text).toString() !== '/';
  } catch {
    return false;
  }
}

const relayMode = z.enum(['auto', 'on', 'off']);

const peerList = z.array(peerKeySchema).max(4096);

const kindList = z.array(z.enum(EXECUTOR_KINDS)).max(16);
const imageList = z.array(imageNameSchema).max(4096);
const networkList = z.array(z.string().min(1).max(64)).max(256);

/** 'any', or a list. */
const anyOr = <List extends z.ZodType>(list: List, noun: string) =>
  z.union([z.literal('any'), list], { error: `expected 'any' or a list of ${noun}` });

/** What an operator lets others do here (docs/policy.md); `provide.allowRequesters` is the fourth of the allow lists. */
const policySchema = z.strictObject({
  allow: z.strictObject({
    kinds: anyOr(kindList, 'kinds of jobs').describe('kinds of jobs that are taken'),
    images: anyOr(imageList, 'digests').describe('what jobs may run: blob ids, or sha256: and the digest'),
    networks: anyOr(networkList, 'network ids').describe('networks in which jobs are taken'),
  }),
  deny: z.strictObject({
    kinds: kindList.describe('kinds of jobs that are not taken; to deny wins over to allow'),
    images: imageList.describe('what jobs may not run'),
    requesters: peerList.describe('whose jobs are not taken, trusted or not'),
    networks: networkList.describe('networks in which no jobs are taken'),
  }),
  quotas: z.strictObject({
    concurrentAttempts: z.int().min(1).max(1_000_000).nullable().describe('attempts of one requester at a time'),
    attemptsPerHour: z.int().min(1).max(100_000_000).nullable().describe('attempts of one requester in an hour'),
    cpuTimePerDayMs: duration(1_000, 4096 * DAY_MS)
      .nullable()
      .describe('processor time of one requester in a day')
      .meta({ quantity: 'duration' }),
  }),
  quietHours: z.strictObject({
    zone: z
      .string()
      .max(64)
      .refine(isTimeZone, 'expected a time zone such as Europe/Berlin')
      .describe('time zone of the windows, as IANA names it'),
    windows: z
      .array(
        z
          .string()
          .max(64)
          .refine((text) => parseQuietWindow(text) !== undefined, "expected '22:00-06:00' or 'mon-fri 08:00-18:00'"),
      )
      .max(64)
      .describe('when no new work is taken; what runs goes on'),
  }),
  audit: z.strictObject({
    maxBytes: size(2 ** 20, 2 ** 40).describe('disk for the log of what was decided; the oldest makes room'),
  }),
});

/** Every setting of a node. Keys in files are these names; `FOGPROOF_PROVIDE_MAX_MEMORY_BYTES` is one in the environment. */
export const nodeConfigSchema = z.strictObject({
  home: z.string().min(1).describe('data folder'),
  socket: z.string().min(1).describe('control socket'),
  listen: z.array(multiaddrText).max(16).describe('multiaddrs to listen on; port 0 takes a free one'),
  announce: z.array(multiaddrText).max(16).describe('multiaddrs to tell others instead of those found'),
  network: z.string().min(1).max(4096).describe('id of a joined network, or the path of its file'),
  bootstrap: z.array(multiaddrText).max(64).describe("peers to begin with, besides the network's own"),
  mdns: z.boolean().describe('look for peers on the local network'),
  nat: z.strictObject({
    autonat: z
      .boolean()
      .describe('ask peers to dial back, to learn which addresses work from outside; and do it for others'),
    upnp: z.boolean().describe('ask the router to map the listening port'),
  }),
  relay: z.strictObject({
    client: relayMode.describe('be reached through relays; auto: when nobody outside can connect to this node'),
    through: z.array(multiaddrText).max(16).describe('relays to try before others'),
    service: relayMode.describe('relay for others; auto: when this node can be reached from outside'),
    maxReservations: z.int().min(1).max(4096).describe('nodes that may be reached through this one'),
    maxBytes: size(64 * 1024, 2 ** 40).describe('data of one relayed connection'),
    maxDurationMs: duration(10_000, DAY_MS).describe('life of one relayed connection'),
  }),
  neighbours: z.strictObject({
    asnDatabase: z
      .string()
      .min(1)
      .nullable()
      .describe('MaxMind DB file of autonomous systems, such as GeoLite2-ASN.mmdb, to spread neighbours over them'),
  }),
  region: z.string().min(1).max(64).nullable().describe('where this node is, as it declares'),
  provide: z.strictObject({
    enabled: z.boolean().describe("take other peers' jobs"),
    slots: z.int().min(1).max(4096).describe('jobs at once'),
    maxMemoryBytes: size(65_536, 64 * 2 ** 30).describe('most memory of one job'),
    maxWallTimeMs: duration(1, 30 * DAY_MS).describe('longest run of one job'),
    maxFuel: count(1).describe('most instructions of one job'),
    maxOutputBytes: size(0, 2 ** 40).describe('most output of one job'),
    allowRequesters: z
      .union([z.literal('anyone'), peerList], { error: "expected 'anyone' or a list of peer ids" })
      .describe('who may send jobs'),
    trustedRequesters: peerList.describe('whose jobs may run at the level `process`; the own are trusted always'),
    command: z.strictObject({
      enabled: z.boolean().describe('run commands, where bubblewrap works: programs of others, in its sandbox'),
      hostRoot: z
        .boolean()
        .describe("also commands without a root of their own, which see this machine's system folders, read-only"),
      maxProcesses: z.int().min(1).max(32_768).describe('most processes and threads of one command'),
      network: z.strictObject({
        hosts: z
          .array(
            z
              .string()
              .max(300)
              .refine(
                (text) => parseEgressPattern(text) !== null,
                "expected 'pypi.org:443', '*.pypi.org:443' or '*:443'",
              ),
          )
          .max(1024)
          .describe(
            'where commands may connect to that list it, by the proxy of this node; none: no command has a network',
          ),
        maxBytes: size(1, 2 ** 50).describe('most bytes of one attempt, both directions together'),
        privateAddresses: z
          .boolean()
          .describe("also addresses of this machine and its own networks, which are everybody's then"),
      }),
      rootsBytes: size(2 ** 20, 2 ** 50).describe('disk that unpacked root file systems may take'),
      rootsFolder: z
        .string()
        .min(1)
        .nullable()
        .describe('where they are unpacked; none: in the data folder, or below /var/cache for a node run as root'),
    }),
    gpus: z.strictObject({
      enabled: z.boolean().describe('lend NVIDIA GPUs to jobs that ask for some'),
      sharedWithDesktop: z.boolean().describe('lend GPUs also while they draw a desktop'),
      only: z
        .array(gpuUuidSchema)
        .max(64)
        .describe('UUIDs of the GPUs, or slices of them, that are lent; none named: all'),
    }),
    container: z.strictObject({
      enabled: z.boolean().describe('run OCI images, where bubblewrap and a runtime (crun or runc) work'),
      runtime: z.enum(['auto', 'crun', 'runc']).describe('which runtime; auto: the first that works'),
      maxProcesses: z.int().min(1).max(32_768).describe('most processes and threads of one container'),
      imagesBytes: size(2 ** 20, 2 ** 50).describe('disk that unpacked images may take'),
      imagesFolder: z
        .string()
        .min(1)
        .nullable()
        .describe('where they are unpacked; none: in the data folder, or below /var/cache for a node run as root'),
    }),
    inference: z.strictObject({
      enabled: z.boolean().describe('run ONNX models, where bubblewrap works and ONNX Runtime is installed'),
      runtimeFolder: z
        .string()
        .min(1)
        .nullable()
        .describe('folder with the `node_modules` of onnxruntime-node; none: where scripts/setup-inference puts it'),
      cacheBytes: size(0, 2 ** 40).describe(
        'memory for results that jobs allow to be given again to whom they were computed for',
      ),
      keepWarmMs: duration(1_000, DAY_MS).describe('how long models stay loaded after their last call'),
    }),
    isolationForStrangers: isolationLevelSchema.describe('weakest isolation at which jobs of others run'),
    pricesPerHour: z.strictObject({
      cpu: decimalSchema,
      'gpu-consumer': decimalSchema,
      'gpu-datacentre': decimalSchema,
      tee: decimalSchema,
    }),
    queue: z.strictObject({
      attempts: z.int().min(0).max(1_000_000).describe('leased jobs that may wait for a slot; 0: none'),
      attemptsPerRequester: z.int().min(1).max(1_000_000).describe('those of one requester'),
      maxWaitMs: duration(1, 60_000).describe('longest expected wait with which a job is still taken'),
      maxWorkMs: duration(1_000, DAY_MS).describe('how long the waiting jobs of one requester may keep all slots busy'),
    }),
    host: z.strictObject({
      reserveMemoryBytes: size(0, 2 ** 50).describe('memory that jobs leave free'),
      reserveDiskBytes: size(0, 2 ** 50).describe('disk space that the outputs of jobs leave free'),
      maxLoopDelayMs: duration(10, 60_000).describe('how late the daemon may be before it takes no more jobs'),
      maxCpuPressurePercent: z
        .int()
        .min(1)
        .max(100)
        .describe('share of time in which programs may wait for a processor; 100: no limit'),
    }),
  }),
  policy: policySchema,
  attest: z.strictObject({
    tee: z
      .enum(['auto', 'off'])
      .describe('show evidence of the confidential hardware that this node runs in; auto: where there is any'),
    policyFile: z
      .string()
      .min(1)
      .nullable()
      .describe('policy that evidence has to satisfy for own confidential jobs, beside that of the job'),
    simulatedKeyFile: z
      .string()
      .min(1)
      .nullable()
      .describe('key that simulates hardware on a test network; no hardware is behind it'),
    collateralUrl: z
      .url({ protocol: /^https$/, error: 'expected an https address' })
      .max(512)
      .nullable()
      .describe("PCCS that is asked instead of Intel's own service"),
    nvidiaCommand: z
      .array(z.string().min(1).max(4096), { error: 'expected a program and its arguments, or a JSON array of them' })
      .max(64)
      .describe('program that collects evidence of NVIDIA GPUs, with its arguments; {nonce} stands for the nonce')
      .meta({ text: 'words' }),
    offline: z.boolean().describe('ask no vendor: only what is kept of its certificates and revocation lists'),
  }),
  request: z.strictObject({ maxActiveJobs: z.int().min(1).max(10_000_000).describe('own jobs not yet ended') }),
  blobs: z.strictObject({ maxBytes: size(2 ** 20, 2 ** 50).describe('disk that blobs may take') }),
  snapshots: z.strictObject({
    maxBytes: size(2 ** 20, 2 ** 50).describe("disk that snapshots of running jobs' states may take"),
    timePercent: z.int().min(1).max(100).describe('most of the run time that making snapshots may take, percent'),
    keepForMs: duration(0, 365 * DAY_MS).describe('how long after its end a run can still be challenged and replayed'),
    maxPerAttempt: z.int().min(2).max(4096).describe('snapshots of one run that are kept, evenly apart'),
    hold: z.strictObject({
      for: z
        .union([z.enum(['nobody', 'trusted', 'anyone']), peerList], {
          error: "expected 'nobody', 'trusted', 'anyone' or a list of peer ids",
        })
        .describe('whose snapshots are held for them, when their jobs name this node as holder'),
      maxBytesPerRequester: size(0, 2 ** 50).describe('disk for snapshots held for one of them'),
    }),
  }),
  results: z.strictObject({ keepForMs: duration(60_000, 3650 * DAY_MS).describe('how long ended jobs are kept') }),
  chain: z
    .strictObject({
      rpcUrls: z
        .array(rpcUrlSchema)
        .max(8)
        .describe("Solana RPC endpoints instead of the network's, in order")
        .meta({ secret: 'url' }),
      keypairFile: z
        .string()
        .min(1)
        .nullable()
        .describe('Solana CLI keypair file that pays; none: derived from the identity'),
      signerCommand: z
        .array(z.string().min(1).max(4096), { error: 'expected a program and its arguments, or a JSON array of them' })
        .max(64)
        .describe('program that holds the key and signs, with its arguments')
        .meta({ text: 'words' }),
      maxPriorityFee: z.int().min(0).max(10_000_000).describe('most micro-lamports a compute unit'),
      anchor: z.strictObject({
        received: z.boolean().describe('anchor receipts of own jobs'),
        provided: z.boolean().describe('anchor receipts of jobs run here'),
        maxWaitMs: duration(100, DAY_MS).describe('longest that a receipt waits for others before it is anchored'),
        maxReceipts: z.int().min(1).max(1_000_000).describe('receipts that are anchored at once without waiting'),
      }),
    })
    .refine(({ keypairFile, signerCommand }) => keypairFile === null || signerCommand.length === 0, {
      path: ['signerCommand'],
      error: 'chain.keypairFile is set too, and one key pays: set one of the two',
    }),
  log: z.strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    format: z.enum(['pretty', 'json']).describe('of stderr; the file is JSON always'),
    file: z.string().min(1).nullable().describe("log file; 'none' for none"),
  }),
  keystore: z.strictObject({
    passphraseFile: z.string().min(1).nullable().describe('file that holds the passphrase'),
  }),
});

export type NodeConfig = z.output<typeof nodeConfigSchema>;
/** The same before validation: sizes and durations may be text. */
export type NodeConfigInput = z.input<typeof nodeConfigSchema>;
