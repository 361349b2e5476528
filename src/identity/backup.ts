import { realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { encryptAge } from './age-file.ts';
import { BACKUP_SCRYPT_LOG_N } from './constants.ts';
import { IdentityError } from './errors.ts';
import { encodeKeyFile, parseKeyFile, readKeyFile, type StoredKey, writeKeyFile } from './key-file.ts';
import { openEncrypted } from './keystore-file.ts';
import { assertStrongEnough, type Passphrase } from './passphrase.ts';

export interface BackupModules {
  readonly clock: Clock;
}

export interface BackupOptions {
  readonly path: string;
  readonly home: string;
  readonly passphrase: string;
  /** log2 of the scrypt cost; BACKUP_SCRYPT_LOG_N if absent. */
  readonly logN?: number;
}

/**
 * Writes an encrypted copy of the identity outside the data folder: an age file, so that it can be read in years even
 * without this program (`age --decrypt FILE`).
 * @throws IdentityError IDENTITY_BACKUP_INSIDE_HOME, IDENTITY_BACKUP_EXISTS, IDENTITY_WEAK_PASSPHRASE, IDENTITY_UNWRITABLE
 */
export async function createBackup(key: StoredKey, modules: BackupModules, options: BackupOptions): Promise<void> {
  const path = resolve(options.path);
  assertStrongEnough(options.passphrase);
  await assertBackupPath(path, options.home);
  const text = encodeKeyFile(key, modules.clock.nowMs());
  const content = await encryptAge(text, {
    passphrase: options.passphrase,
    logN: options.logN ?? BACKUP_SCRYPT_LOG_N,
  });
  if (!(await writeKeyFile(path, content))) throw new IdentityError({ code: 'IDENTITY_BACKUP_EXISTS', path });
}

/** Also before an identity is made, so that none is left without its backup. @throws IdentityError */
export async function assertBackupPath(path: string, home: string): Promise<void> {
  const target = join(await resolveLinks(dirname(resolve(path))), basename(path));
  const inside = relative(await resolveLinks(resolve(home)), target);
  if (inside === '' || !(inside === '..' || inside.startsWith('../'))) {
    throw new IdentityError({ code: 'IDENTITY_BACKUP_INSIDE_HOME', path: resolve(path), home });
  }
  if ((await readKeyFile(target)) !== undefined) {
    throw new IdentityError({ code: 'IDENTITY_BACKUP_EXISTS', path: resolve(path) });
  }
}

/** The real path of the part that exists, with the rest as it is. */
async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await resolveLinks(parent), basename(path));
  }
}

/** @throws IdentityError IDENTITY_UNREADABLE, IDENTITY_WRONG_PASSPHRASE, IDENTITY_MALFORMED, IDENTITY_MISMATCH */
export async function openBackup(path: string, passphrase: Passphrase): Promise<StoredKey> {
  const file = await readKeyFile(resolve(path));
  if (file === undefined) {
    throw new IdentityError({ code: 'IDENTITY_UNREADABLE', path, reason: 'there is no such file' });
  }
  const text = await openEncrypted({ path, bytes: file.bytes, passphrase });
  return (await parseKeyFile(text, path)).key;
}
