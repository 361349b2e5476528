import { encodeHex } from '../../../lib/bytes.ts';
import { TD_REPORT_15_BYTES } from '../constants.ts';

/** TD report body of a quote: 584 bytes (1.0) or 648 (1.5). Hex. */
export interface TdReport {
  readonly kind: 'tdx';
  readonly teeTcbSvn: string;
  readonly mrSeam: string;
  readonly mrSignerSeam: string;
  readonly seamAttributes: string;
  readonly tdAttributes: string;
  /** Any of the bits for TDs under debug (TUD, bits 0 to 7). */
  readonly isDebug: boolean;
  /** Bit 28: an access to a page that is gone ends the TD rather than being handled by it. */
  readonly hasSeptVeDisable: boolean;
  /** Bit 29: a service TD may move it to another machine. */
  readonly isMigratable: boolean;
  readonly xfam: string;
  readonly mrTd: string;
  readonly mrConfigId: string;
  readonly mrOwner: string;
  readonly mrOwnerConfig: string;
  readonly rtmr0: string;
  readonly rtmr1: string;
  readonly rtmr2: string;
  readonly rtmr3: string;
  readonly reportData: string;
  /** What the machine had when the quote was made, against `teeTcbSvn` when the TD was launched; null in 1.0. */
  readonly teeTcbSvn2: string | null;
  readonly mrServiceTd: string | null;
}

const ATTRIBUTES_OFFSET = 120;
const SEPT_VE_DISABLE = 2 ** 28;
const MIGRATABLE = 2 ** 29;

export function readTdReport(body: Uint8Array): TdReport {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const hex = (start: number, length: number): string => encodeHex(body.subarray(start, start + length));
  const attributes = view.getUint32(ATTRIBUTES_OFFSET, true);
  const is15 = body.length === TD_REPORT_15_BYTES;
  return {
    kind: 'tdx',
    teeTcbSvn: hex(0, 16),
    mrSeam: hex(16, 48),
    mrSignerSeam: hex(64, 48),
    seamAttributes: hex(112, 8),
    tdAttributes: hex(ATTRIBUTES_OFFSET, 8),
    isDebug: (attributes & 0xff) !== 0,
    hasSeptVeDisable: (attributes & SEPT_VE_DISABLE) !== 0,
    isMigratable: (attributes & MIGRATABLE) !== 0,
    xfam: hex(128, 8),
    mrTd: hex(136, 48),
    mrConfigId: hex(184, 48),
    mrOwner: hex(232, 48),
    mrOwnerConfig: hex(280, 48),
    rtmr0: hex(328, 48),
    rtmr1: hex(376, 48),
    rtmr2: hex(424, 48),
    rtmr3: hex(472, 48),
    reportData: hex(520, 64),
    teeTcbSvn2: is15 ? hex(584, 16) : null,
    mrServiceTd: is15 ? hex(600, 48) : null,
  };
}
