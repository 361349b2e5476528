import {
  MAX_BATCH_REQUESTS,
  MAX_CONNECTIONS,
  MAX_IN_FLIGHT,
  MAX_LINE_BYTES,
  MAX_SUBSCRIPTIONS,
  MAX_UNREAD_BYTES,
  RATE_BURST,
  RATE_PER_SECOND,
  SLOW_READER_TIMEOUT_MS,
} from './constants.ts';

/** What one connection may do. Sizes in bytes, times in ms. */
export interface ConnectionLimits {
  readonly maxLineBytes: number;
  readonly maxBatchRequests: number;
  readonly maxInFlight: number;
  readonly maxSubscriptions: number;
  readonly ratePerSecond: number;
  readonly rateBurst: number;
  readonly maxUnreadBytes: number;
  readonly slowReaderTimeoutMs: number;
}

export interface ControlSocketOptions {
  /** Absolute path of the socket. */
  readonly path: string;
  readonly maxConnections?: number;
  readonly limits?: Partial<ConnectionLimits>;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  maxLineBytes: MAX_LINE_BYTES,
  maxBatchRequests: MAX_BATCH_REQUESTS,
  maxInFlight: MAX_IN_FLIGHT,
  maxSubscriptions: MAX_SUBSCRIPTIONS,
  ratePerSecond: RATE_PER_SECOND,
  rateBurst: RATE_BURST,
  maxUnreadBytes: MAX_UNREAD_BYTES,
  slowReaderTimeoutMs: SLOW_READER_TIMEOUT_MS,
};

export const DEFAULT_MAX_CONNECTIONS = MAX_CONNECTIONS;
