import { UnixMs } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { TeeError } from '../../errors.ts';
import { FETCH_TIMEOUT_MS, RETRY_AFTER_MS } from '../constants.ts';
import type { DocumentCache } from './document-cache.ts';
import { type FetchDocument, fetchDocument, type WantedDocument } from './fetch-document.ts';
import type { KeptDocument, VendorDocument } from './vendor-document.ts';

export interface DocumentRequest<Value> extends WantedDocument {
  /** ms. After it a newer one is asked for, though this one still counts; null: never. */
  readonly refreshAfterMs: number | null;
  /**
   * What is in it. Nothing that this refuses is ever kept or used: it verifies the document by a pinned root, and that it
   * is current at the time. @throws TeeError
   */
  open(document: VendorDocument, atMs: number): Promise<Value>;
}

export interface DocumentSourceModules {
  readonly fetch: FetchDocument;
  readonly cache: DocumentCache;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface DocumentSourceOptions {
  /** Only what is kept counts. */
  readonly isOffline: boolean;
  /** Of one document. */
  readonly timeoutMs?: number;
}

/** Documents of vendors: from the disk while they are current by their own word, else from the vendor. */
export class DocumentSource {
  readonly #modules: DocumentSourceModules;
  readonly #isOffline: boolean;
  readonly #timeoutMs: number;
  /** By address; as many as there are documents of this one machine. */
  readonly #failures = new Map<string, { readonly error: TeeError; readonly atMs: number }>();

  constructor(modules: DocumentSourceModules, options: DocumentSourceOptions) {
    this.#modules = modules;
    this.#isOffline = options.isOffline;
    this.#timeoutMs = options.timeoutMs ?? FETCH_TIMEOUT_MS;
  }

  /** @throws TeeError TEE_COLLATERAL_UNAVAILABLE; the signal's reason */
  async obtain<Value>(request: DocumentRequest<Value>, signal: AbortSignal): Promise<Value> {
    const nowMs = this.#modules.clock.nowMs();
    const kept = await this.#openKept(request, nowMs);
    if (kept !== undefined && !isDue(request, kept.document, nowMs)) return kept.value;
    if (this.#isOffline) {
      if (kept !== undefined) return kept.value;
      throw unavailable(request, 'nothing current is kept, and attest.offline forbids to fetch it');
    }
    try {
      return await this.#fetch(request, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (kept === undefined || !(error instanceof TeeError)) throw error;
      this.#modules.logger.debug({ url: request.url, reason: error.message }, 'a kept document was not refreshed');
      return kept.value;
    }
  }

  async #openKept<Value>(
    request: DocumentRequest<Value>,
    nowMs: number,
  ): Promise<{ readonly value: Value; readonly document: KeptDocument } | undefined> {
    const document = await this.#modules.cache.get(request.url);
    if (document === undefined) return undefined;
    try {
      return { value: await request.open(document, nowMs), document };
    } catch (error) {
      if (error instanceof TeeError) return undefined;
      throw error;
    }
  }

  async #fetch<Value>(request: DocumentRequest<Value>, signal: AbortSignal): Promise<Value> {
    const { clock } = this.#modules;
    const { url } = request;
    const failure = this.#failures.get(url);
    if (failure !== undefined && clock.monotonicMs() - failure.atMs < RETRY_AFTER_MS) throw failure.error;
    try {
      const document = await fetchDocument(this.#modules.fetch, request, { signal, timeoutMs: this.#timeoutMs });
      const value = await this.#open(request, document);
      this.#failures.delete(url);
      await this.#keep(url, document);
      return value;
    } catch (error) {
      if (error instanceof TeeError) this.#failures.set(url, { error, atMs: clock.monotonicMs() });
      throw error;
    }
  }

  async #open<Value>(request: DocumentRequest<Value>, document: VendorDocument): Promise<Value> {
    try {
      return await request.open(document, this.#modules.clock.nowMs());
    } catch (error) {
      if (!(error instanceof TeeError)) throw error;
      throw unavailable(request, `what was fetched is not it: ${error.message}`, error);
    }
  }

  /** A full disk costs a fetch the next time, not the evidence. */
  async #keep(url: string, { body, issuerChain }: VendorDocument): Promise<void> {
    const { cache, clock, logger } = this.#modules;
    const fetchedAtMs = UnixMs(clock.nowMs());
    try {
      await cache.put({ type: 'fogproof/vendor-document@1', url, fetchedAtMs, body, issuerChain });
    } catch (error) {
      logger.warn({ url, reason: describeError(error) }, "a vendor's document could not be kept");
    }
  }
}

function isDue({ refreshAfterMs }: DocumentRequest<unknown>, { fetchedAtMs }: KeptDocument, nowMs: number): boolean {
  return refreshAfterMs !== null && Math.abs(nowMs - fetchedAtMs) > refreshAfterMs;
}

function unavailable({ what, url }: WantedDocument, reason: string, cause?: unknown): TeeError {
  return new TeeError({ code: 'TEE_COLLATERAL_UNAVAILABLE', what, url, reason }, { cause });
}
