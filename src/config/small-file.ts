import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { describeError } from '../lib/errors.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { systemErrorCode } from '../lib/system-error.ts';
import { MAX_CONFIG_FILE_BYTES } from './constants.ts';
import { ConfigError } from './errors.ts';

/** Text of a file of settings; undefined if it is not there. @throws ConfigError CONFIG_UNREADABLE */
export async function readSmallFile(path: string): Promise<string | undefined> {
  const unreadable = (reason: string, cause?: unknown): ConfigError =>
    new ConfigError({ code: 'CONFIG_UNREADABLE', path, reason }, { cause });
  try {
    await using file = await open(path, 'r');
    const status = await file.stat();
    if (!status.isFile()) throw unreadable('it is not a file');
    if (status.size > MAX_CONFIG_FILE_BYTES) throw unreadable(`it has more than ${MAX_CONFIG_FILE_BYTES} bytes`);
    return await file.readFile('utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error instanceof ConfigError ? error : unreadable(describeError(error), error);
  }
}

export interface SmallFileOptions {
  readonly existing: 'replace' | 'keep';
}

/**
 * Writes it whole with mode 0600, in folders of mode 0700: networks hold keys. False if it is there and is to be kept.
 * @throws ConfigError CONFIG_UNWRITABLE
 */
export async function writeSmallFile(path: string, text: string, options: SmallFileOptions): Promise<boolean> {
  try {
    await makeFolder(dirname(path), 0o700);
    await writeFileAtomic(path, text, { mode: 0o600, existing: options.existing });
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST' && options.existing === 'keep') return false;
    throw new ConfigError({ code: 'CONFIG_UNWRITABLE', path, reason: describeError(error) }, { cause: error });
  }
}
