import { decodeUtf8 } from '../../src/lib/bytes.ts';
import { verifyGpuEvidence } from '../../src/tee/nvidia/verify-gpu-evidence.ts';
import {
  buildNvidiaRequest,
  buildSwitchRequest,
  readNvidiaFile,
  SWITCH_RIM,
} from '../../test/support/nvidia-vectors.ts';
import type { FuzzTarget } from './interface.ts';

const GPU = 'hopper-evidence-0';

/** A report of a GPU, signed to its last byte; a manifest of a switch, the only one whose device's report is public. */
export function listNvidiaTargets(): readonly FuzzTarget[] {
  return [createReportTarget(), createManifestTarget()];
}

function createReportTarget(): FuzzTarget {
  const genuine = buildNvidiaRequest(GPU);
  return {
    name: `nvidia/${GPU}`,
    evidence: genuine.report,
    unsigned: [],
    paddingFrom: genuine.report.length,
    verify: (report, crypto) => verifyGpuEvidence({ ...genuine, report, crypto }),
  };
}

/** The last certificate is a copy of the pinned root, which counts for nothing. */
function createManifestTarget(): FuzzTarget {
  const rim = readNvidiaFile(SWITCH_RIM);
  const text = decodeUtf8(rim);
  return {
    name: `nvidia/${SWITCH_RIM}`,
    evidence: rim,
    unsigned: [[text.lastIndexOf('<ds:X509Certificate>'), text.lastIndexOf('</ds:X509Certificate>')]],
    paddingFrom: text.trimEnd().length,
    verify: (changed, crypto) => verifyGpuEvidence(buildSwitchRequest({ rims: [changed], crypto })),
  };
}
