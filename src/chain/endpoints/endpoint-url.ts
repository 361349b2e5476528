/** Path segments this long are keys with several providers (`https://host/v2/<key>`). */
const KEY_SEGMENT = /^[A-Za-z0-9_-]{16,}$/;
const SHORTEST_SECRET = 4;

/** The address of an endpoint, apart from the credentials in it. */
export interface EndpointUrl {
  /** For people and logs: without user, password, query, and path segments that look like keys. */
  readonly label: string;
  /** Where requests go; without user and password, which `fetch` does not take in an address. */
  readonly requestUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Where Solana's tools look for subscriptions: the next port if there is one. */
  readonly webSocketUrl: string;
  /** Takes the credentials out of a text that others wrote. */
  redact(text: string): string;
}

/** @param text an address that `rpcUrlSchema` accepts */
export function parseEndpointUrl(text: string): EndpointUrl {
  const url = new URL(text);
  const user = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  const secrets = [...findSecrets(url), user, password].filter((secret) => secret.length >= SHORTEST_SECRET);
  const headers: Record<string, string> =
    user === '' && password === ''
      ? {}
      : { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
  url.username = '';
  url.password = '';
  return {
    label: `${url.origin}${hideKeys(url.pathname)}`,
    requestUrl: url.href,
    headers,
    webSocketUrl: computeWebSocketUrl(url),
    redact: (message) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), message),
  };
}

function findSecrets(url: URL): string[] {
  const segments = url.pathname.split('/').filter((segment) => KEY_SEGMENT.test(segment));
  return [...segments, ...url.searchParams.values(), url.search.slice(1)];
}

function hideKeys(path: string): string {
  const shown = path
    .split('/')
    .map((segment) => (KEY_SEGMENT.test(segment) ? '…' : segment))
    .join('/');
  return shown === '/' ? '' : shown;
}

function computeWebSocketUrl(url: URL): string {
  const socket = new URL(url.href);
  socket.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  if (url.port !== '') socket.port = String(Number(url.port) + 1);
  return socket.href;
}
