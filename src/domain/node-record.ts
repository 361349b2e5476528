import { z } from 'zod';
import { capabilityClassSchema, executorKindSchema, isolationLevelSchema } from './capability.ts';
import { bytesSchema, decimalSchema, integerSchema, peerKeySchema, unixMsSchema } from './ids.ts';
import type { ObjectType } from './object-type.ts';

/** How a claim about a node came to be. This version makes `declared` ones only. */
export const CLAIM_CLASSES = ['attested', 'observed', 'declared'] as const;

export const gpuSchema = z.strictObject({
  model: z.string().max(100),
  memoryBytes: integerSchema(),
  driver: z.string().max(40),
});

/** Signed, expiring, sequence-numbered: what a node says of itself. The newest valid sequence wins. */
export const nodeRecordSchema = z.strictObject({
  type: z.literal('fogproof/node-record@1'),
  network: z.string().min(1).max(64),
  peer: peerKeySchema,
  /** ECVRF public key (Ed25519 point); bound to the peer by this record's signature. */
  vrfPublicKey: bytesSchema(32),
  /** Strictly increasing for one identity. */
  sequence: integerSchema(1),
  issuedAtMs: unixMsSchema,
  expiresAtMs: unixMsSchema,
  /** Random for each start of the daemon: two at once under one identity give themselves away. */
  instance: bytesSchema(16),
  addresses: z.array(z.string().max(256)).max(16),
  software: z.string().max(64),
  role: z.strictObject({ provides: z.boolean(), requests: z.boolean() }),
  claims: z.strictObject({
    claimClass: z.enum(CLAIM_CLASSES),
    region: z.string().max(64).nullable(),
    cpuCores: integerSchema(0, 65_536),
    memoryBytes: integerSchema(),
    diskBytes: integerSchema(),
    gpus: z.array(gpuSchema).max(32),
  }),
  capabilities: z.array(capabilityClassSchema).max(4),
  executors: z
    .array(
      z.strictObject({
        kind: executorKindSchema,
        isolation: z.array(isolationLevelSchema).max(2),
        instrumenter: z.string().max(64),
        slots: integerSchema(0, 4096),
      }),
    )
    .max(8),
  /** Standing price of an hour in base units of the network's token, by capability class. */
  pricesPerHour: z.array(z.strictObject({ capabilityClass: capabilityClassSchema, price: decimalSchema })).max(4),
});
export type NodeRecord = z.output<typeof nodeRecordSchema>;
export const NODE_RECORD: ObjectType<NodeRecord> = {
  type: 'fogproof/node-record@1',
  schema: nodeRecordSchema,
  maxBytes: 16 * 1024,
};
