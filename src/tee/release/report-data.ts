import type { EvidenceCrypto } from '../interface.ts';
import { encodeLabelled } from '../label.ts';

const REPORT_DATA = 'fogproof/attest@1';
const GPU_NONCE = 'fogproof/attest-gpu@1';

/** What a report has to carry: SHA-512("fogproof/attest@1" ‖ 0x00 ‖ canonical runtime data), 64 bytes. */
export function computeReportData(crypto: EvidenceCrypto, runtimeData: Uint8Array): Promise<Uint8Array> {
  return crypto.digest('SHA-512', encodeLabelled(REPORT_DATA, runtimeData));
}

/** What the GPUs have to answer: SHA-256("fogproof/attest-gpu@1" ‖ 0x00 ‖ report data), 32 bytes. */
export function computeGpuNonce(crypto: EvidenceCrypto, reportData: Uint8Array): Promise<Uint8Array> {
  return crypto.digest('SHA-256', encodeLabelled(GPU_NONCE, reportData));
}
