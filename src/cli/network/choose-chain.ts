import {
  type BlockHash,
  computeLocalProgramAddress,
  identifyCluster,
  rpcUrlSchema,
  type SolanaAddress,
  solanaAddressSchema,
} from '../../domain/chain.ts';
import type { NetworkChain, NetworkDefinition } from '../../domain/network-definition.ts';
import { hasUrlSecrets, hideUrlSecrets, isOnThisMachine } from '../../lib/endpoint-address.ts';
import { UsageError } from '../../lib/errors.ts';
import { NATIVE_LOADER } from '../../localnet/svm/program-ids.ts';
import type { CliContext } from '../interface.ts';
import { askGenesis, askProgram } from './ask-endpoint.ts';
import { NetworkCommandError } from './errors.ts';
import { KNOWN_PROGRAMS } from './known-programs.ts';
import { probeProgram } from './probe-program.ts';

export interface ChainOptions {
  readonly rpcUrl: readonly string[];
  readonly proofAnchor?: string;
  readonly preset: NetworkDefinition['preset'];
}

export interface ChainChoice {
  readonly chain: NetworkChain;
  /** What whoever makes the network should know of the choice. */
  readonly remarks: readonly string[];
}

/** The chain that the endpoints are on, as they say and agree; none without endpoints. */
export async function chooseChain(given: ChainOptions, context: CliContext): Promise<ChainChoice> {
  const rpcUrls = [...new Set(given.rpcUrl.map(parseUrl))];
  if (rpcUrls.length === 0) {
    if (given.proofAnchor === undefined) return { chain: { kind: 'none' }, remarks: [] };
    throw new UsageError('--proof-anchor is an address on a chain, and none is named', 'Name it with --rpc-url URL.');
  }
  const named = given.proofAnchor === undefined ? undefined : parseAddress(given.proofAnchor);
  context.output.progress('asking the chain for its genesis');
  const genesis = await agreeOnGenesis(rpcUrls, context);
  const proofAnchor = named ?? defaultProgram(genesis);
  const untried = await assertProgram({ rpcUrls, genesis, proofAnchor }, context);
  context.output.progress('');
  const chain = { kind: 'solana', genesis, rpcUrls, programs: { proofAnchor } } as const;
  return { chain, remarks: [...untried, ...collectRemarks(rpcUrls, given.preset)] };
}

function collectRemarks(rpcUrls: readonly string[], preset: ChainOptions['preset']): readonly string[] {
  const remarks: string[] = [];
  if (rpcUrls.some(hasUrlSecrets)) {
    remarks.push(
      'An RPC address has more than its host: if that is a key, whoever gets the file or the invite has it. Nodes can name their own endpoints with --rpc-url instead.',
    );
  }
  if (preset !== 'local' && rpcUrls.every(isOnThisMachine)) {
    remarks.push(
      'The chain is asked on this machine only: nodes on others must name an endpoint of it with --rpc-url.',
    );
  }
  return remarks;
}

function parseUrl(text: string): string {
  const result = rpcUrlSchema.safeParse(text);
  if (result.success) return result.data;
  throw new UsageError(
    `--rpc-url: ${result.error.issues[0]?.message ?? 'invalid'}`,
    'A local chain of `fogproof localnet` prints its address.',
  );
}

function parseAddress(text: string): SolanaAddress {
  const hint = 'It is the address that the program proof-anchor was deployed at.';
  const result = solanaAddressSchema.safeParse(text);
  if (!result.success) {
    throw new UsageError(`--proof-anchor: ${result.error.issues[0]?.message ?? 'invalid'}`, hint);
  }
  const known = KNOWN_PROGRAMS[result.data];
  if (known !== undefined) throw new UsageError(`--proof-anchor: ${text} is ${known}`, hint);
  return result.data;
}

async function agreeOnGenesis(rpcUrls: readonly string[], { signal }: CliContext): Promise<BlockHash> {
  const answers = await Promise.all(
    rpcUrls.map(async (url) => ({ url: hideUrlSecrets(url), genesis: await askGenesis(url, { signal }) })),
  );
  const [first] = answers;
  if (first !== undefined && answers.every(({ genesis }) => genesis === first.genesis)) return first.genesis;
  throw new NetworkCommandError({ code: 'CLI_RPC_DISAGREE', answers });
}

/** Fixed on local chains; on a cluster it is where somebody put it, which only a person can know to be right. */
function defaultProgram(genesis: BlockHash): SolanaAddress {
  const { name } = identifyCluster(genesis);
  if (name === null) return computeLocalProgramAddress('proof-anchor');
  throw new UsageError(
    `on ${name} the address of the proof-anchor program must be named`,
    'Add --proof-anchor ADDRESS: take it from whoever deployed it and whom you trust, or deploy it yourself (programs/README.md).',
  );
}

interface ChosenProgram {
  readonly rpcUrls: readonly string[];
  readonly genesis: BlockHash;
  readonly proofAnchor: SolanaAddress;
}

/** What could not be tried, in plain sentences. @throws NetworkCommandError CLI_NO_PROGRAM, CLI_OTHER_PROGRAM */
async function assertProgram(chosen: ChosenProgram, { signal }: CliContext): Promise<readonly string[]> {
  const { rpcUrls, genesis, proofAnchor: address } = chosen;
  const isLocal = identifyCluster(genesis).name === null;
  const remarks = await Promise.all(
    rpcUrls.map(async (rpcUrl) => {
      const url = hideUrlSecrets(rpcUrl);
      const owner = await askProgram(rpcUrl, address, { signal });
      if (owner === null) throw new NetworkCommandError({ code: 'CLI_NO_PROGRAM', url, address, isLocal });
      const other = (answer: string): NetworkCommandError =>
        new NetworkCommandError({ code: 'CLI_OTHER_PROGRAM', url, address, answer });
      if (owner === NATIVE_LOADER) throw other('it is built into the validator');
      const probe = await probeProgram(rpcUrl, address, { signal });
      if (probe.kind === 'other') throw other(probe.answer);
      if (probe.kind === 'proof-anchor') return [];
      return [
        `Whether the program at ${address} is proof-anchor could not be tried at ${url} (${probe.reason}): look it up before others join.`,
      ];
    }),
  );
  return remarks.flat();
}
