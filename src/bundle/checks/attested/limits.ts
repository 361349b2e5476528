/** What evidence of each kind assumes, and what it does not show. Always printed with it. */
import type { TeeKind } from '../../../domain/capability.ts';
import { SIMULATED_MARK } from './describe-attested.ts';
import type { JudgedAttempt } from './judge-attempt.ts';
import { chooseMark, type HardwareKind, isHardware, listMachineLimits } from './machine-limits.ts';

const VENDORS: Readonly<Record<HardwareKind, string>> = {
  'sev-snp':
    'AMD: that nothing but its processors holds keys under the pinned roots, and that these keep the promises of SEV-SNP at the firmware levels that the policy accepts',
  tdx: 'Intel: that nothing but its processors holds keys under the pinned root, that these keep the promises of TDX, and that what it says of firmware levels and revocation is right',
  sgx: 'Intel: that nothing but its processors holds keys under the pinned root, that these keep the promises of SGX, and that what it says of firmware levels and revocation is right',
};

function listKinds(attempts: readonly JudgedAttempt[]): readonly TeeKind[] {
  const kinds = attempts.flatMap(({ attempt: { attestation } }) =>
    attestation.kind === 'opened' ? [attestation.evidence.kind] : [],
  );
  return [...new Set(kinds)];
}

function hasGpus({ attempt: { attestation } }: JudgedAttempt): boolean {
  return attestation.kind === 'opened' && attestation.evidence.gpus !== null;
}

/** @param attempts those whose receipts name evidence */
export function listAssumptions(attempts: readonly JudgedAttempt[]): readonly string[] {
  const kinds = listKinds(attempts);
  const mark = chooseMark(kinds);
  return [
    ...(kinds.includes('simulated')
      ? [
          `${SIMULATED_MARK}that nobody but the simulated environment holds the network's simulated key; it is a file, and whoever has it can make all of this`,
        ]
      : []),
    ...kinds.filter(isHardware).map((kind) => VENDORS[kind]),
    ...(attempts.some(hasGpus)
      ? [
          'NVIDIA: that nothing but its GPUs holds keys under the pinned root, and that its reference manifests are right',
        ]
      : []),
    `${mark}the policy of the job, which the requester wrote: that the code with the measurements in it keeps its keys and the inputs to itself and says truly what it ran`,
    `${mark}the requester's word for when the evidence was judged: certificates, revocation and firmware levels count as of then. What became known later is not considered, and requester and provider together can date it back`,
    `${mark}the requester made the nonce for this attempt and used it once`,
  ];
}

export function listLimits(attempts: readonly JudgedAttempt[]): readonly string[] {
  const kinds = listKinds(attempts);
  const mark = chooseMark(kinds);
  return [
    ...listMachineLimits({ kinds, gpus: attempts.some(hasGpus) }),
    `${mark}that sizes of files, fuel, steps, times, exit codes and who worked for whom are hidden: all of that is in the clear`,
    `${mark}that the program, its arguments and its environment were hidden from the provider: they are not confidential`,
    `${mark}that the program is correct, or keeps its inputs out of what it shows`,
  ];
}
