import { base58btc } from 'multiformats/bases/base58';
import { describeError } from '../../lib/errors.ts';
import { LocalnetError } from '../errors.ts';
import type { GenesisProgram } from '../interface.ts';
import type { AccountState } from '../svm/interface.ts';
import { UPGRADEABLE_LOADER } from '../svm/program-ids.ts';
import type { SvmMachine } from '../svm/svm-machine.ts';
import { findProgramDataAddress } from './program-address.ts';

/** u32 kind 3, u64 slot, u8 whether there is an authority, its address. */
const PROGRAM_DATA_HEADER_BYTES = 45;
const U64_MAX = 2n ** 64n - 1n;

/**
 * The two accounts of a program as the upgradeable loader leaves them, without an upgrade authority: a newer version
 * comes with the next start. Empty if that version is there already.
 */
export function deployGenesisProgram(
  { name, address, bytes }: GenesisProgram,
  machine: SvmMachine,
): ReadonlyMap<string, AccountState> {
  const dataAddress = findProgramDataAddress(address, UPGRADEABLE_LOADER);
  const present = machine.read(dataAddress);
  if (present !== undefined && Buffer.compare(present.data.subarray(PROGRAM_DATA_HEADER_BYTES), bytes) === 0)
    return new Map();
  const programData = new Uint8Array(PROGRAM_DATA_HEADER_BYTES + bytes.length);
  programData[0] = 3;
  programData.set(bytes, PROGRAM_DATA_HEADER_BYTES);
  const program = new Uint8Array(36);
  program[0] = 2;
  program.set(base58btc.baseDecode(dataAddress), 4);
  const accounts = new Map([
    [dataAddress, toAccount(machine, programData, false)],
    [address as string, toAccount(machine, program, true)],
  ]);
  try {
    for (const [key, state] of accounts) machine.write(key, state);
  } catch (error) {
    throw new LocalnetError({ code: 'LOCALNET_BAD_PROGRAM', name, reason: describeError(error) }, { cause: error });
  }
  return accounts;
}

function toAccount(machine: SvmMachine, data: Uint8Array, executable: boolean): AccountState {
  const lamports = machine.minimumBalance(data.length);
  return { lamports, owner: UPGRADEABLE_LOADER, data, executable, rentEpoch: U64_MAX };
}
