import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { solanaAddressSchema } from '../../domain/chain.ts';
import { describeError } from '../../lib/errors.ts';
import type { GenesisAccount } from '../../localnet/options.ts';
import { LocalnetCommandError } from './errors.ts';

/** An account of 10 MiB, the largest there is, in base64. */
const MAX_FILE_BYTES = 15 * 1024 * 1024;
const U64_MAX = 2n ** 64n - 1n;

/** Above 2^53 a number of JSON is not exact; files hold those as well (a rent epoch of 2^64 - 1). */
const lamportsSchema = z.int().nonnegative().transform(BigInt);

const accountFileSchema = z.object({
  pubkey: solanaAddressSchema,
  account: z.object({
    lamports: lamportsSchema,
    data: z.tuple([z.base64(), z.literal('base64')]),
    owner: solanaAddressSchema,
    executable: z.boolean(),
  }),
});

/** @throws LocalnetCommandError CLI_BAD_ACCOUNT_FILE */
export async function readAccountFile(path: string): Promise<GenesisAccount> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new RangeError(`it has ${size} bytes, more than ${MAX_FILE_BYTES}`);
    const { pubkey, account } = accountFileSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    const data = new Uint8Array(Buffer.from(account.data[0], 'base64'));
    const { lamports, owner, executable } = account;
    return { address: pubkey, state: { lamports, owner, executable, data, rentEpoch: U64_MAX } };
  } catch (error) {
    throw new LocalnetCommandError(
      { code: 'CLI_BAD_ACCOUNT_FILE', path, reason: describeError(error) },
      { cause: error },
    );
  }
}
