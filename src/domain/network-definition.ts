import { z } from 'zod';
import { blockHashSchema, rpcUrlSchema, solanaAddressSchema } from './chain.ts';

/** Timing of leases and records; short ones make tests and the demo quick. All in ms. */
export const networkParametersSchema = z.strictObject({
  leaseDurationMs: z.int().min(100).max(3_600_000),
  leaseRenewalMs: z.int().min(50).max(1_800_000),
  offerTtlMs: z.int().min(100).max(60_000),
  recordTtlMs: z.int().min(1_000).max(86_400_000),
  beaconRoundMs: z.int().min(100).max(3_600_000),
  epochRounds: z.int().min(1).max(100_000),
});
export type NetworkParameters = z.output<typeof networkParametersSchema>;

/** Design section 12. */
export const DEFAULT_NETWORK_PARAMETERS: NetworkParameters = {
  leaseDurationMs: 120_000,
  leaseRenewalMs: 30_000,
  offerTtlMs: 5_000,
  recordTtlMs: 600_000,
  beaconRoundMs: 30_000,
  epochRounds: 120,
};

/** Which chain a network anchors to, and where its programs are. The genesis decides, whatever an endpoint says of itself. */
export const networkChainSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({
    kind: z.literal('solana'),
    genesis: blockHashSchema,
    /** Used by nodes that name none of their own. */
    rpcUrls: z.array(rpcUrlSchema).max(8),
    programs: z.strictObject({ proofAnchor: solanaAddressSchema }),
  }),
]);
export type NetworkChain = z.output<typeof networkChainSchema>;

/** The small file that `network create` writes and `network join` reads; an invite string is the same, packed. */
export const networkDefinitionSchema = z
  .strictObject({
    type: z.literal('fogproof/network@1'),
    id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens, at most 63'),
    /** `production` refuses what is only fit for development. */
    preset: z.enum(['local', 'development', 'production']),
    bootstrap: z.array(z.string().max(256)).max(64),
    parameters: networkParametersSchema,
    chain: networkChainSchema,
    /** libp2p private-network key (hex, 32 bytes) or null. Whoever holds this file is in. */
    preSharedKey: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .nullable(),
    /**
     * Ed25519 public key (hex, 32 bytes) that stands in for confidential hardware: SIMULATED, no hardware, for tests.
     * Nothing else makes a node believe evidence of the kind `simulated`.
     */
    simulatedTee: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'expected 32 bytes in lower-case hex')
      .exactOptional(),
  })
  .refine(({ preset, simulatedTee }) => preset !== 'production' || simulatedTee === undefined, {
    path: ['simulatedTee'],
    error: 'a network of the preset production has no simulated TEE',
  });
export type NetworkDefinition = z.output<typeof networkDefinitionSchema>;
