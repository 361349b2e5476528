import { encodeHex } from '../../../lib/bytes.ts';
import { parseQuote } from '../../dcap/quote/quote.ts';
import { TeeError } from '../../errors.ts';
import { parseReport } from '../../sev-snp/report.ts';
import type { HardwareKind } from '../interface.ts';

interface Answer {
  readonly what: string;
  readonly kind: HardwareKind;
  readonly report: Uint8Array;
}

/**
 * That a report answers this order and no other: two programs may share an interface, and one that mixes them up is found
 * here rather than by a requester, who would blame the provider. @throws TeeError TEE_BUSY, TEE_MALFORMED
 */
export function assertCarries({ what, kind, report }: Answer, reportData: Uint8Array): void {
  const found = kind === 'sev-snp' ? encodeHex(parseReport(report).reportData) : readQuoteData(what, kind, report);
  if (found === encodeHex(reportData)) return;
  throw new TeeError({ code: 'TEE_BUSY', what, reason: 'its report carries other report data than was asked for' });
}

function readQuoteData(what: string, kind: HardwareKind, report: Uint8Array): string {
  const { body } = parseQuote(report);
  if (body.kind === kind) return body.reportData;
  throw new TeeError({ code: 'TEE_PRODUCE_FAILED', what, reason: `it gives a quote of ${body.kind}, not of ${kind}` });
}
