import { resolve } from 'node:path';
import { z } from 'zod';
import { DEFAULT_CHAIN_TIMEOUT_MS } from '../../bundle/constants.ts';
import { BundleError, isTampered } from '../../bundle/errors.ts';
import { type VerifyOptions, verifyBundle } from '../../bundle/verify.ts';
import { verifyInToto } from '../../bundle/verify-in-toto.ts';
import type { VerificationVerdict } from '../../domain/assurance.ts';
import { rpcUrlSchema } from '../../domain/chain.ts';
import { PeerKey } from '../../domain/ids.ts';
import { hideUrlSecrets } from '../../lib/endpoint-address.ts';
import { UsageError } from '../../lib/errors.ts';
import { readHex } from '../attest/read-options.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { LazyEvidenceJudge } from './lazy-evidence-judge.ts';
import { type BundleFile, openBundleFile } from './open-bundle-file.ts';
import { readDuration } from './read-duration.ts';
import { renderInToto, renderVerification } from './render-verification.ts';

const VERDICT_EXIT_CODES: Readonly<Record<VerificationVerdict['kind'], ExitCode>> = {
  valid: EXIT_CODES.ok,
  invalid: EXIT_CODES.failed,
  unchecked: EXIT_CODES.unchecked,
};

export const bundleVerify = defineCommand({
  name: 'bundle verify',
  summary: 'check a bundle file',
  details:
    'Needs no daemon, and no network unless --rpc-url is given: then the Solana RPC endpoints named are asked whether the receipts are anchored where the file says. Without it that is unchecked, all else is checked the same. Evidence of confidential hardware is judged against the roots of the vendors that are built in, as of the time that the requester signed. Prints for each assurance what is claimed, by whom, under which assumptions, what is not claimed and the verdict, then what the file does not prove. Exit code 0 if all is valid, 1 if something is invalid or the file was changed, 3 if nothing is invalid and something could not be checked, 2 for a file that is no bundle.',
  arguments: [{ name: 'file', description: 'bundle file, or an in-toto export', isRequired: true }],
  options: z.strictObject({
    signer: z
      .string()
      .exactOptional()
      .describe('peer id whose signature an in-toto export must have')
      .meta({ placeholder: 'PEER' }),
    rpcUrl: z
      .array(z.string())
      .default([])
      .describe('ask this Solana RPC endpoint about anchors; of several, all must agree')
      .meta({ placeholder: 'URL' }),
    timeout: z
      .string()
      .exactOptional()
      .describe('how long to wait for the endpoints in all (default: 30s)')
      .meta({ placeholder: 'DURATION' }),
    simulatedRoot: z
      .string()
      .exactOptional()
      .describe(
        "public key of a test network's SIMULATED evidence, 32 bytes: `simulatedTee` in its definition; it shows nothing of hardware",
      )
      .meta({ placeholder: 'HEX' }),
  }),
  examples: [
    { line: 'fogproof bundle verify job.bundle', does: 'Say what the file proves, and what it does not.' },
    {
      line: 'fogproof bundle verify job.bundle --rpc-url https://rpc.one.example --rpc-url https://rpc.two.example',
      does: 'Ask two endpoints of the chain too, which must agree.',
    },
    {
      line: 'fogproof bundle verify job.bundle --simulated-root HEX',
      does: 'Accept the SIMULATED evidence of a test network, which shows nothing of hardware.',
    },
    { line: 'fogproof bundle verify job.bundle --json', does: 'The same with every single check, for programs.' },
  ],
  run: async ({ arguments: [file = ''], options }, context) => {
    const { signer } = options;
    const chain = readChainOptions(options);
    const simulatedRoot = readRoot(options.simulatedRoot);
    const path = resolve(context.workingDirectory, file);
    const opened = await openBundleFile(path);
    if (opened.kind === 'in-toto') {
      if (chain !== undefined) {
        throw new UsageError('--rpc-url is for bundle files', 'An in-toto export holds no anchors to ask about.');
      }
      if (simulatedRoot !== null) {
        throw new UsageError('--simulated-root is for bundle files', 'An in-toto export holds no evidence to judge.');
      }
      return await runInToto(path, { opened, signer }, context);
    }
    if (signer !== undefined) {
      throw new UsageError('--signer is for in-toto exports', 'A bundle file names the signer of each of its objects.');
    }
    return await runBundle(path, { opened, chain, simulatedRoot }, context);
  },
});

const ROOT_BYTES = 32;

function readRoot(text: string | undefined): Uint8Array | null {
  if (text === undefined) return null;
  return readHex(text, { flag: '--simulated-root', minBytes: ROOT_BYTES, maxBytes: ROOT_BYTES });
}

/** As many as a network definition names. */
const MAX_ENDPOINTS = 8;

interface ChainOptions {
  readonly rpcUrls: readonly string[];
  readonly timeoutMs: number;
}

function readChainOptions(given: { rpcUrl: readonly string[]; timeout?: string }): ChainOptions | undefined {
  const timeoutMs = readDuration('--timeout', given.timeout);
  if (timeoutMs === 0) {
    throw new UsageError(
      '--timeout 0: no endpoint answers in no time',
      'Write a duration such as 30s, or leave it out.',
    );
  }
  const wrong = given.rpcUrl.find((url) => !rpcUrlSchema.safeParse(url).success);
  if (wrong !== undefined) {
    const hint = 'Give the address of a Solana RPC endpoint such as http://127.0.0.1:8899.';
    throw new UsageError(`--rpc-url: ${hideUrlSecrets(wrong)} is not the address of an endpoint`, hint);
  }
  if (given.rpcUrl.length > MAX_ENDPOINTS) {
    throw new UsageError(`--rpc-url: ${given.rpcUrl.length} are too many`, `Give at most ${MAX_ENDPOINTS}.`);
  }
  if (given.rpcUrl.length > 0) return { rpcUrls: given.rpcUrl, timeoutMs: timeoutMs ?? DEFAULT_CHAIN_TIMEOUT_MS };
  if (timeoutMs === undefined) return undefined;
  throw new UsageError('--timeout is for --rpc-url', 'Without an endpoint to ask nothing is waited for.');
}

interface BundleRequest {
  readonly opened: Extract<BundleFile, { kind: 'bundle' }>;
  readonly chain: ChainOptions | undefined;
  readonly simulatedRoot: Uint8Array | null;
}

async function runBundle(
  path: string,
  { opened, chain, simulatedRoot }: BundleRequest,
  { output, signal }: CliContext,
): Promise<ExitCode> {
  await using access = await accessChain(chain);
  const evidenceJudge = new LazyEvidenceJudge({ simulatedRoot });
  try {
    const given = { nowMs: Date.now(), signal, evidenceJudge, ...access.options };
    const verification = await verifyBundle(opened.source, given);
    output.result({ file: path, kind: 'bundle', ...verification }, () => renderVerification(path, verification));
    if (chain !== undefined && !verification.assurances.some(({ assurance }) => assurance === 'anchored')) {
      output.note('no endpoint was asked: this file holds no anchors');
    }
    if (simulatedRoot !== null && !verification.assurances.some(({ isSimulated }) => isSimulated)) {
      output.note('--simulated-root was not used: this file holds no SIMULATED evidence');
    }
    return VERDICT_EXIT_CODES[verification.verdict];
  } catch (error) {
    if (!(error instanceof BundleError) || !isTampered(error)) throw error;
    const { info, message, hint } = error;
    output.result({ file: path, kind: 'bundle', verdict: 'invalid', error: { ...info, message, hint } }, () => [
      `file     ${path}`,
      'verdict  INVALID',
      `         ${message}`,
      `         ${hint}`,
    ]);
    return EXIT_CODES.failed;
  }
}

interface ChainAccess extends AsyncDisposable {
  readonly options: Pick<VerifyOptions, 'anchorReader' | 'chainTimeoutMs'>;
}

/** Loads the chain client only where it is used: that takes longer than all the rest. */
async function accessChain(chain: ChainOptions | undefined): Promise<ChainAccess> {
  if (chain === undefined) return { options: {}, [Symbol.asyncDispose]: async () => {} };
  const { createAnchorReader } = await import('./create-anchor-reader.ts');
  const opened = createAnchorReader(chain);
  return {
    options: { anchorReader: opened.reader, chainTimeoutMs: chain.timeoutMs },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

async function runInToto(
  path: string,
  { opened, signer }: { opened: Extract<BundleFile, { kind: 'in-toto' }>; signer: string | undefined },
  { output }: CliContext,
): Promise<ExitCode> {
  const verification = await verifyInToto(opened.bytes, signer === undefined ? {} : { signer: PeerKey(signer) });
  output.result({ file: path, kind: 'in-toto', ...verification }, () => renderInToto(path, verification));
  return VERDICT_EXIT_CODES[verification.verdict];
}
