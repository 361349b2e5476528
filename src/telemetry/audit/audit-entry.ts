import { z } from 'zod';

/** SHA-256 of nothing that was ever written: `prev` of the first entry. */
export const NO_ENTRY = '0'.repeat(64);

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0);
/** Ids, codes, names of settings: never what a person or a program wrote. */
const name = z.string().regex(/^[A-Za-z0-9_.:/@-]{1,128}$/);

/**
 * What can be in the log. Only ids, codes, figures and names of settings: no field has room for a secret, an input, an
 * output, or a line that a program printed.
 */
export const auditEventSchema = z.discriminatedUnion('kind', [
  /** The daemon begins; `work` is what it takes. */
  z.strictObject({
    kind: z.literal('start'),
    version: name,
    policy: hex,
    work: z.enum(['open', 'drain', 'panic']),
  }),
  z.strictObject({ kind: z.literal('stop') }),
  /** The policy is another than that of the process before; null: there was none. */
  z.strictObject({ kind: z.literal('policy'), before: hex.nullable(), after: hex }),
  z.strictObject({
    kind: z.literal('offer'),
    requester: name,
    subject: name,
    offer: name,
    workload: name,
    attempts: count,
  }),
  /** `times`: how often in a minute for the same reason. `rule`: the setting that decided; null: none of the policy did. */
  z.strictObject({
    kind: z.literal('refusal'),
    of: z.enum(['offer', 'lease']),
    requester: name,
    subject: name,
    code: name,
    rule: name.nullable(),
    times: z.int().min(1),
  }),
  /** Ids are those of the first of several that were leased together. */
  z.strictObject({
    kind: z.literal('lease'),
    requester: name,
    offer: name,
    job: name,
    lease: name,
    attempts: z.int().min(1),
  }),
  z.strictObject({ kind: z.literal('attempt-start'), requester: name, job: name, lease: name }),
  /** `outcome`: how many ended how, by code; ids are those of the first. */
  z.strictObject({
    kind: z.literal('attempt-end'),
    requester: name,
    job: name,
    lease: name,
    outcomes: z.record(name, z.int().min(1)),
    cpuTimeMs: count,
  }),
  z.strictObject({ kind: z.literal('drain') }),
  z.strictObject({ kind: z.literal('resume') }),
  z.strictObject({ kind: z.literal('panic'), attempts: count }),
  z.strictObject({ kind: z.literal('panic-done'), attempts: count, processes: count, left: count, elapsedMs: count }),
  /** A new file begins; entries up to this one made room. 0: none ever did. */
  z.strictObject({ kind: z.literal('segment'), removedThrough: count }),
  /** So many entries could not be written: the disk was full, say. */
  z.strictObject({ kind: z.literal('gap'), lost: z.int().min(1) }),
]);
export type AuditEvent = z.output<typeof auditEventSchema>;

const headSchema = z.object({ seq: z.int().min(1), at: z.iso.datetime({ precision: 3 }), prev: hex });

export interface AuditEntry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** ISO 8601, UTC, ms. */
  readonly at: string;
  /** Hex of the SHA-256 of the line before, without its line break. */
  readonly prev: string;
  readonly event: AuditEvent;
}

/** Largest line, bytes: what is longer is no entry. */
export const MAX_LINE_BYTES = 64 * 1024;

export function formatEntry({ seq, at, prev, event }: AuditEntry): string {
  return JSON.stringify({ seq, at, prev, ...event });
}

/** Undefined for a line that is no entry. */
export function parseEntry(line: string): AuditEntry | undefined {
  if (line.length > MAX_LINE_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const head = headSchema.safeParse(value);
  if (!head.success) return undefined;
  const { seq: _seq, at: _at, prev: _prev, ...rest } = value as Record<string, unknown>;
  const event = auditEventSchema.safeParse(rest);
  return event.success ? { ...head.data, event: event.data } : undefined;
}
