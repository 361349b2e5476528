import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { z } from 'zod';
import { createConfigFile } from '../../config/config-file.ts';
import { computeDataPaths, resolveHome } from '../../config/paths.ts';
import { assertBackupPath, createBackup } from '../../identity/backup.ts';
import { SEED_BYTES } from '../../identity/constants.ts';
import { KeystoreFile, type KeystoreProtection } from '../../identity/keystore-file.ts';
import { LocalIdentity } from '../../identity/local-identity.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { SystemClock } from '../../lib/clock.ts';
import { UsageError } from '../../lib/errors.ts';
import { SystemRandom } from '../../lib/random.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { findCurrentNetwork } from '../network/current-network.ts';
import { joinNetwork, readNetworkArgument } from '../network/network-argument.ts';
import { findBackupPassphrase, isTerminal, readNewPassphrase } from './passphrases.ts';

const options = z.strictObject({
  backup: z
    .string()
    .exactOptional()
    .describe('where to write the encrypted backup, outside the data folder')
    .meta({ placeholder: 'FILE' }),
  noBackup: z.boolean().default(false).describe('write no backup: a lost disk is a lost identity'),
  plain: z
    .boolean()
    .default(false)
    .describe('keep the identity unencrypted (mode 0600), for unattended starts without a passphrase'),
  network: z
    .string()
    .exactOptional()
    .describe('file, invite or id of the network to join')
    .meta({ placeholder: 'NETWORK' }),
});
type InitOptions = z.output<typeof options>;

export const init = defineCommand({
  name: 'init',
  summary: 'make an identity, its backup and a configuration',
  details:
    'The passphrase is taken from FOGPROOF_PASSPHRASE_FILE, the systemd credential fogproof-passphrase, FOGPROOF_PASSPHRASE, or the terminal. The backup has the same one, unless FOGPROOF_BACKUP_PASSPHRASE_FILE names another. An identity is never overwritten.',
  arguments: [],
  options,
  examples: [
    { line: 'fogproof init', does: 'Ask for a passphrase and for where the backup goes.' },
    {
      line: 'fogproof init --backup /media/stick/node.age --network lab.network.json',
      does: 'Name both, and join a network.',
    },
    { line: 'fogproof init --plain --no-backup', does: 'A throw-away identity for trying things out.' },
  ],
  run: async ({ options: given }, context) => {
    const home = resolveHome(context.environment, context.home);
    const modules = { clock: new SystemClock(), random: new SystemRandom() };
    const keystore = new KeystoreFile(modules, { home });
    await keystore.assertAbsent();
    const places = { home, workingDirectory: context.workingDirectory };
    const network = given.network === undefined ? undefined : await readNetworkArgument(given.network, places);
    const backup = await chooseBackup(given, context, home);
    const protection = await chooseProtection(given, context);
    // Backup first: an identity without its backup is worse than a backup without its identity.
    const seed = modules.random.bytes(SEED_BYTES);
    if (backup !== null) {
      const passphrase = await chooseBackupPassphrase(protection, context);
      context.output.progress('encrypting the backup');
      const { peer } = await LocalIdentity.fromSeed(seed);
      await createBackup({ seed, peer }, modules, { path: backup, home, passphrase });
    }
    const { identity, remarks } = await keystore.store(seed, protection);
    await createConfigFile(home);
    if (network !== undefined) await joinNetwork(home, network);
    const result = {
      peer: identity.peer,
      vrfPublicKey: encodeHex(identity.vrfPublicKey),
      home,
      config: computeDataPaths(home).config,
      keystore: protection.kind === 'plain' ? 'plain' : 'encrypted',
      backup,
      network: await findCurrentNetwork(context, home),
    };
    context.output.result(result, () =>
      renderFields([
        ['peer', result.peer],
        ['data folder', home],
        ['keystore', result.keystore],
        ['backup', backup ?? 'none'],
        ['network', result.network ?? 'none'],
        ['next', 'fogproof doctor, then fogproof node start'],
      ]),
    );
    for (const remark of remarks) context.output.note(remark);
    if (backup === null) {
      context.output.note(
        'WARNING: there is no backup. If this disk is lost, this identity and all it earned are lost.',
      );
    }
    return EXIT_CODES.ok;
  },
});

/** The backup's path, checked before anything is made; null only if none is wanted. */
async function chooseBackup(given: InitOptions, context: CliContext, home: string): Promise<string | null> {
  if (given.noBackup && given.backup !== undefined) {
    throw new UsageError('--backup and --no-backup contradict each other', 'Give one of them.');
  }
  if (given.noBackup) return null;
  const text = given.backup ?? (await askForPath(context));
  const path = resolve(context.workingDirectory, text);
  await assertBackupPath(path, home);
  return path;
}

async function askForPath(context: CliContext): Promise<string> {
  if (!isTerminal(context)) {
    throw new UsageError(
      'init needs to know where the backup of the identity goes',
      'Name a file outside the data folder with --backup FILE, or give --no-backup.',
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const question = 'File for the encrypted backup (best on another disk): ';
    const answer = (await terminal.question(question, { signal: context.signal })).trim();
    if (answer !== '') return answer;
    throw new UsageError('no file was named', 'Give --no-backup if you want none.');
  } finally {
    terminal.close();
  }
}

async function chooseProtection({ plain }: InitOptions, context: CliContext): Promise<KeystoreProtection> {
  if (plain) return { kind: 'plain' };
  const { text, remark } = await readNewPassphrase(context, 'this identity');
  if (remark !== null) context.output.note(remark);
  return { kind: 'passphrase', passphrase: text };
}

async function chooseBackupPassphrase(protection: KeystoreProtection, context: CliContext): Promise<string> {
  const own = await findBackupPassphrase(context);
  if (own !== undefined) return own.text;
  return protection.kind === 'passphrase'
    ? protection.passphrase
    : (await readNewPassphrase(context, 'the backup')).text;
}
