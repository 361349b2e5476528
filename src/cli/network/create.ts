import { resolve } from 'node:path';
import { z } from 'zod';
import { encodeInvite } from '../../config/invite.ts';
import { formatNetwork } from '../../config/network-store.ts';
import { resolveHome } from '../../config/paths.ts';
import { readSmallFile, writeSmallFile } from '../../config/small-file.ts';
import { identifyCluster } from '../../domain/chain.ts';
import {
  DEFAULT_NETWORK_PARAMETERS,
  type NetworkChain,
  type NetworkDefinition,
  type NetworkParameters,
  networkDefinitionSchema,
} from '../../domain/network-definition.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { hideUrlSecrets } from '../../lib/endpoint-address.ts';
import { UsageError } from '../../lib/errors.ts';
import { parseDuration } from '../../lib/quantity.ts';
import { SystemRandom } from '../../lib/random.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { chooseChain } from './choose-chain.ts';
import { joinNetwork } from './network-argument.ts';
import { describeReplaced, findFile, findInStore, type ReplacedNetwork } from './replaced.ts';
import { keepSimulatedTee, renderSimulatedTee } from './simulated-tee.ts';

/** Bytes of a libp2p pre-shared key. */
const PRE_SHARED_KEY_BYTES = 32;

const duration = (description: string) =>
  z.string().exactOptional().describe(description).meta({ placeholder: 'DURATION' });

const options = z.strictObject({
  preset: z
    .enum(['local', 'development', 'production'])
    .default('development')
    .describe('local: this machine only; development: people who know each other; production: strangers'),
  bootstrap: z
    .array(z.string())
    .default([])
    .describe('peer to begin with, with its /p2p/ part')
    .meta({ placeholder: 'ADDR' }),
  rpcUrl: z
    .array(z.string())
    .default([])
    .describe('anchor on the chain of this Solana RPC endpoint; several must be on the same')
    .meta({ placeholder: 'URL' }),
  proofAnchor: z
    .string()
    .exactOptional()
    .describe('address of the proof-anchor program (default: where `fogproof localnet` has it)')
    .meta({ placeholder: 'ADDRESS' }),
  private: z.boolean().default(false).describe('with a pre-shared key: only who has the file or the invite gets in'),
  simulatedTee: z
    .boolean()
    .default(false)
    .describe('for tests: a key in this data folder stands in for confidential hardware; not with production'),
  output: z
    .string()
    .exactOptional()
    .describe('where to write the file (default: ID.network.json here)')
    .meta({ placeholder: 'FILE' }),
  replace: z
    .boolean()
    .default(false)
    .describe('if there is a network of that id in this data folder, or its file, replace them'),
  join: z.boolean().default(true).describe('do not make it the network of this data folder'),
  lease: duration('how long a lease lasts without progress (default: 2m)'),
  renewal: duration('how often progress renews a lease (default: a quarter of the lease)'),
  offerTtl: duration('how long an offer holds (default: 5s)'),
  recordTtl: duration('how long a node record is valid (default: 10m)'),
  beaconRound: duration('length of a beacon round (default: 30s)'),
  epochRounds: z.int().min(1).exactOptional().describe('beacon rounds in an epoch (default: 120)'),
});
type CreateOptions = z.output<typeof options>;

export const networkCreate = defineCommand({
  name: 'network create',
  summary: 'describe a new network in a small file, and join it',
  details:
    'Hand the file or the invite to those who are to join. No peer is contacted: a network exists once two of its nodes meet. With --rpc-url the endpoints are asked for the genesis of their chain and for the program: the network is bound to that chain, whatever endpoints its nodes use later.',
  arguments: [{ name: 'id', description: 'name: lower-case letters, digits and hyphens', isRequired: true }],
  options,
  examples: [
    { line: 'fogproof network create lab', does: 'Write lab.network.json and print the invite.' },
    {
      line: 'fogproof network create lab --private --bootstrap /dns4/lab.example/tcp/4717/p2p/12D3KooW…',
      does: 'A network that only holders of the file can enter, through that peer.',
    },
    {
      line: 'fogproof network create demo --preset local --lease 4s',
      does: 'Short leases, to see failures handled quickly.',
    },
    {
      line: 'fogproof network create lab --rpc-url http://127.0.0.1:8899',
      does: 'Anchor receipts on the local chain that `fogproof localnet` runs.',
    },
    {
      line: 'fogproof network create lab --rpc-url http://127.0.0.1:8899 --replace',
      does: 'The same again after `fogproof localnet --reset`: a new chain needs a new definition.',
    },
    {
      line: 'fogproof network create lab --simulated-tee',
      does: 'Try confidential jobs without confidential hardware: SIMULATED, nothing is protected.',
    },
    {
      line: 'fogproof network create open --preset production --rpc-url https://rpc.one.example --rpc-url https://rpc.two.example --proof-anchor ADDRESS',
      does: 'On a public cluster: two endpoints that must agree, and where the program was deployed.',
    },
  ],
  run: async ({ arguments: [id = ''], options: given }, context) => {
    const home = resolveHome(context.environment, context.home);
    const draft = describeNetwork(id, given);
    const file = resolve(context.workingDirectory, given.output ?? `${draft.id}.network.json`);
    const replaced = given.replace ? await findReplaced({ home, file, id: draft.id, isJoined: given.join }) : [];
    const isKept = !given.replace && (await readSmallFile(file)) !== undefined;
    if (isKept) throw fileTaken(file);
    const { chain, remarks } = await chooseChain(given, context);
    const tee = given.simulatedTee ? await keepSimulatedTee(home, draft.id) : null;
    const network = { ...draft, chain, ...(tee === null ? {} : { simulatedTee: tee.root }) };
    const existing = given.replace ? 'replace' : 'keep';
    const joined = given.join ? await joinNetwork(home, network, { existing }) : null;
    if (!(await writeSmallFile(file, formatNetwork(network), { existing }))) throw fileTaken(file);
    const invite = encodeInvite(network);
    const places = { file, joined, replaced: replaced.map(({ path }) => path) };
    const result = { network: network.id, chain, ...places, invite, simulatedTee: tee };
    context.output.result(result, () => [
      ...renderFields([
        ['network', network.id],
        ...renderChain(chain),
        ['file', file],
        ['joined', joined === null ? 'no' : `yes, in ${home}`],
        ...(tee === null ? [] : renderSimulatedTee(tee)),
        ...replaced.map((each) => ['replaced', describeReplaced(each)] as const),
      ]),
      '',
      'Others join with the file, or with this invite:',
      invite,
    ]);
    for (const remark of [...remarks, ...collectNotes(given, replaced)]) context.output.note(remark);
    return EXIT_CODES.ok;
  },
});

function fileTaken(file: string): UsageError {
  return new UsageError(
    `the file ${file} exists already`,
    'Name another with --output, or replace the network with --replace.',
  );
}

interface ReplacePlaces {
  readonly home: string;
  readonly file: string;
  readonly id: string;
  readonly isJoined: boolean;
}

/** @throws UsageError, ConfigError if one of them cannot be replaced */
async function findReplaced({ home, file, id, isJoined }: ReplacePlaces): Promise<readonly ReplacedNetwork[]> {
  const found = [isJoined ? await findInStore(home, id) : undefined, await findFile(file, id)];
  return found.filter((each) => each !== undefined);
}

function collectNotes(given: CreateOptions, replaced: readonly ReplacedNetwork[]): readonly string[] {
  const notes: string[] = [];
  if (given.private) notes.push('The file and the invite hold the key of the network: hand them over in private.');
  if (given.bootstrap.length === 0 && given.preset !== 'local') {
    notes.push(
      'No --bootstrap peer is in it: beyond one local network, start nodes with --bootstrap ADDR of one that runs.',
    );
  }
  if (given.simulatedTee) {
    notes.push(
      'The TEE of this network is SIMULATED, no hardware: whoever has its key file can read what confidential jobs hold.',
    );
  }
  if (replaced.length > 0) {
    notes.push(
      'Who joined the old network is not in the new one: join it there with `fogproof network join FILE --replace`, and restart daemons that run.',
    );
  }
  return notes;
}

function renderChain(chain: NetworkChain): readonly (readonly [string, string])[] {
  if (chain.kind === 'none') return [['chain', 'none']];
  const { genesis, rpcUrls, programs } = chain;
  return [
    ['chain', identifyCluster(genesis).name ?? `a chain of its own (genesis ${genesis})`],
    ['endpoints', rpcUrls.map(hideUrlSecrets).join(', ')],
    ['proof-anchor', programs.proofAnchor],
  ];
}

function describeNetwork(id: string, given: CreateOptions): NetworkDefinition {
  const network = {
    type: 'fogproof/network@1',
    id,
    preset: given.preset,
    bootstrap: given.bootstrap,
    parameters: readParameters(given),
    chain: { kind: 'none' },
    preSharedKey: given.private ? encodeHex(new SystemRandom().bytes(PRE_SHARED_KEY_BYTES)) : null,
  };
  if (given.simulatedTee && given.preset === 'production') {
    throw new UsageError(
      '--simulated-tee is not for --preset production: no hardware is behind it',
      'Leave it out, or make a network of the preset development.',
    );
  }
  const result = networkDefinitionSchema.safeParse(network);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const [first, second] = issue?.path ?? [];
  const field = first === 'parameters' ? (FLAGS[String(second)] ?? String(second)) : String(first);
  throw new UsageError(`${field}: ${issue?.message ?? 'invalid'}`, 'Run the command with --help for what is allowed.');
}

const FLAGS: Readonly<Record<string, string>> = {
  leaseDurationMs: '--lease',
  leaseRenewalMs: '--renewal',
  offerTtlMs: '--offer-ttl',
  recordTtlMs: '--record-ttl',
  beaconRoundMs: '--beacon-round',
  epochRounds: '--epoch-rounds',
} satisfies Record<keyof NetworkParameters, string>;

function readParameters(given: CreateOptions): NetworkParameters {
  const defaults = DEFAULT_NETWORK_PARAMETERS;
  const leaseDurationMs = readDuration('--lease', given.lease) ?? defaults.leaseDurationMs;
  const leaseRenewalMs = readDuration('--renewal', given.renewal) ?? Math.floor(leaseDurationMs / 4);
  if (leaseRenewalMs >= leaseDurationMs) {
    throw new UsageError(
      '--renewal must be shorter than --lease',
      'A quarter of the lease survives a lost message or two.',
    );
  }
  return {
    leaseDurationMs,
    leaseRenewalMs,
    offerTtlMs: readDuration('--offer-ttl', given.offerTtl) ?? defaults.offerTtlMs,
    recordTtlMs: readDuration('--record-ttl', given.recordTtl) ?? defaults.recordTtlMs,
    beaconRoundMs: readDuration('--beacon-round', given.beaconRound) ?? defaults.beaconRoundMs,
    epochRounds: given.epochRounds ?? defaults.epochRounds,
  };
}

function readDuration(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const durationMs = parseDuration(text);
  if (durationMs !== undefined) return durationMs;
  throw new UsageError(`${flag}: '${text}' is not a duration`, 'Write a number with its unit, such as 30s or 2m.');
}
