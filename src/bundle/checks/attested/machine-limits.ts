/** What evidence of each kind never shows, whatever it is evidence for. Printed with it, wherever it is judged. */
import type { TeeKind } from '../../../domain/capability.ts';
import { KIND_NAMES, SIMULATED_MARK } from './describe-attested.ts';

export type HardwareKind = Exclude<TeeKind, 'simulated'>;

/** Devices on the memory bus, published in 2025, and what they were shown to do. */
const INTERPOSERS: Readonly<Record<HardwareKind, string>> = {
  'sev-snp': 'Battering RAM lets other code pass for the measured one, TEE.fail reads keys out of it',
  tdx: 'TEE.fail takes out the keys that such evidence is signed with',
  sgx: 'WireTap and TEE.fail take out the keys that such evidence is signed with, Battering RAM reads its memory',
};

export interface EvidenceOfMachine {
  /** Of processors; none where GPUs alone were judged, or nothing could be read. */
  readonly kinds: readonly TeeKind[];
  readonly gpus: boolean;
}

export const isHardware = (kind: TeeKind): kind is HardwareKind => kind !== 'simulated';

/** Begins what is said of evidence of which none is of hardware. */
export function chooseMark(kinds: readonly TeeKind[]): string {
  return kinds.length > 0 && !kinds.some(isHardware) ? SIMULATED_MARK : '';
}

/** Each completes 'it does not claim …'. */
export function listMachineLimits({ kinds, gpus }: EvidenceOfMachine): readonly string[] {
  const mark = chooseMark(kinds);
  return [
    ...(kinds.includes('simulated')
      ? [
          `${SIMULATED_MARK}anything of any hardware: it is for tests, and whoever ran it could read and change everything`,
        ]
      : []),
    ...kinds.filter(isHardware).map(describeInterposers),
    ...(gpus
      ? [
          'that the GPUs are in the machine that asked them: their evidence answers a nonce that the processor has to have signed, so whoever took the key out of one processor can show GPUs that stand elsewhere',
        ]
      : []),
    `${mark}that nothing leaked by side channels: time, power, caches, page faults and the pattern of memory accesses, which the host can watch`,
    `${mark}that a sandbox on a bare host shields anything from who runs that host: what the evidence is of is the confidential machine alone, with the code that it measured`,
  ];
}

function describeInterposers(kind: HardwareKind): string {
  return (
    `that whoever holds the machine left it alone: with a device on the memory bus ${KIND_NAMES[kind]} is broken ` +
    `(${INTERPOSERS[kind]}). Where much is at stake, ask for another assurance beside it`
  );
}
