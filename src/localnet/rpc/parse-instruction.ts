import { encodeBase58 } from '../../domain/chain.ts';
import {
  ASSOCIATED_TOKEN_PROGRAM,
  MEMO_PROGRAM,
  MEMO_PROGRAM_V1,
  SYSTEM_PROGRAM,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
} from '../svm/program-ids.ts';
import { encodeTokenAmount } from './encode-token.ts';

export interface NamedInstruction {
  readonly programId: string;
  readonly accounts: readonly string[];
  readonly data: Uint8Array;
}

export interface ParsedInstruction {
  readonly program: string;
  readonly parsed: unknown;
}

/** Data of an instruction, read from the front; running out of it means that the instruction is not what it seemed. */
class Fields {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  key(): string {
    const offset = this.#advance(32);
    return encodeBase58(this.#data.subarray(offset, offset + 32));
  }

  optionalKey(): string | undefined {
    return this.u8() === 1 ? this.key() : undefined;
  }

  /** u64 length and UTF-8. */
  text(): string {
    const length = Number(this.u64());
    const offset = this.#advance(length);
    return new TextDecoder().decode(this.#data.subarray(offset, offset + length));
  }

  #advance(length: number): number {
    const offset = this.#offset;
    if (offset + length > this.#data.length) throw new RangeError('the instruction is too short');
    this.#offset += length;
    return offset;
  }
}

type Describe = (fields: Fields, accounts: readonly string[]) => object | undefined;
type Instructions = Readonly<Record<number, readonly [type: string, describe: Describe]>>;

/** What `jsonParsed` says of the instructions that wallets and explorers look at; undefined for all others. */
export function parseInstruction({ programId, accounts, data }: NamedInstruction): ParsedInstruction | undefined {
  try {
    switch (programId) {
      case SYSTEM_PROGRAM:
        return describe('system', SYSTEM_INSTRUCTIONS, { fields: new Fields(data), kindBytes: 4, accounts });
      case TOKEN_PROGRAM:
        return describe('spl-token', TOKEN_INSTRUCTIONS, { fields: new Fields(data), kindBytes: 1, accounts });
      case TOKEN_2022_PROGRAM:
        return describe('spl-token-2022', TOKEN_INSTRUCTIONS, { fields: new Fields(data), kindBytes: 1, accounts });
      case ASSOCIATED_TOKEN_PROGRAM:
        return parseAssociatedToken(data, accounts);
      case MEMO_PROGRAM:
      case MEMO_PROGRAM_V1:
        return { program: 'spl-memo', parsed: new TextDecoder('utf-8', { fatal: true }).decode(data) };
      default:
        return undefined;
    }
  } catch (error) {
    // Too short, or no text: it is shown as bytes.
    if (error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function describe(
  program: string,
  table: Instructions,
  input: { readonly fields: Fields; readonly kindBytes: 1 | 4; readonly accounts: readonly string[] },
): ParsedInstruction | undefined {
  const { fields, kindBytes, accounts } = input;
  const [type, read] = table[kindBytes === 4 ? fields.u32() : fields.u8()] ?? [];
  const info = read?.(fields, accounts);
  return info === undefined ? undefined : { program, parsed: { type, info } };
}

/** `SystemInstruction` of solana-system-interface. */
const SYSTEM_INSTRUCTIONS: Instructions = {
  0: [
    'createAccount',
    (fields, [source, newAccount]) => ({
      source,
      newAccount,
      lamports: fields.u64(),
      space: fields.u64(),
      owner: fields.key(),
    }),
  ],
  1: ['assign', (fields, [account]) => ({ account, owner: fields.key() })],
  2: ['transfer', (fields, [source, destination]) => ({ source, destination, lamports: fields.u64() })],
  3: [
    'createAccountWithSeed',
    (fields, [source, newAccount]) => ({
      source,
      newAccount,
      base: fields.key(),
      seed: fields.text(),
      lamports: fields.u64(),
      space: fields.u64(),
      owner: fields.key(),
    }),
  ],
  4: [
    'advanceNonce',
    (_, [nonceAccount, recentBlockhashesSysvar, nonceAuthority]) => ({
      nonceAccount,
      recentBlockhashesSysvar,
      nonceAuthority,
    }),
  ],
  5: [
    'withdrawFromNonce',
    (fields, [nonceAccount, destination, recentBlockhashesSysvar, rentSysvar, nonceAuthority]) => ({
      nonceAccount,
      destination,
      recentBlockhashesSysvar,
      rentSysvar,
      nonceAuthority,
      lamports: fields.u64(),
    }),
  ],
  6: [
    'initializeNonce',
    (fields, [nonceAccount, recentBlockhashesSysvar, rentSysvar]) => ({
      nonceAccount,
      recentBlockhashesSysvar,
      rentSysvar,
      nonceAuthority: fields.key(),
    }),
  ],
  7: [
    'authorizeNonce',
    (fields, [nonceAccount, nonceAuthority]) => ({ nonceAccount, nonceAuthority, newAuthorized: fields.key() }),
  ],
  8: ['allocate', (fields, [account]) => ({ account, space: fields.u64() })],
};

/** Whoever signs for `authority`: itself, or members of a multisig behind it. */
function signers(field: string, authority: string | undefined, others: readonly string[]): object {
  if (others.length === 0) return { [field]: authority };
  return { [`multisig${field.slice(0, 1).toUpperCase()}${field.slice(1)}`]: authority, signers: others };
}

const AUTHORITY_TYPES = ['mintTokens', 'freezeAccount', 'accountOwner', 'closeAccount'] as const;

/** `TokenInstruction` of SPL Token; Token-2022 begins with the same ones. */
const TOKEN_INSTRUCTIONS: Instructions = {
  0: ['initializeMint', (fields, [mint, rentSysvar]) => ({ mint, rentSysvar, ...readMintFields(fields) })],
  1: ['initializeAccount', (_, [account, mint, owner, rentSysvar]) => ({ account, mint, owner, rentSysvar })],
  2: [
    'initializeMultisig',
    (fields, [multisig, rentSysvar, ...rest]) => ({ multisig, rentSysvar, signers: rest, m: fields.u8() }),
  ],
  3: [
    'transfer',
    (fields, [source, destination, authority, ...rest]) => ({
      source,
      destination,
      amount: String(fields.u64()),
      ...signers('authority', authority, rest),
    }),
  ],
  4: [
    'approve',
    (fields, [source, delegate, owner, ...rest]) => ({
      source,
      delegate,
      amount: String(fields.u64()),
      ...signers('owner', owner, rest),
    }),
  ],
  5: ['revoke', (_, [source, owner, ...rest]) => ({ source, ...signers('owner', owner, rest) })],
  6: [
    'setAuthority',
    (fields, [account, authority, ...rest]) => readSetAuthority(fields, [account, authority, ...rest]),
  ],
  7: [
    'mintTo',
    (fields, [mint, account, authority, ...rest]) => ({
      mint,
      account,
      amount: String(fields.u64()),
      ...signers('mintAuthority', authority, rest),
    }),
  ],
  8: [
    'burn',
    (fields, [account, mint, authority, ...rest]) => ({
      account,
      mint,
      amount: String(fields.u64()),
      ...signers('authority', authority, rest),
    }),
  ],
  9: [
    'closeAccount',
    (_, [account, destination, owner, ...rest]) => ({ account, destination, ...signers('owner', owner, rest) }),
  ],
  10: [
    'freezeAccount',
    (_, [account, mint, authority, ...rest]) => ({ account, mint, ...signers('freezeAuthority', authority, rest) }),
  ],
  11: [
    'thawAccount',
    (_, [account, mint, authority, ...rest]) => ({ account, mint, ...signers('freezeAuthority', authority, rest) }),
  ],
  12: [
    'transferChecked',
    (fields, [source, mint, destination, authority, ...rest]) => ({
      source,
      mint,
      destination,
      tokenAmount: readTokenAmount(fields),
      ...signers('authority', authority, rest),
    }),
  ],
  13: [
    'approveChecked',
    (fields, [source, mint, delegate, owner, ...rest]) => ({
      source,
      mint,
      delegate,
      tokenAmount: readTokenAmount(fields),
      ...signers('owner', owner, rest),
    }),
  ],
  14: [
    'mintToChecked',
    (fields, [mint, account, authority, ...rest]) => ({
      mint,
      account,
      tokenAmount: readTokenAmount(fields),
      ...signers('mintAuthority', authority, rest),
    }),
  ],
  15: [
    'burnChecked',
    (fields, [account, mint, authority, ...rest]) => ({
      account,
      mint,
      tokenAmount: readTokenAmount(fields),
      ...signers('authority', authority, rest),
    }),
  ],
  16: [
    'initializeAccount2',
    (fields, [account, mint, rentSysvar]) => ({ account, mint, rentSysvar, owner: fields.key() }),
  ],
  17: ['syncNative', (_, [account]) => ({ account })],
  18: ['initializeAccount3', (fields, [account, mint]) => ({ account, mint, owner: fields.key() })],
  19: ['initializeMultisig2', (fields, [multisig, ...rest]) => ({ multisig, signers: rest, m: fields.u8() })],
  20: ['initializeMint2', (fields, [mint]) => ({ mint, ...readMintFields(fields) })],
  22: ['initializeImmutableOwner', (_, [account]) => ({ account })],
};

function readMintFields(fields: Fields): object {
  const decimals = fields.u8();
  const mintAuthority = fields.key();
  const freezeAuthority = fields.optionalKey();
  return { decimals, mintAuthority, ...(freezeAuthority === undefined ? {} : { freezeAuthority }) };
}

function readTokenAmount(fields: Fields): object {
  const amount = fields.u64();
  return encodeTokenAmount(amount, fields.u8());
}

function readSetAuthority(fields: Fields, [account, authority, ...rest]: readonly (string | undefined)[]): object {
  const type = AUTHORITY_TYPES[fields.u8()];
  const owned = type === 'mintTokens' || type === 'freezeAccount' ? 'mint' : 'account';
  const others = rest.filter((other) => other !== undefined);
  return {
    [owned]: account,
    authorityType: type,
    newAuthority: fields.optionalKey() ?? null,
    ...signers('authority', authority, others),
  };
}

function parseAssociatedToken(data: Uint8Array, accounts: readonly string[]): ParsedInstruction | undefined {
  const type = data.length === 0 || data[0] === 0 ? 'create' : data[0] === 1 ? 'createIdempotent' : undefined;
  if (type === undefined) return undefined;
  const [source, account, wallet, mint, systemProgram, tokenProgram] = accounts;
  const info = { source, account, wallet, mint, systemProgram, tokenProgram };
  return { program: 'spl-associated-token-account', parsed: { type, info } };
}
