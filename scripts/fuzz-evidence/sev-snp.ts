import { sevSnpPolicySchema } from '../../src/tee/sev-snp/policy.ts';
import { verifySevSnp } from '../../src/tee/sev-snp/verify-sev-snp.ts';
import { buildSnpRequest, readSnpFile, SNP_WAIVER } from '../../test/support/sev-snp-vectors.ts';
import type { FuzzTarget } from './interface.ts';

type Places = Pick<FuzzTarget, 'unsigned' | 'paddingFrom'>;

/** Signed, or reserved and zero: no byte of a report is free. */
const REPORT: Places = { unsigned: [], paddingFrom: 1184 };

/** Sizes and status before the report, the version of the runtime data: Azure's wrapping, which nobody signs. */
const HCL: Places = {
  unsigned: [
    [0x04, 0x20],
    [0x4c4, 0x4c8],
  ],
  paddingFrom: 0x4d4 + 0x456,
};

/** Names no measurement, which leaves that check open: a changed one has to be refused for something else. */
const POLICY = sevSnpPolicySchema.parse(SNP_WAIVER);

function createTarget(stem: string, file: string, places: Places): FuzzTarget {
  return {
    name: `sev-snp/${file}`,
    evidence: readSnpFile(file),
    ...places,
    verify: (evidence, crypto) => verifySevSnp(buildSnpRequest(stem, { evidence, crypto, policy: POLICY })),
  };
}

export function listSevSnpTargets(): readonly FuzzTarget[] {
  return [
    ...['milan-v2-virtee', 'milan-v3-vlek-aws', 'turin-v5-routex'].map((stem) =>
      createTarget(stem, `${stem}.report.bin`, REPORT),
    ),
    createTarget('milan-v3-azure', 'milan-v3-azure.hcl.bin', HCL),
  ];
}
