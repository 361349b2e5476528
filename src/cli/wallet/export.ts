import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { encodeKeypairFile } from '../../chain/signers/keypair-file.ts';
import { KeypairSigner } from '../../chain/signers/keypair-signer.ts';
import { loadConfig } from '../../config/load-config.ts';
import type { NodeConfig } from '../../config/schema.ts';
import { KeystoreFile } from '../../identity/keystore-file.ts';
import { deriveWalletSeed } from '../../identity/wallet-key.ts';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { SystemClock } from '../../lib/clock.ts';
import { describeError, UsageError } from '../../lib/errors.ts';
import { SystemRandom } from '../../lib/random.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { renderFields } from '../format.ts';
import { isTerminal } from '../init/passphrases.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { WalletCommandError } from './errors.ts';

const FILE_MODE = 0o600;

export const walletExport = defineCommand({
  name: 'wallet export',
  summary: 'write the key of the wallet to a file that the Solana CLI reads',
  details:
    'Needs no daemon. The file is not encrypted: whoever reads it can spend what the wallet holds and write to the log of this node. The identity cannot be computed from it. A file is never written over.',
  arguments: [],
  options: z.strictObject({
    output: z.string().describe('file to write, with mode 0600').meta({ placeholder: 'FILE' }),
  }),
  examples: [
    { line: 'fogproof wallet export --output wallet.json', does: 'Write it; `solana --keypair wallet.json` uses it.' },
  ],
  run: async ({ options: { output } }, context) => {
    const path = resolve(context.workingDirectory, output);
    const { environment, workingDirectory, home, socket } = context;
    const { config } = await loadConfig({ environment, workingDirectory, flags: { home, socket } });
    assertDerived(config);
    await assertFree(path);
    const seed = await deriveSeed(config, context);
    const { address } = new KeypairSigner({ seed, description: 'derived from the identity' });
    await writeKey(path, encodeKeypairFile(seed));
    context.output.result({ address, path }, () =>
      renderFields([
        ['address', address],
        ['file', path],
      ]),
    );
    context.output.note('WARNING: the file is the wallet, unencrypted. Delete it when it is no longer needed.');
    return EXIT_CODES.ok;
  },
});

/** Another key pays than the one derived from the identity: exporting that one would mislead. */
function assertDerived({ chain }: NodeConfig): void {
  const { keypairFile, signerCommand } = chain;
  if (keypairFile !== null) {
    throw new UsageError(
      `this node pays with ${keypairFile}: that file is its wallet already`,
      'To export the wallet derived from the identity, run it with FOGPROOF_CHAIN_KEYPAIR_FILE=none.',
    );
  }
  if (signerCommand.length > 0) {
    throw new UsageError(
      `the key of the wallet is held by another program (${signerCommand[0]}) and cannot be exported here`,
      "To export the wallet derived from the identity, run it with FOGPROOF_CHAIN_SIGNER_COMMAND='[]'.",
    );
  }
}

/** Before a passphrase is asked for; the write itself checks again. */
async function assertFree(path: string): Promise<void> {
  const isThere = await lstat(path).then(
    () => true,
    () => false,
  );
  if (isThere) throw new WalletCommandError({ code: 'CLI_EXPORT_EXISTS', path });
}

async function deriveSeed({ home, keystore }: NodeConfig, context: CliContext): Promise<Uint8Array> {
  const file = new KeystoreFile({ clock: new SystemClock(), random: new SystemRandom() }, { home });
  const { key, remarks } = await file.unlock({
    environment: context.environment,
    file: keystore.passphraseFile,
    prompt: isTerminal(context) ? () => context.readSecret('Passphrase of the keystore') : null,
  });
  for (const remark of remarks) context.output.note(remark);
  return deriveWalletSeed(key.seed);
}

async function writeKey(path: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(path, text, { mode: FILE_MODE, existing: 'keep' });
  } catch (cause) {
    if (systemErrorCode(cause) === 'EEXIST') {
      throw new WalletCommandError({ code: 'CLI_EXPORT_EXISTS', path }, { cause });
    }
    const reason = describeError(cause);
    throw new WalletCommandError({ code: 'CLI_EXPORT_UNWRITABLE', path, reason }, { cause });
  }
}
