import { findPassphrase, type Passphrase, type PassphraseSources } from '../../identity/passphrase.ts';
import { UsageError } from '../../lib/errors.ts';
import type { CliContext } from '../interface.ts';

const BACKUP_VARIABLE = 'FOGPROOF_BACKUP_PASSPHRASE_FILE';

/** The passphrase for a new keystore, asked twice on a terminal. @throws UsageError where there is none to be had */
export async function readNewPassphrase(context: CliContext, purpose: string): Promise<Passphrase> {
  const passphrase = await findPassphrase({
    environment: context.environment,
    file: null,
    prompt: isTerminal(context) ? () => askTwice(context, purpose) : null,
  });
  if (passphrase === undefined) throw missingPassphrase(`a passphrase for ${purpose}`);
  return passphrase;
}

/** What FOGPROOF_BACKUP_PASSPHRASE_FILE holds, if it is set; else undefined. */
export async function findBackupPassphrase(context: CliContext): Promise<Passphrase | undefined> {
  const file = context.environment[BACKUP_VARIABLE];
  return file === undefined || file === '' ? undefined : findPassphrase({ environment: {}, file, prompt: null });
}

/** The passphrase that opens a backup. @throws UsageError where there is none to be had */
export async function readBackupPassphrase(context: CliContext): Promise<Passphrase> {
  const sources: PassphraseSources = {
    environment: context.environment,
    file: null,
    prompt: isTerminal(context) ? () => context.readSecret('Passphrase of the backup') : null,
  };
  const passphrase = (await findBackupPassphrase(context)) ?? (await findPassphrase(sources));
  if (passphrase === undefined) throw missingPassphrase('the passphrase of the backup');
  return passphrase;
}

/** The passphrase of the variables or the systemd credential; undefined if none is set. */
export function findUnattendedPassphrase(context: CliContext): Promise<Passphrase | undefined> {
  return findPassphrase({ environment: context.environment, file: null, prompt: null });
}

export function isTerminal({ output }: CliContext): boolean {
  return output.isInteractive && process.stdin.isTTY === true;
}

async function askTwice(context: CliContext, purpose: string): Promise<string> {
  const first = await context.readSecret(`New passphrase for ${purpose}`);
  const second = await context.readSecret('The same again');
  if (first === second) return first;
  throw new UsageError('the two passphrases differ', 'Run the command again; nothing was changed.');
}

function missingPassphrase(what: string): UsageError {
  return new UsageError(
    `${what} is needed and there is no terminal to ask on`,
    'Set FOGPROOF_PASSPHRASE_FILE to a file that holds it. --plain keeps the identity without one.',
  );
}
