import { isIP } from 'node:net';

/**
 * A web page whose name was made to point here (DNS rebinding) sends that name: it is refused. IP addresses and
 * localhost cannot be made to point elsewhere, so they are fine whatever they are.
 */
export function isAllowedHost(header: string | undefined, allowedHosts: readonly string[]): boolean {
  const name = readHostName(header);
  if (name === undefined) return false;
  return name === 'localhost' || isIP(name) !== 0 || allowedHosts.some((allowed) => allowed.toLowerCase() === name);
}

/** Pages of other sites may open WebSockets anywhere, so those of strangers are refused; other programs send none. */
export function isAllowedOrigin(origin: string | undefined, allowedHosts: readonly string[]): boolean {
  if (origin === undefined) return true;
  if (!URL.canParse(origin)) return false;
  const { hostname } = new URL(origin);
  const isLoopback =
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
  return isLoopback || allowedHosts.some((allowed) => allowed.toLowerCase() === hostname.toLowerCase());
}

const LABEL = '[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?';
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`, 'i');

/** Whether a Host header can hold that name: one with a scheme, a port or a path never matches. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && HOST_NAME.test(text);
}

/** Without the port and the brackets of IPv6. */
function readHostName(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+))(?::\d{1,5})?$/i.exec(header.trim());
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}
