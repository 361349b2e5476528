import type { AnchorReader } from '../../bundle/interface.ts';
import type { AnchorEndpoint } from '../../chain/anchoring/reading/ask-endpoint.ts';
import { SolanaAnchorReader } from '../../chain/anchoring/solana-anchor-reader.ts';
import { EndpointPool } from '../../chain/endpoints/endpoint-pool.ts';
import { parseEndpointUrl } from '../../chain/endpoints/endpoint-url.ts';
import type { CursorStore } from '../../chain/reader/cursor-store.ts';
import { SolanaChainReader } from '../../chain/reader/solana-chain-reader.ts';
import type { BlockHash } from '../../domain/chain.ts';
import { SystemClock } from '../../lib/clock.ts';
import { NoopLogger } from '../../telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../telemetry/noop-metrics.ts';

/** Longest wait for one answer, ms, and how often it is asked for: a stalling endpoint leaves time for the others. */
const ANSWER_TIMEOUT_MS = 10_000;
const ANSWER_TRIES = 2;

/** Nothing is followed here. */
const NO_CURSORS: CursorStore = { get: async () => undefined, put: async () => {} };

export interface OpenedAnchorReader extends AsyncDisposable {
  readonly reader: AnchorReader;
}

export interface AnchorReaderOptions {
  /** As `rpcUrlSchema` accepts them; all are asked. */
  readonly rpcUrls: readonly string[];
  /** For all anchors of a file together. */
  readonly timeoutMs: number;
}

/** Asks each endpoint apart from the others. It opens nothing before the first anchor. */
export function createAnchorReader({ rpcUrls, timeoutMs }: AnchorReaderOptions): OpenedAnchorReader {
  const modules = { clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const stack = new AsyncDisposableStack();
  const openEndpoint = (url: string, genesis: BlockHash): AnchorEndpoint => {
    const answerMs = Math.min(ANSWER_TIMEOUT_MS, timeoutMs / (2 * ANSWER_TRIES));
    const limits = { timeoutMs: answerMs, rounds: ANSWER_TRIES };
    const pool = stack.use(new EndpointPool(modules, { rpcUrls: [url], genesis, ...limits }));
    const reader = new SolanaChainReader({ ...modules, pool, cursors: NO_CURSORS }, { genesis });
    return { url: parseEndpointUrl(url).label, reader };
  };
  // The same address twice is one endpoint: it cannot agree with itself.
  const distinct = [...new Set(rpcUrls.map((url) => new URL(url).href))];
  return {
    reader: new SolanaAnchorReader({
      openEndpoints: (genesis) => distinct.map((url) => openEndpoint(url, genesis)),
    }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
