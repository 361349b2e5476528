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
import type { CliContext } from '../interface.ts';
import { askGenesis, askProgram } from './ask-endpoint.ts';
import { NetworkCommandError } from './errors.ts';

export interface ChainOptions {
  readonly rpcUrl: readonly string[];
  readonly proofAnchor?: string;
  readonly preset: NetworkDefinition['preset'];
}

/** The chain that the endpoints are on, as they say and agree; none without endpoints. */
export async function chooseChain(given: ChainOptions, context: CliContext): Promise<NetworkChain> {
  const rpcUrls = [...new Set(given.rpcUrl.map(parseUrl))];
  if (rpcUrls.length === 0) {
    if (given.proofAnchor === undefined) return { kind: 'none' };
    throw new UsageError('--proof-anchor is an address on a chain, and none is named', 'Name it with --rpc-url URL.');
  }
  const named = given.proofAnchor === undefined ? undefined : parseAddress(given.proofAnchor);
  context.output.progress('asking the chain for its genesis');
  const genesis = await agreeOnGenesis(rpcUrls, context);
  const proofAnchor = named ?? defaultProgram(genesis);
  await assertProgram({ rpcUrls, genesis, proofAnchor }, context);
  context.output.progress('');
  if (rpcUrls.some(hasUrlSecrets)) {
    context.output.note(
      'An RPC address has more than its host: if that is a key, whoever gets the file or the invite has it. Nodes can name their own endpoints with --rpc-url instead.',
    );
  }
  if (given.preset !== 'local' && rpcUrls.every(isOnThisMachine)) {
    context.output.note(
      'The chain is asked on this machine only: nodes on others must name an endpoint of it with --rpc-url.',
    );
  }
  return { kind: 'solana', genesis, rpcUrls, programs: { proofAnchor } };
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
  const result = solanaAddressSchema.safeParse(text);
  if (result.success) return result.data;
  throw new UsageError(
    `--proof-anchor: ${result.error.issues[0]?.message ?? 'invalid'}`,
    'It is the address that the program was deployed at.',
  );
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

async function assertProgram(chosen: ChosenProgram, { signal }: CliContext): Promise<void> {
  const { rpcUrls, genesis, proofAnchor: address } = chosen;
  const isLocal = identifyCluster(genesis).name === null;
  await Promise.all(
    rpcUrls.map(async (url) => {
      if (await askProgram(url, address, { signal })) return;
      throw new NetworkCommandError({ code: 'CLI_NO_PROGRAM', url: hideUrlSecrets(url), address, isLocal });
    }),
  );
}
