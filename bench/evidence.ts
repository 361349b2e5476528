/** Verification of evidence, warm, against nothing but the signature checks that it is made of (design, section 11). */
import { NodeEvidenceCrypto } from '../src/tee/crypto/node-evidence-crypto.ts';
import { verifyQuote } from '../src/tee/dcap/verify-quote.ts';
import type { EvidenceCrypto, EvidenceVerification, SignatureScheme, SignedParts } from '../src/tee/interface.ts';
import { verifyGpuEvidence } from '../src/tee/nvidia/verify-gpu-evidence.ts';
import { verifySevSnp } from '../src/tee/sev-snp/verify-sev-snp.ts';
import { readIntelEvidence } from '../test/support/intel-vectors.ts';
import { buildNvidiaRequest, buildSwitchRequest } from '../test/support/nvidia-vectors.ts';
import { buildSnpRequest } from '../test/support/sev-snp-vectors.ts';
import { atMost, type BenchRow, type Bound, percentile } from './rows.ts';

const SAMPLES = 100;
const WARM_UP = 40;

interface EvidenceTask {
  readonly name: string;
  readonly goal?: Bound;
  readonly floor?: Bound;
  verify(crypto: EvidenceCrypto): Promise<EvidenceVerification<unknown>>;
}

/** What a verification asked of the crypto. */
class RecordingCrypto extends NodeEvidenceCrypto {
  readonly calls: (readonly [SignatureScheme, SignedParts])[] = [];

  override verify(scheme: SignatureScheme, parts: SignedParts): Promise<boolean> {
    this.calls.push([scheme, parts]);
    return super.verify(scheme, parts);
  }
}

function listTasks(): readonly EvidenceTask[] {
  const atMs = Date.parse('2025-06-26T00:00:00Z');
  const tdx = readIntelEvidence('tdx/tdx-v4-phala');
  const sgx = readIntelEvidence('sgx/sgx-v3-phala');
  const gpu = buildNvidiaRequest('hopper-evidence-0');
  const nvswitch = buildSwitchRequest();
  const snp = buildSnpRequest('genoa-v3-azure');
  return [
    {
      name: 'SNP report',
      goal: atMost(1),
      floor: atMost(3),
      verify: (crypto) => verifySevSnp({ ...snp, crypto }),
    },
    {
      name: 'TDX quote with collateral',
      goal: atMost(5),
      floor: atMost(15),
      verify: (crypto) => verifyQuote({ ...tdx, kind: 'tdx', policy: 'waived', atMs, crypto }),
    },
    {
      name: 'SGX quote with collateral',
      verify: (crypto) => verifyQuote({ ...sgx, kind: 'sgx', policy: 'waived', atMs, crypto }),
    },
    { name: 'GPU report', verify: (crypto) => verifyGpuEvidence({ ...gpu, crypto }) },
    {
      name: 'NVSwitch report with its manifest',
      verify: (crypto) => verifyGpuEvidence({ ...nvswitch, crypto }),
    },
  ];
}

/** Both take turns, so that whatever else the machine does meets both alike. */
async function measure(task: EvidenceTask): Promise<BenchRow> {
  const crypto = new NodeEvidenceCrypto();
  const recording = new RecordingCrypto();
  await task.verify(recording);
  const whole: number[] = [];
  const bare: number[] = [];
  for (let sample = -WARM_UP; sample < SAMPLES; sample++) {
    const startMs = performance.now();
    await task.verify(crypto);
    const betweenMs = performance.now();
    for (const [scheme, parts] of recording.calls) await crypto.verify(scheme, parts);
    if (sample < 0) continue;
    whole.push(betweenMs - startMs);
    bare.push(performance.now() - betweenMs);
  }
  return {
    name: `evidence: ${task.name}`,
    value: percentile(whole, 0.5),
    unit: 'ms',
    baseline: { name: `its ${recording.calls.length} signature checks alone`, value: percentile(bare, 0.5) },
    ...(task.goal === undefined ? {} : { goal: task.goal }),
    ...(task.floor === undefined ? {} : { floor: task.floor }),
  };
}

export async function benchEvidence(): Promise<readonly BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const task of listTasks()) rows.push(await measure(task));
  return rows;
}
