/**
 * The address of an endpoint for people and logs. Providers put keys of their customers into user, password, query or
 * path: none of them is shown, only that something is there.
 */
export function hideUrlSecrets(text: string): string {
  if (!URL.canParse(text)) return '(not an address)';
  const { protocol, host, pathname, search, hash } = new URL(text);
  const isMore = pathname !== '/' || search !== '' || hash !== '';
  return `${protocol}//${host}${isMore ? '/…' : ''}`;
}

/** True if the address has parts that `hideUrlSecrets` would leave out. */
export function hasUrlSecrets(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password, pathname, search } = new URL(text);
  return username !== '' || password !== '' || pathname !== '/' || search !== '';
}

/** True for the loopback addresses and `localhost`. */
export function isOnThisMachine(text: string): boolean {
  return URL.canParse(text) && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(text).hostname);
}
