import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from '../lib/errors.ts';
import { MAX_PASSPHRASE_BYTES, MIN_PASSPHRASE_LENGTH } from './constants.ts';
import { IdentityError } from './errors.ts';

export interface Passphrase {
  readonly text: string;
  /** Where it came from, for messages. */
  readonly source: string;
  /** What is weaker than it could be about that source; null if nothing. */
  readonly remark: string | null;
}

export interface PassphraseSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `keystore.passphraseFile` of the configuration; null if not set. */
  readonly file: string | null;
  /** Asks on the terminal; null where there is none. */
  readonly prompt: (() => Promise<string>) | null;
}

/**
 * The passphrase from the first source that is set: FOGPROOF_PASSPHRASE_FILE, the configured file, the systemd
 * credential `fogproof-passphrase`, FOGPROOF_PASSPHRASE, the terminal. Undefined if there is none. A source that is set
 * and cannot be used is an error, never passed over; a variable set to nothing is not set, as everywhere.
 * @throws IdentityError IDENTITY_BAD_PASSPHRASE_SOURCE
 */
export async function findPassphrase(sources: PassphraseSources): Promise<Passphrase | undefined> {
  const { environment } = sources;
  const named = environment['FOGPROOF_PASSPHRASE_FILE'];
  const file = named === undefined || named === '' ? sources.file : named;
  if (file !== null) return { text: await readPassphraseFile(file), source: file, remark: null };
  const credentials = environment['CREDENTIALS_DIRECTORY'];
  if (credentials !== undefined) {
    const path = join(credentials, 'fogproof-passphrase');
    const text = await readIfPresent(path);
    if (text !== undefined) return { text, source: 'the systemd credential fogproof-passphrase', remark: null };
  }
  const variable = environment['FOGPROOF_PASSPHRASE'];
  if (variable !== undefined && variable !== '') {
    const remark = 'FOGPROOF_PASSPHRASE can be read by programs of the same user; prefer FOGPROOF_PASSPHRASE_FILE.';
    return { text: variable, source: 'FOGPROOF_PASSPHRASE', remark };
  }
  if (sources.prompt === null) return undefined;
  return { text: await sources.prompt(), source: 'the terminal', remark: null };
}

/** @throws IdentityError IDENTITY_WEAK_PASSPHRASE */
export function assertStrongEnough(passphrase: string): void {
  if (Array.from(passphrase).length < MIN_PASSPHRASE_LENGTH) {
    throw new IdentityError({ code: 'IDENTITY_WEAK_PASSPHRASE', minLength: MIN_PASSPHRASE_LENGTH });
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readPassphraseFile(path);
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readPassphraseFile(path: string): Promise<string> {
  const bad = (reason: string, cause?: unknown): IdentityError =>
    new IdentityError({ code: 'IDENTITY_BAD_PASSPHRASE_SOURCE', source: path, reason }, { cause });
  let content: string;
  try {
    await using file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_PASSPHRASE_BYTES + 1));
    if (bytesRead > MAX_PASSPHRASE_BYTES) throw bad(`it has more than ${MAX_PASSPHRASE_BYTES} bytes`);
    content = buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    throw error instanceof IdentityError ? error : bad(describeError(error), error);
  }
  const text = content.replace(/\r?\n$/, '');
  if (text === '') throw bad('it is empty');
  if (/[\r\n]/.test(text)) throw bad('it has more than one line');
  return text;
}
