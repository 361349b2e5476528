import { z } from 'zod';
import { type EndpointUrl, parseEndpointUrl } from '../../chain/endpoints/endpoint-url.ts';
import { LimitedFetch } from '../../chain/endpoints/limited-fetch.ts';
import { type BlockHash, blockHashSchema, type SolanaAddress, solanaAddressSchema } from '../../domain/chain.ts';
import { createDeadline } from '../../lib/abort.ts';
import { describeError, isDaemonError } from '../../lib/errors.ts';
import { NetworkCommandError } from './errors.ts';

/** How long an endpoint may take to answer, ms. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Longest answer accepted, bytes: a hash, or an account without its data. */
const MAX_ANSWER_BYTES = 16 * 1024;

const accountSchema = z.object({ value: z.object({ executable: z.boolean(), owner: z.string() }).nullable() });
const simulationSchema = z.object({ value: z.object({ err: z.unknown() }) });

export interface AskOptions {
  readonly signal: AbortSignal;
}

/** @throws NetworkCommandError CLI_RPC_FAILED */
export async function askGenesis(url: string, options: AskOptions): Promise<BlockHash> {
  return ask({ url, method: 'getGenesisHash', params: [], schema: blockHashSchema }, options);
}

/** The owner of the program at that address; null if there is none. @throws NetworkCommandError CLI_RPC_FAILED */
export async function askProgram(url: string, address: SolanaAddress, options: AskOptions): Promise<string | null> {
  const params = [address, { encoding: 'base64', dataSlice: { offset: 0, length: 0 }, commitment: 'confirmed' }];
  const { value } = await ask({ url, method: 'getAccountInfo', params, schema: accountSchema }, options);
  return value?.executable === true ? value.owner : null;
}

/** Who makes the block of now: its account pays for votes, so it holds SOL. @throws NetworkCommandError CLI_RPC_FAILED */
export async function askSlotLeader(url: string, options: AskOptions): Promise<SolanaAddress> {
  return ask({ url, method: 'getSlotLeader', params: [], schema: solanaAddressSchema }, options);
}

/**
 * What the chain would say to a transaction that nobody signed and that is not sent: null for success, else its error.
 * @throws NetworkCommandError CLI_RPC_FAILED
 */
export async function askSimulation(url: string, transaction: Uint8Array, options: AskOptions): Promise<unknown> {
  const config = { encoding: 'base64', sigVerify: false, replaceRecentBlockhash: true, commitment: 'confirmed' };
  const params = [Buffer.from(transaction).toString('base64'), config];
  const { value } = await ask({ url, method: 'simulateTransaction', params, schema: simulationSchema }, options);
  return value.err ?? null;
}

interface Question<Answer> {
  readonly url: string;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly schema: z.ZodType<Answer>;
}

async function ask<Answer>(question: Question<Answer>, options: AskOptions): Promise<Answer> {
  const { method, schema } = question;
  const url = parseEndpointUrl(question.url);
  const failed = (reason: string, cause?: unknown): NetworkCommandError =>
    new NetworkCommandError({ code: 'CLI_RPC_FAILED', url: url.label, method, reason }, { cause });
  using deadline = createDeadline(ANSWER_TIMEOUT_MS, options.signal);
  let answer: unknown;
  try {
    answer = await post(url, question, deadline.signal);
  } catch (error) {
    options.signal.throwIfAborted();
    if (isDaemonError(error)) throw failed('reason' in error.info ? String(error.info.reason) : error.message, error);
    if (deadline.signal.aborted) throw failed(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`, error);
    throw error;
  }
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw failed(`it answers with something else: ${result.error.issues[0]?.message ?? 'invalid'}`, result.error);
}

async function post(
  url: EndpointUrl,
  { method, params }: Pick<Question<unknown>, 'method' | 'params'>,
  signal: AbortSignal,
): Promise<unknown> {
  const limited = new LimitedFetch({ url });
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const response = await limited.within({ method, signal, maxBytes: MAX_ANSWER_BYTES }, () =>
    limited.fetch(url.requestUrl, { body }),
  );
  try {
    const { result } = z.object({ result: z.unknown() }).parse(await response.json());
    return result;
  } catch (error) {
    throw new NetworkCommandError(
      { code: 'CLI_RPC_FAILED', url: url.label, method, reason: describeError(error) },
      { cause: error },
    );
  }
}
