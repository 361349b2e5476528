/** The part of Anchor's IDL (spec 0.1.0) that our programs use. */
import { createHash } from 'node:crypto';
import { z } from 'zod';

const primitive = z.enum(['u8', 'u16', 'u32', 'u64', 'i64', 'pubkey']);

export type IdlType =
  | z.output<typeof primitive>
  | { readonly array: readonly [IdlType, number] }
  | { readonly vec: IdlType }
  | { readonly defined: { readonly name: string } };

const type: z.ZodType<IdlType> = z.lazy(() =>
  z.union([
    primitive,
    z.strictObject({ array: z.tuple([type, z.int().positive()]) }),
    z.strictObject({ vec: type }),
    z.strictObject({ defined: z.strictObject({ name: z.string() }) }),
  ]),
);
const docs = z.array(z.string()).optional();
const byte = z.int().min(0).max(255);
const discriminator = z.array(byte).length(8);
const field = z.strictObject({ name: z.string(), docs, type });
const seed = z.union([
  z.strictObject({ kind: z.literal('const'), value: z.array(byte) }),
  z.strictObject({ kind: z.literal('account'), path: z.string() }),
]);
const account = z.strictObject({
  name: z.string(),
  docs,
  writable: z.boolean().default(false),
  signer: z.boolean().default(false),
  address: z.string().optional(),
  pda: z.strictObject({ seeds: z.array(seed) }).optional(),
});
const instruction = z.strictObject({
  name: z.string(),
  docs,
  discriminator,
  accounts: z.array(account),
  args: z.array(field),
  returns: type.optional(),
});
const tagged = z.strictObject({ name: z.string(), discriminator });

const idlSchema = z.strictObject({
  address: z.string(),
  metadata: z.strictObject({
    name: z.string(),
    version: z.string(),
    spec: z.literal('0.1.0'),
    description: z.string(),
  }),
  instructions: z.array(instruction),
  accounts: z.array(tagged),
  events: z.array(tagged),
  errors: z.array(z.strictObject({ code: z.int(), name: z.string(), msg: z.string() })),
  types: z.array(
    z.strictObject({
      name: z.string(),
      docs,
      type: z.strictObject({ kind: z.literal('struct'), fields: z.array(field) }),
    }),
  ),
  constants: z.array(z.strictObject({ name: z.string(), type: z.literal('bytes'), value: z.string() })).default([]),
});

export type Idl = z.output<typeof idlSchema>;
export type IdlInstruction = Idl['instructions'][number];
export type IdlField = z.output<typeof field>;

/** @throws on anything but such an IDL, and if a discriminator is not Anchor's hash of the name */
export function parseIdl(text: string): Idl {
  const idl = idlSchema.parse(JSON.parse(text));
  for (const { name, discriminator: bytes } of idl.instructions) assertDiscriminator(`global:${name}`, bytes);
  for (const { name, discriminator: bytes } of idl.accounts) assertDiscriminator(`account:${name}`, bytes);
  for (const { name, discriminator: bytes } of idl.events) assertDiscriminator(`event:${name}`, bytes);
  return idl;
}

function assertDiscriminator(preimage: string, found: readonly number[]): void {
  const wanted = createHash('sha256').update(preimage).digest().subarray(0, 8);
  if (!wanted.equals(Uint8Array.from(found))) {
    throw new Error(`the discriminator of ${preimage} is [${[...wanted].join(', ')}], not [${found.join(', ')}]`);
  }
}

export function findStruct(idl: Idl, name: string): readonly IdlField[] {
  const found = idl.types.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the IDL has no type ${name}`);
  return found.type.fields;
}

/** Bytes of a value; a vector is counted as empty. */
export function computeSize(idl: Idl, of: IdlType): number {
  if (typeof of === 'string') return { u8: 1, u16: 2, u32: 4, u64: 8, i64: 8, pubkey: 32 }[of];
  if ('vec' in of) return 4;
  if ('array' in of) return computeSize(idl, of.array[0]) * of.array[1];
  return findStruct(idl, of.defined.name).reduce((sum, { type: inner }) => sum + computeSize(idl, inner), 0);
}
