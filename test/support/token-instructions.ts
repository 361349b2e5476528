import { PublicKey, SYSVAR_RENT_PUBKEY, SystemProgram, TransactionInstruction } from '@solana/web3.js';

/**
 * The few instructions of SPL Token that tests send. `@solana/spl-token` is not taken for them: it brings
 * `bigint-buffer`, which has a known advisory.
 */
export const TOKEN_PROGRAM_ID = new PublicKey('TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA');
export const TOKEN_2022_PROGRAM_ID = new PublicKey('TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb');
const ASSOCIATED_TOKEN_PROGRAM_ID = new PublicKey('ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL');

export const MINT_BYTES = 82;

const writable = (pubkey: PublicKey) => ({ pubkey, isSigner: false, isWritable: true });
const readonly = (pubkey: PublicKey) => ({ pubkey, isSigner: false, isWritable: false });
const signer = (pubkey: PublicKey) => ({ pubkey, isSigner: true, isWritable: false });

function withAmount(kind: number, amount: bigint, ...rest: number[]): Buffer {
  const data = Buffer.alloc(9 + rest.length);
  data.writeUInt8(kind, 0);
  data.writeBigUInt64LE(amount, 1);
  data.set(rest, 9);
  return data;
}

export interface TokenPlace {
  readonly mint: PublicKey;
  readonly program?: PublicKey;
}

export function initializeMint(
  authority: PublicKey,
  decimals: number,
  { mint, program = TOKEN_PROGRAM_ID }: TokenPlace,
): TransactionInstruction {
  const data = Buffer.concat([Buffer.of(0, decimals), authority.toBuffer(), Buffer.of(0), Buffer.alloc(32)]);
  return new TransactionInstruction({ programId: program, keys: [writable(mint), readonly(SYSVAR_RENT_PUBKEY)], data });
}

export function findAssociatedAccount(owner: PublicKey, { mint, program = TOKEN_PROGRAM_ID }: TokenPlace): PublicKey {
  const seeds = [owner.toBuffer(), program.toBuffer(), mint.toBuffer()];
  return PublicKey.findProgramAddressSync(seeds, ASSOCIATED_TOKEN_PROGRAM_ID)[0];
}

export function createAssociatedAccount(payer: PublicKey, owner: PublicKey, place: TokenPlace): TransactionInstruction {
  const keys = [
    { pubkey: payer, isSigner: true, isWritable: true },
    writable(findAssociatedAccount(owner, place)),
    readonly(owner),
    readonly(place.mint),
    readonly(SystemProgram.programId),
    readonly(place.program ?? TOKEN_PROGRAM_ID),
  ];
  return new TransactionInstruction({ programId: ASSOCIATED_TOKEN_PROGRAM_ID, keys, data: Buffer.alloc(0) });
}

export function mintTo(
  account: PublicKey,
  authority: PublicKey,
  { mint, program = TOKEN_PROGRAM_ID, amount }: TokenPlace & { amount: bigint },
): TransactionInstruction {
  return new TransactionInstruction({
    programId: program,
    keys: [writable(mint), writable(account), signer(authority)],
    data: withAmount(7, amount),
  });
}

export interface TokenTransfer extends TokenPlace {
  readonly from: PublicKey;
  readonly to: PublicKey;
  readonly owner: PublicKey;
  readonly amount: bigint;
  readonly decimals: number;
}

export function transferChecked(transfer: TokenTransfer): TransactionInstruction {
  const { from, to, owner, mint, amount, decimals, program = TOKEN_PROGRAM_ID } = transfer;
  const keys = [writable(from), readonly(mint), writable(to), signer(owner)];
  return new TransactionInstruction({ programId: program, keys, data: withAmount(12, amount, decimals) });
}

export function approve(
  account: PublicKey,
  delegate: PublicKey,
  { owner, amount }: { owner: PublicKey; amount: bigint },
): TransactionInstruction {
  const keys = [writable(account), readonly(delegate), signer(owner)];
  return new TransactionInstruction({ programId: TOKEN_PROGRAM_ID, keys, data: withAmount(4, amount) });
}

export function closeAccount(account: PublicKey, destination: PublicKey, owner: PublicKey): TransactionInstruction {
  const keys = [writable(account), writable(destination), signer(owner)];
  return new TransactionInstruction({ programId: TOKEN_PROGRAM_ID, keys, data: Buffer.of(9) });
}
