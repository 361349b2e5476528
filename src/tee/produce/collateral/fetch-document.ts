import { createDeadline } from '../../../lib/abort.ts';
import { describeError } from '../../../lib/errors.ts';
import { TeeError } from '../../errors.ts';
import { MAX_DOCUMENT_BYTES } from '../constants.ts';
import type { VendorDocument } from './vendor-document.ts';

/** The part of the platform's `fetch` that is used; TLS and its authorities are the platform's. */
export type FetchDocument = (
  url: string,
  init: { readonly signal: AbortSignal; readonly redirect: 'error' },
) => Promise<Response>;

export interface WantedDocument {
  /** For a person, such as `the VCEK certificate`. */
  readonly what: string;
  readonly url: string;
  /** Header that brings the certificates of who signed it. */
  readonly chainHeader: string | null;
}

/** One GET over https, with a deadline and a bound. @throws TeeError TEE_COLLATERAL_UNAVAILABLE; the signal's reason */
export async function fetchDocument(
  fetch: FetchDocument,
  wanted: WantedDocument,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<VendorDocument> {
  const { url, what, chainHeader } = wanted;
  const failed = (reason: string, cause?: unknown): TeeError =>
    new TeeError({ code: 'TEE_COLLATERAL_UNAVAILABLE', what, url, reason }, { cause });
  if (!url.startsWith('https://')) throw failed('only https is used');
  using deadline = createDeadline(timeoutMs, signal);
  try {
    const response = await fetch(url, { signal: deadline.signal, redirect: 'error' });
    const body = await readBody(response);
    if (!response.ok) throw failed(`HTTP ${response.status}`);
    if (body === undefined) throw failed(`it has more than ${MAX_DOCUMENT_BYTES} bytes`);
    return { body, issuerChain: chainHeader === null ? null : readChain(response, chainHeader, failed) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TeeError) throw error;
    if (deadline.signal.aborted) throw failed(`no answer within ${timeoutMs / 1_000} s`, error);
    throw failed(describeFetchError(error), error);
  }
}

/** Undefined if it is too large. */
async function readBody(response: Response): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    sizeBytes += part.length;
    // Leaving the loop cancels the rest of the body.
    if (sizeBytes > MAX_DOCUMENT_BYTES) return undefined;
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** PEM, percent-encoded (PCS API, version 4). */
function readChain(response: Response, header: string, failed: (reason: string) => TeeError): string {
  const value = response.headers.get(header);
  if (value === null) throw failed(`its answer has no header ${header}`);
  try {
    return decodeURIComponent(value);
  } catch {
    throw failed(`its header ${header} is not percent-encoded`);
  }
}

/** `fetch failed` says nothing; its cause names what happened. */
function describeFetchError(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof AggregateError) return cause.errors.map(describeError).join(', ');
  return describeError(cause);
}
