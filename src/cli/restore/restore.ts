import { resolve } from 'node:path';
import { z } from 'zod';
import { createConfigFile } from '../../config/config-file.ts';
import { resolveHome } from '../../config/paths.ts';
import { openBackup } from '../../identity/backup.ts';
import { KeystoreFile } from '../../identity/keystore-file.ts';
import { SystemClock } from '../../lib/clock.ts';
import { SystemRandom } from '../../lib/random.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { findUnattendedPassphrase, readBackupPassphrase } from '../init/passphrases.ts';
import { defineCommand } from '../interface.ts';
import { findCurrentNetwork } from '../network/current-network.ts';
import { joinNetwork, readNetworkArgument } from '../network/network-argument.ts';

export const restore = defineCommand({
  name: 'restore',
  summary: 'bring an identity back from its backup',
  details:
    'Never run the same identity twice: stop the old node for good first. The passphrase of the backup is taken from FOGPROOF_BACKUP_PASSPHRASE_FILE, FOGPROOF_PASSPHRASE_FILE or the terminal; the keystore takes the one of FOGPROOF_PASSPHRASE_FILE, else the same.',
  arguments: [{ name: 'backup', description: 'file that `fogproof init` wrote', isRequired: true }],
  options: z.strictObject({
    plain: z.boolean().default(false).describe('keep the identity unencrypted (mode 0600)'),
    network: z
      .string()
      .exactOptional()
      .describe('file, invite or id of the network to join')
      .meta({ placeholder: 'NETWORK' }),
  }),
  examples: [
    { line: 'fogproof restore /media/stick/node.age', does: 'Ask for the passphrase and bring the identity back.' },
    {
      line: 'fogproof restore node.age --home /srv/fog --network lab.network.json',
      does: 'Into another data folder, and into its network.',
    },
  ],
  run: async ({ arguments: [file = ''], options: given }, context) => {
    const home = resolveHome(context.environment, context.home);
    const keystore = new KeystoreFile({ clock: new SystemClock(), random: new SystemRandom() }, { home });
    await keystore.assertAbsent();
    const places = { home, workingDirectory: context.workingDirectory };
    const network = given.network === undefined ? undefined : await readNetworkArgument(given.network, places);
    const passphrase = await readBackupPassphrase(context);
    context.output.progress('decrypting the backup');
    const { seed } = await openBackup(resolve(context.workingDirectory, file), passphrase);
    const { text } = (await findUnattendedPassphrase(context)) ?? passphrase;
    const { identity, remarks } = await keystore.store(
      seed,
      given.plain ? { kind: 'plain' } : { kind: 'passphrase', passphrase: text },
    );
    await createConfigFile(home);
    if (network !== undefined) await joinNetwork(home, network);
    const keeps = given.plain ? 'plain' : 'encrypted';
    const result = { peer: identity.peer, home, keystore: keeps, network: await findCurrentNetwork(context, home) };
    context.output.result(result, () =>
      renderFields([
        ['peer', result.peer],
        ['data folder', home],
        ['keystore', result.keystore],
        ['network', result.network ?? 'none'],
        ['next', 'stop the old node for good, then fogproof node start'],
      ]),
    );
    for (const remark of remarks) context.output.note(remark);
    return EXIT_CODES.ok;
  },
});
