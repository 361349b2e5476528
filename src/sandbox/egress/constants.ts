/** Where programs in a sandbox with a network find the node's proxy. */
export const EGRESS_PROXY_HOST = '127.0.0.1';
export const EGRESS_PROXY_PORT = 3128;

/** How long the start of a listener in a sandbox may take, ms. */
export const EGRESS_LISTEN_TIMEOUT_MS = 10_000;
/** Connections of one attempt at a time. */
export const EGRESS_MAX_CONNECTIONS = 64;
/** How long a name and a connection are waited for, ms. */
export const EGRESS_CONNECT_TIMEOUT_MS = 15_000;
/** After so long without a byte in either direction a connection is closed, ms. */
export const EGRESS_IDLE_MS = 300_000;
/** Of a CONNECT request: line and headers. */
export const EGRESS_MAX_HEADER_BYTES = 8192;
