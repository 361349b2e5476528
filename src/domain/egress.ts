import { z } from 'zod';

/** Most hosts that one job may name. */
export const MAX_EGRESS_HOSTS = 32;

const EXPECTED_HOST = "expected a host and its port, such as 'pypi.org:443'";

/** Where a job may connect to. */
export interface EgressHost {
  /** A name in lower case, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

const ipv4 = z.ipv4();
const ipv6 = z.ipv6();
const isIpv4 = (text: string): boolean => ipv4.safeParse(text).success;
const isIpv6 = (text: string): boolean => ipv6.safeParse(text).success;
const NAME = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/;

/** `name:port`, `192.0.2.1:port` or `[2001:db8::1]:port`; undefined for anything else. Case of a name does not count. */
export function parseEgressHost(text: string): EgressHost | undefined {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^:[\]]{1,253})):([1-9][0-9]{0,4})$/.exec(text) ?? [];
  const port = Number(digits);
  if (!(port <= 65_535)) return undefined;
  if (bracketed !== undefined) return isIpv6(bracketed) ? { host: bracketed.toLowerCase(), port } : undefined;
  const host = (plain ?? '').toLowerCase();
  return isIpv4(host) || NAME.test(host) ? { host, port } : undefined;
}

/**
 * A host and its port, such as `pypi.org:443`, by its form alone, which peers' bytes are checked for: whoever uses it reads it
 * with `parseEgressHost`, and refuses what that does not know.
 */
export const egressHostSchema = z
  .string()
  .max(300)
  .regex(/^(\[[0-9a-fA-F:.]{2,45}\]|[a-zA-Z0-9_.-]{1,253}):[1-9][0-9]{0,4}$/, EXPECTED_HOST);

/** The same as people write it. */
export const egressHostTextSchema = z
  .string()
  .max(300)
  .refine((text) => parseEgressHost(text) !== undefined, EXPECTED_HOST);

/** Hosts that a job may connect to, through the node that runs it. */
export const egressSchema = z.strictObject({ hosts: z.array(egressHostSchema).min(1).max(MAX_EGRESS_HOSTS) });

/** What an operator allows: a host, `*.name:port` for all below a name, `*:port` for all. Null for anything else. */
export function parseEgressPattern(text: string): ((wanted: EgressHost) => boolean) | null {
  const [, star, digits] = /^\*(\.[^:]{1,253})?:([1-9][0-9]{0,4})$/.exec(text) ?? [];
  if (digits === undefined) {
    const only = parseEgressHost(text);
    return only === undefined ? null : (wanted) => wanted.host === only.host && wanted.port === only.port;
  }
  const port = Number(digits);
  if (port > 65_535) return null;
  if (star === undefined) return (wanted) => wanted.port === port;
  const below = star.toLowerCase();
  return NAME.test(below.slice(1)) ? (wanted) => wanted.port === port && wanted.host.endsWith(below) : null;
}
