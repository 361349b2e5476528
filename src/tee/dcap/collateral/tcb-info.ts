/** TCB info of Intel's provisioning certification service, version 3 (API version 4). */
import { z } from 'zod';
import { MAX_LIST_ENTRIES, SVN_COMPONENTS } from '../constants.ts';
import { LEVEL_STATUSES } from '../tcb/tcb-status.ts';

/** Bytes in hex, made lower case. */
export function hexOf(bytes: number) {
  return z
    .string()
    .regex(new RegExp(`^[0-9A-Fa-f]{${bytes * 2}}$`, 'u'))
    .toLowerCase();
}

/** Unix ms. */
export const timeSchema = z.iso.datetime({ precision: 0 }).transform((text) => Date.parse(text));

const levelFields = {
  tcbDate: timeSchema,
  tcbStatus: z.enum(LEVEL_STATUSES),
  advisoryIDs: z.array(z.string().max(64)).max(MAX_LIST_ENTRIES).default([]),
};

/** Of a quoting enclave or a TDX module. */
export const isvLevelSchema = z.object({ tcb: z.object({ isvsvn: z.int().min(0).max(0xffff) }), ...levelFields });

const componentsSchema = z
  .array(z.object({ svn: z.int().min(0).max(0xff) }).transform(({ svn }) => svn))
  .length(SVN_COMPONENTS);

const moduleFields = { mrsigner: hexOf(48), attributes: hexOf(8), attributesMask: hexOf(8) };

const moduleIdentitySchema = z.object({
  id: z.string().max(64).toUpperCase(),
  ...moduleFields,
  tcbLevels: z.array(isvLevelSchema).min(1).max(MAX_LIST_ENTRIES),
});

function levelSchema<Tcb extends z.ZodRawShape>(more: Tcb) {
  return z.object({
    tcb: z.object({ sgxtcbcomponents: componentsSchema, pcesvn: z.int().min(0).max(0xffff), ...more }),
    ...levelFields,
  });
}

const commonFields = {
  version: z.literal(3),
  issueDate: timeSchema,
  nextUpdate: timeSchema,
  fmspc: hexOf(6),
  pceId: hexOf(2),
  tcbType: z.literal(0),
  tcbEvaluationDataNumber: z.int().min(0),
};

export const tcbInfoSchema = z.discriminatedUnion('id', [
  z.object({ id: z.literal('SGX'), ...commonFields, tcbLevels: z.array(levelSchema({})).min(1).max(MAX_LIST_ENTRIES) }),
  z.object({
    id: z.literal('TDX'),
    ...commonFields,
    tdxModule: z.object(moduleFields),
    tdxModuleIdentities: z.array(moduleIdentitySchema).max(MAX_LIST_ENTRIES).default([]),
    tcbLevels: z
      .array(levelSchema({ tdxtcbcomponents: componentsSchema }))
      .min(1)
      .max(MAX_LIST_ENTRIES),
  }),
]);

export type TcbInfo = z.infer<typeof tcbInfoSchema>;
export type TdxTcbInfo = Extract<TcbInfo, { id: 'TDX' }>;
export type TcbLevel = TcbInfo['tcbLevels'][number];
export type IsvLevel = z.infer<typeof isvLevelSchema>;
export type ModuleIdentity = z.infer<typeof moduleIdentitySchema>;
