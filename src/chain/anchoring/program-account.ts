import { SolanaAddress } from '../../domain/chain.ts';
import type { ChainAccount } from '../interface.ts';

const UPGRADEABLE_LOADER = SolanaAddress('BPFLoaderUpgradeab1e11111111111111111111111');
/** Loaders whose accounts hold the program itself (solana.com/docs/core/programs). */
const OTHER_LOADERS: readonly string[] = [
  'BPFLoader1111111111111111111111111111111111',
  'BPFLoader2111111111111111111111111111111111',
  'LoaderV411111111111111111111111111111111111',
];
/** UpgradeableLoaderState::Program { programdata_address }, in bincode. */
const PROGRAM_STATE = 2;
const PROGRAM_STATE_BYTES = 36;

/** Why an account is no program that can be called; undefined if it is one. Only loaders make such accounts. */
export function findProgramFault(account: ChainAccount | undefined): string | undefined {
  if (account === undefined) return 'there is no such account';
  const { owner, data } = account;
  if (OTHER_LOADERS.includes(owner)) return data.length > 0 ? undefined : 'it is empty';
  if (owner !== UPGRADEABLE_LOADER) return `the account belongs to ${owner} and is no program`;
  const isProgram =
    data.length >= PROGRAM_STATE_BYTES &&
    new DataView(data.buffer, data.byteOffset).getUint32(0, true) === PROGRAM_STATE;
  return isProgram ? undefined : 'the account belongs to the loader and is no program';
}
