import { z } from 'zod';
import { MAX_TENSOR_RANK, TENSOR_TYPES, type TensorType } from '../../../lib/npy.ts';
import { SandboxError } from '../../errors.ts';
import type { Reply } from './child-protocol.ts';
import { MAX_MESSAGE_BYTES, MAX_MODEL_TENSORS, MAX_TENSOR_NAME_CHARS } from './constants.ts';

const nameSchema = z.string().max(MAX_TENSOR_NAME_CHARS);
const sizeSchema = z.int().min(0);
const slotSchema = z.strictObject({
  name: nameSchema,
  type: z.string().max(32),
  shape: z.array(z.union([sizeSchema, nameSchema])).max(MAX_TENSOR_RANK),
});
const slotsSchema = z.array(slotSchema).max(MAX_MODEL_TENSORS);
const tensorSchema = z.strictObject({
  name: nameSchema,
  type: z.enum(Object.keys(TENSOR_TYPES) as [TensorType, ...TensorType[]]),
  shape: z.array(sizeSchema).max(MAX_TENSOR_RANK),
});

const replySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ready'), version: z.string().max(32) }),
  z.strictObject({ kind: z.literal('loaded'), inputs: slotsSchema, outputs: slotsSchema }),
  z.strictObject({ kind: z.literal('failed'), reason: z.enum(['runtime', 'rows']), message: z.string().max(2000) }),
  z.strictObject({
    kind: z.literal('item'),
    item: sizeSchema,
    outputs: z.array(tensorSchema).min(1).max(MAX_MODEL_TENSORS),
  }),
  z.strictObject({ kind: z.literal('too-large'), item: sizeSchema, sizeBytes: sizeSchema }),
  z.strictObject({ kind: z.literal('done') }),
]);

/** What a child says is untrusted. @throws SandboxError SANDBOX_PROTOCOL */
export function parseReply(bytes: Uint8Array): Reply {
  const refuse = (reason: string): SandboxError => new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
  if (bytes.length > MAX_MESSAGE_BYTES) throw refuse('a message is too long');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    throw refuse('a message is no JSON');
  }
  const parsed = replySchema.safeParse(value);
  if (!parsed.success) throw refuse('a message is malformed');
  return parsed.data;
}
