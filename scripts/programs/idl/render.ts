/** TypeScript for one program, from its IDL: text that only needs formatting. */
import { computeSize, findStruct, type Idl, type IdlField, type IdlInstruction, type IdlType } from './idl.ts';

const toPascal = (name: string): string => name.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
const toCamel = (name: string): string => toPascal(name).replace(/^\w/, (letter) => letter.toLowerCase());
const toConstant = (name: string): string => name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

const isBytes = (type: IdlType): boolean => typeof type === 'object' && 'array' in type && type.array[0] === 'u8';
const constantBytes = (bytes: readonly number[]): string => `Uint8Array.of(${bytes.join(', ')})`;
const renderDocs = (docs: readonly string[] | undefined): string =>
  docs === undefined ? '' : `/** ${docs.join(' ')} */\n`;

function renderType(type: IdlType): string {
  if (typeof type === 'string') {
    return { u8: 'number', u16: 'number', u32: 'number', u64: 'bigint', i64: 'bigint', pubkey: 'SolanaAddress' }[type];
  }
  if (isBytes(type)) return 'Uint8Array';
  if ('defined' in type) return type.defined.name;
  return `readonly ${renderType('vec' in type ? type.vec : type.array[0])}[]`;
}

function renderInterface(name: string, fields: readonly IdlField[]): string {
  const lines = fields.map(
    ({ name: field, docs, type }) => `${renderDocs(docs)}readonly ${toCamel(field)}: ${renderType(type)};`,
  );
  return `export interface ${name} {\n${lines.join('\n')}\n}`;
}

function renderWrite(value: string, type: IdlType): string {
  if (typeof type === 'string') {
    if (type === 'pubkey') return `data.address(${value})`;
    return `data.${type.startsWith('u') ? 'unsigned' : 'signed'}(${type.slice(1)}, ${value})`;
  }
  if ('defined' in type) throw new Error('structs in arguments are not supported: nothing needs them yet');
  if ('vec' in type) return `data.vector(${value}, (item) => ${renderWrite('item', type.vec)})`;
  const [item, count] = type.array;
  if (item === 'u8') return `data.bytes(${count}, ${value})`;
  return `data.array(${count}, ${value}, (item) => ${renderWrite('item', item)})`;
}

function renderRead(idl: Idl, type: IdlType): string {
  if (typeof type === 'string') {
    if (type === 'pubkey') return 'data.address()';
    if (type === 'i64') return 'data.signedBig()';
    return type === 'u64' ? 'data.unsignedBig()' : `data.unsigned(${type.slice(1)})`;
  }
  if ('defined' in type) return `read${type.defined.name}(data)`;
  if ('vec' in type) return `data.vector(${computeSize(idl, type.vec)}, () => ${renderRead(idl, type.vec)})`;
  const [item, count] = type.array;
  return item === 'u8' ? `data.bytes(${count})` : `data.array(${count}, () => ${renderRead(idl, item)})`;
}

function renderReadFields(idl: Idl, fields: readonly IdlField[]): string {
  return `{\n${fields.map(({ name, type }) => `${toCamel(name)}: ${renderRead(idl, type)},`).join('\n')}\n}`;
}

/** Accounts that the caller chooses: all but those at an address that the IDL fixes. */
const chosen = ({ accounts }: IdlInstruction) => accounts.filter(({ address }) => address === undefined);

function renderInstruction(idl: Idl, instruction: IdlInstruction): string {
  const name = toPascal(instruction.name);
  const constant = instruction.name.toUpperCase();
  const hasArgs = instruction.args.length > 0;
  const accounts = instruction.accounts.map(({ name: account, address, signer, writable }) => {
    const at = address === undefined ? `accounts.${toCamel(account)}` : `SolanaAddress(${quote(address)})`;
    return `{ address: ${at}, isSigner: ${signer}, isWritable: ${writable} },`;
  });
  const writes = instruction.args.map(({ name: field, type }) => `${renderWrite(`args.${toCamel(field)}`, type)};`);
  const named = chosen(instruction).map(({ name: account }) => {
    const index = instruction.accounts.findIndex((candidate) => candidate.name === account);
    return `${toCamel(account)}: instructionAccount(${quote(instruction.name)}, accounts, ${index}),`;
  });
  return `
const ${constant} = ${constantBytes(instruction.discriminator)};

export interface ${name}Accounts {
${chosen(instruction)
  .map(({ name: account, docs }) => `${renderDocs(docs)}readonly ${toCamel(account)}: SolanaAddress;`)
  .join('\n')}
}

${hasArgs ? renderInterface(`${name}Args`, instruction.args) : ''}

${renderDocs(instruction.docs)}export function encode${name}(
  program: SolanaAddress,
  accounts: ${name}Accounts,
  ${hasArgs ? `args: ${name}Args,` : ''}
): ChainInstruction {
  const data = new ProgramDataWriter(${quote(instruction.name)}, ${constant});
  ${writes.join('\n')}
  return {
    program,
    accounts: [${accounts.join('\n')}],
    data: data.finish(),
  };
}

export function decode${name}(
  { accounts, data: bytes }: Pick<ChainInstruction, 'accounts' | 'data'>,
): { readonly accounts: ${name}Accounts${hasArgs ? `; readonly args: ${name}Args` : ''} } {
  const data = new ProgramDataReader(${quote(instruction.name)}, bytes, ${constant});
  ${hasArgs ? `const args = ${renderReadFields(idl, instruction.args)};` : ''}
  data.finish();
  return { accounts: { ${named.join('\n')} }${hasArgs ? ', args' : ''} };
}
${renderReturns(idl, instruction)}`;
}

function renderReturns(idl: Idl, { name, returns }: IdlInstruction): string {
  if (returns === undefined) return '';
  return `
/** Return data of \`${name}\`. */
export function decode${toPascal(name)}Result(bytes: Uint8Array): ${renderType(returns)} {
  const data = new ProgramDataReader(${quote(`result of ${name}`)}, bytes, new Uint8Array());
  const result = ${renderRead(idl, returns)};
  data.finish();
  return result;
}
`;
}

function renderAnyInstruction(idl: Idl, program: string): string {
  const entries = idl.instructions.map(
    ({ name }) => [name.toUpperCase(), toPascal(name), quote(toCamel(name))] as const,
  );
  return `
export type ${program}Instruction =
${entries.map(([, name, kind]) => `| ({ readonly kind: ${kind} } & ReturnType<typeof decode${name}>)`).join('\n')};

/** Whatever instruction of the program it is. @throws ChainError CHAIN_BAD_PROGRAM_DATA */
export function decode${program}Instruction(instruction: Pick<ChainInstruction, 'accounts' | 'data'>): ${program}Instruction {
  const discriminator = instruction.data.subarray(0, 8);
${entries
  .map(
    ([constant, name, kind]) =>
      `if (areBytesEqual(discriminator, ${constant})) return { kind: ${kind}, ...decode${name}(instruction) };`,
  )
  .join('\n')}
  throw new ChainError({ code: 'CHAIN_BAD_PROGRAM_DATA', what: 'an instruction', reason: 'its discriminator is unknown' });
}
`;
}

function renderStructs(idl: Idl): string {
  const tagged = new Map([...idl.accounts, ...idl.events].map(({ name, discriminator }) => [name, discriminator]));
  const parts = idl.types.map(({ name, type: { fields } }) => {
    const discriminator = tagged.get(name);
    const read = `function read${name}(data: ProgramDataReader): ${name} {\nreturn ${renderReadFields(idl, fields)};\n}`;
    return `${renderInterface(name, fields)}\n\n${read}\n${discriminator === undefined ? '' : renderTagged(idl, name, discriminator)}`;
  });
  return parts.join('\n');
}

function renderTagged(idl: Idl, name: string, discriminator: readonly number[]): string {
  const size = discriminator.length + computeSize(idl, { defined: { name } });
  const isAccount = idl.accounts.some((account) => account.name === name);
  const constant = toConstant(name);
  return `
export const ${constant}_DISCRIMINATOR = ${constantBytes(discriminator)};
/** Size of the ${isAccount ? 'account' : 'event'}, its discriminator counted. */
export const ${constant}_BYTES = ${size};

/** @throws ChainError CHAIN_BAD_PROGRAM_DATA */
export function decode${name}(bytes: Uint8Array): ${name} {
  const data = new ProgramDataReader(${quote(name)}, bytes, ${constant}_DISCRIMINATOR);
  const value = read${name}(data);
  data.finish();
  return value;
}
`;
}

function renderErrors(idl: Idl, program: string): string {
  const entries = idl.errors.map(({ code, name, msg }) => `${code}: { name: ${quote(name)}, message: ${quote(msg)} },`);
  return `
/** Custom error codes of the program. */
export const ${toConstant(program)}_ERRORS: Readonly<Record<number, { readonly name: string; readonly message: string }>> = {
${entries.join('\n')}
};

export const ${toConstant(program)}_ERROR_CODES = {
${idl.errors.map(({ code, name }) => `${name}: ${code},`).join('\n')}
} as const;
`;
}

/** Seeds of each account that the program derives, by the account's name: equal wherever they are named. */
function renderSeeds(idl: Idl): string {
  const derived = new Map<string, string>();
  for (const { accounts } of idl.instructions) {
    for (const { name, pda } of accounts) if (pda !== undefined) addSeeds(derived, name, pda.seeds);
  }
  return [...derived.values()].join('\n');
}

type Seeds = NonNullable<IdlInstruction['accounts'][number]['pda']>['seeds'];

function addSeeds(derived: Map<string, string>, name: string, seeds: Seeds): void {
  const accounts = seeds.flatMap((seed) => (seed.kind === 'account' ? [toCamel(seed.path)] : []));
  const values = seeds.map((seed) =>
    seed.kind === 'const' ? constantBytes(seed.value) : `decodeBase58(${toCamel(seed.path)})`,
  );
  const text = `
/** Seeds of the derived address of \`${name}\`; the bump is the canonical one. */
export function compute${toPascal(name)}Seeds(${accounts.map((account) => `${account}: SolanaAddress`).join(', ')}): Uint8Array[] {
  return [${values.join(', ')}];
}
`;
  const before = derived.get(name);
  if (before !== undefined && before !== text) throw new Error(`the IDL derives ${name} in two ways`);
  derived.set(name, text);
}

export function renderProgram(idl: Idl, source: string): string {
  const program = toPascal(idl.metadata.name);
  for (const { name } of [...idl.accounts, ...idl.events]) findStruct(idl, name);
  return `// Generated by scripts/generate-programs.ts from ${source}; do not edit.
import { decodeBase58, SolanaAddress } from '../../domain/chain.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { ChainError } from '../errors.ts';
import type { ChainInstruction } from '../interface.ts';
import { instructionAccount, ProgramDataReader, ProgramDataWriter } from '../programs/program-data.ts';

${idl.instructions.map((instruction) => renderInstruction(idl, instruction)).join('\n')}
${renderAnyInstruction(idl, program)}
${renderStructs(idl)}
${renderErrors(idl, program)}
${renderSeeds(idl)}`;
}
