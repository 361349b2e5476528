import { spawn } from 'node:child_process';
import { ed25519 } from '@noble/curves/ed25519.js';
import { decodeBase58, SolanaAddress, TransactionSignature } from '../../domain/chain.ts';
import { createDeadline } from '../../lib/abort.ts';
import { describeError } from '../../lib/errors.ts';
import { SIGNER_MAX_OUTPUT_BYTES, SIGNER_TIMEOUT_MS } from '../constants.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, ChainSigner } from '../interface.ts';

export interface ExternalSignerOptions {
  /** The program and its arguments; `address` or `sign` is added. No shell is involved. */
  readonly command: readonly string[];
  readonly timeoutMs?: number;
}

const SIGNATURE_BYTES = 64;
const BASE64_SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;

/**
 * A program that holds the key. `ARGV… address` prints the address in base58; `ARGV… sign` gets the message as one line
 * of base64 on stdin and prints its signature in base58 or base64. A signature is used only if it verifies.
 */
export class ExternalSigner implements ChainSigner {
  readonly address: SolanaAddress;
  readonly description: string;
  readonly #options: ExternalSignerOptions;

  private constructor(address: SolanaAddress, options: ExternalSignerOptions) {
    this.address = address;
    this.description = describeCommand(options);
    this.#options = options;
  }

  /** Asks the program for its address. @throws ChainError CHAIN_SIGNER_FAILED */
  static async open(options: ExternalSignerOptions, { signal }: CallOptions): Promise<ExternalSigner> {
    const text = await runSigner(options, { verb: 'address', input: '' }, signal);
    try {
      return new ExternalSigner(SolanaAddress(text), options);
    } catch (error) {
      throw failed(options, 'what it prints for `address` is no address in base58', { cause: error });
    }
  }

  async sign(message: Uint8Array, { signal }: CallOptions): Promise<Uint8Array> {
    const input = `${Buffer.from(message).toString('base64')}\n`;
    const text = await runSigner(this.#options, { verb: 'sign', input }, signal);
    const key = decodeBase58(this.address);
    const signature = decodeSignature(text).find((bytes) => ed25519.verify(bytes, message, key, { zip215: false }));
    if (signature !== undefined) return signature;
    throw failed(this.#options, `what it prints for \`sign\` is no signature of ${this.address} over the message`);
  }
}

/** All readings of the text that give 64 bytes. */
function decodeSignature(text: string): readonly Uint8Array[] {
  if (BASE64_SIGNATURE.test(text)) return [new Uint8Array(Buffer.from(text, 'base64'))];
  try {
    return [decodeBase58(TransactionSignature(text))].filter((bytes) => bytes.length === SIGNATURE_BYTES);
  } catch {
    return [];
  }
}

interface SignerRequest {
  readonly verb: 'address' | 'sign';
  readonly input: string;
}

/** What the program prints, trimmed. */
async function runSigner(options: ExternalSignerOptions, request: SignerRequest, parent: AbortSignal): Promise<string> {
  const timeoutMs = options.timeoutMs ?? SIGNER_TIMEOUT_MS;
  using deadline = createDeadline(timeoutMs, parent);
  try {
    return await spawnSigner(options, request, deadline.signal);
  } catch (error) {
    parent.throwIfAborted();
    if (error instanceof ChainError) throw error;
    const reason = deadline.signal.aborted ? `no answer within ${timeoutMs} ms` : describeError(error);
    throw failed(options, reason, { cause: error });
  }
}

function spawnSigner(options: ExternalSignerOptions, request: SignerRequest, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const [program = '', ...args] = options.command;
  const child = spawn(program, [...args, request.verb], {
    signal,
    killSignal: 'SIGKILL',
    env: withoutOwnSecrets(process.env),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    output += text;
    if (output.length <= SIGNER_MAX_OUTPUT_BYTES) return;
    reject(failed(options, `it prints more than ${SIGNER_MAX_OUTPUT_BYTES} bytes`));
    child.kill('SIGKILL');
  });
  child.on('error', (error) => {
    // What the program has started may hold its end for long.
    child.stdout.destroy();
    reject(error);
  });
  // A program that does not read its input closes it: that alone is no failure.
  child.stdin.on('error', () => {});
  child.stdin.end(request.input);
  child.on('close', (code, killedBy) => {
    if (code === 0) resolve(output.trim());
    else reject(failed(options, code === null ? `it was ended by ${killedBy}` : `it exits with code ${code}`));
  });
  return promise;
}

/** The passphrase of the keystore may be in our environment; the program has no business with it. */
function withoutOwnSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('FOGPROOF_')));
}

/** Without arguments: they may name an account or hold a secret. */
function describeCommand({ command }: ExternalSignerOptions): string {
  return `the external program ${command[0] ?? ''}`;
}

function failed(options: ExternalSignerOptions, reason: string, cause?: ErrorOptions): ChainError {
  return new ChainError({ code: 'CHAIN_SIGNER_FAILED', signer: describeCommand(options), reason }, cause);
}
