import {
  PublicKey as Key,
  type PublicKey,
  SYSVAR_CLOCK_PUBKEY,
  SYSVAR_RENT_PUBKEY,
  SystemProgram,
  TransactionInstruction,
} from '@solana/web3.js';

/** Instructions of the upgradeable loader (loader-v3-interface), which @solana/web3.js has not. */
export const UPGRADEABLE_LOADER_ID = new Key('BPFLoaderUpgradeab1e11111111111111111111111');

/** Bytes of a buffer before the program. */
export const BUFFER_HEADER_BYTES = 37;
export const PROGRAM_BYTES = 36;

export function findProgramData(program: PublicKey): PublicKey {
  return Key.findProgramAddressSync([program.toBuffer()], UPGRADEABLE_LOADER_ID)[0];
}

const writable = (pubkey: PublicKey) => ({ pubkey, isSigner: false, isWritable: true });
const readonly = (pubkey: PublicKey) => ({ pubkey, isSigner: false, isWritable: false });
const signer = (pubkey: PublicKey) => ({ pubkey, isSigner: true, isWritable: false });

function loader(
  kind: number,
  keys: TransactionInstruction['keys'],
  fields: Uint8Array = new Uint8Array(),
): TransactionInstruction {
  const data = Buffer.alloc(4 + fields.length);
  data.writeUInt32LE(kind, 0);
  data.set(fields, 4);
  return new TransactionInstruction({ programId: UPGRADEABLE_LOADER_ID, keys, data });
}

export function initializeBuffer(buffer: PublicKey, authority: PublicKey): TransactionInstruction {
  return loader(0, [writable(buffer), readonly(authority)]);
}

export function writeBuffer(
  buffer: PublicKey,
  authority: PublicKey,
  part: { offset: number; bytes: Uint8Array },
): TransactionInstruction {
  const fields = Buffer.alloc(12 + part.bytes.length);
  fields.writeUInt32LE(part.offset, 0);
  fields.writeBigUInt64LE(BigInt(part.bytes.length), 4);
  fields.set(part.bytes, 12);
  return loader(1, [writable(buffer), signer(authority)], fields);
}

export interface DeployAccounts {
  readonly payer: PublicKey;
  readonly program: PublicKey;
  readonly buffer: PublicKey;
  readonly authority: PublicKey;
}

export function deployWithMaxDataLen(accounts: DeployAccounts, maxDataLength: number): TransactionInstruction {
  const { payer, program, buffer, authority } = accounts;
  const fields = Buffer.alloc(8);
  fields.writeBigUInt64LE(BigInt(maxDataLength));
  const keys = [
    { pubkey: payer, isSigner: true, isWritable: true },
    writable(findProgramData(program)),
    writable(program),
    writable(buffer),
    readonly(SYSVAR_RENT_PUBKEY),
    readonly(SYSVAR_CLOCK_PUBKEY),
    readonly(SystemProgram.programId),
    signer(authority),
  ];
  return loader(2, keys, fields);
}

export function upgrade({ payer, program, buffer, authority }: DeployAccounts): TransactionInstruction {
  const keys = [
    writable(findProgramData(program)),
    writable(program),
    writable(buffer),
    writable(payer),
    readonly(SYSVAR_RENT_PUBKEY),
    readonly(SYSVAR_CLOCK_PUBKEY),
    signer(authority),
  ];
  return loader(3, keys);
}

export function setAuthority(account: PublicKey, authority: PublicKey, next: PublicKey | null): TransactionInstruction {
  return loader(4, [writable(account), signer(authority), ...(next === null ? [] : [readonly(next)])]);
}

export function closeProgram({ payer, program, authority }: DeployAccounts): TransactionInstruction {
  return loader(5, [writable(findProgramData(program)), writable(payer), signer(authority), writable(program)]);
}
