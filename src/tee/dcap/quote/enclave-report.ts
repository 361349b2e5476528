import { encodeHex } from '../../../lib/bytes.ts';

/** SGX REPORT body, 384 bytes; of an application's enclave or of the quoting enclave. Hex unless it is a number. */
export interface EnclaveReport {
  readonly kind: 'sgx';
  readonly cpuSvn: string;
  readonly miscSelect: string;
  readonly attributes: string;
  readonly isDebug: boolean;
  readonly mrEnclave: string;
  readonly mrSigner: string;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: string;
}

const ATTRIBUTES_OFFSET = 48;
const DEBUG_BIT = 0x02;

export function readEnclaveReport(body: Uint8Array): EnclaveReport {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const hex = (start: number, length: number): string => encodeHex(body.subarray(start, start + length));
  return {
    kind: 'sgx',
    cpuSvn: hex(0, 16),
    miscSelect: hex(16, 4),
    attributes: hex(ATTRIBUTES_OFFSET, 16),
    isDebug: (view.getUint8(ATTRIBUTES_OFFSET) & DEBUG_BIT) !== 0,
    mrEnclave: hex(64, 32),
    mrSigner: hex(128, 32),
    isvProdId: view.getUint16(256, true),
    isvSvn: view.getUint16(258, true),
    reportData: hex(320, 64),
  };
}
