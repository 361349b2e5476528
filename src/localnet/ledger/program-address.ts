import { base58btc } from 'multiformats/bases/base58';
import { encodeBase58 } from '../../domain/chain.ts';
import { findProgramAddress } from '../../proofs/program-address.ts';

/** The address of a program's data under the upgradeable loader. */
export function findProgramDataAddress(program: string, loader: string): string {
  return encodeBase58(findProgramAddress([base58btc.baseDecode(program)], base58btc.baseDecode(loader)).address);
}
