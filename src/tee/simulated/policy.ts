import { z } from 'zod';
import { hexBytes, MAX_LIST_ENTRIES } from '../policy-fields.ts';

/** What SIMULATED evidence must say. The section is for networks with a simulated TEE; elsewhere nothing passes by it. */
export const simulatedPolicySchema = z.strictObject({
  measurements: z
    .array(hexBytes(48))
    .min(1)
    .max(MAX_LIST_ENTRIES)
    .exactOptional()
    .describe('measurements that are accepted, 48 bytes in hex each'),
});

export type SimulatedPolicy = z.infer<typeof simulatedPolicySchema>;
