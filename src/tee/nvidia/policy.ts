import { z } from 'zod';

const driverVersion = z.string().regex(/^\d{1,5}(\.\d{1,5}){1,3}$/, 'a driver version looks like 550.144.03');
const vbiosVersion = z
  .string()
  .regex(/^[0-9A-F]{2}(\.[0-9A-F]{2}){4}$/, 'a VBIOS version looks like 96.00.5E.00.01, in capitals');

/** Checks whose being unchecked a policy may accept, by name. A check that failed is never accepted. */
const ACCEPTABLE = ['revocation', 'firmware-id', 'measurements'] as const;

export const nvidiaPolicySchema = z.strictObject({
  /** Evidence of a switch is none of a GPU. */
  deviceTypes: z
    .array(z.enum(['gpu', 'switch']))
    .min(1)
    .max(2)
    .default(['gpu']),
  /** `GH100`, `GB100`, `LS_10`. Not given: every chip that is known here. */
  chips: z.array(z.string().max(32)).min(1).max(32).optional(),
  driverVersions: z.array(driverVersion).min(1).max(256).optional(),
  /** Compared part by part. Branches are not ordered by their fixes: a list says more. */
  minDriverVersion: driverVersion.optional(),
  vbiosVersions: z.array(vbiosVersion).min(1).max(256).optional(),
  minVbiosVersion: vbiosVersion.optional(),
  modes: z
    .array(z.enum(['mpt', 'spt', 'ppcie']))
    .min(1)
    .max(3)
    .optional(),
  acceptUnchecked: z.array(z.enum(ACCEPTABLE)).max(ACCEPTABLE.length).default([]),
});

export type NvidiaPolicy = z.output<typeof nvidiaPolicySchema>;
