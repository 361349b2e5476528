import { encodeHex } from '../../../lib/bytes.ts';
import { failed, passed, unchecked } from '../../checks.ts';
import type { EvidenceCheck } from '../../interface.ts';
import { NVDEC0_MEASUREMENT_INDEX } from '../constants.ts';
import type { NvidiaClaims } from '../interface.ts';
import type { ReferenceManifest } from './reference-manifest.ts';

/** The manifests of this device, as far as they were given. */
export interface DeviceManifests {
  readonly driver: ReferenceManifest | undefined;
  readonly vbios: ReferenceManifest | undefined;
}

type Judged = Pick<NvidiaClaims, 'deviceType' | 'driverVersion' | 'vbiosVersion' | 'isNvdec0Enabled' | 'measurements'>;

/**
 * Every active golden value of both manifests has to be measured, at its index; one of several alternatives is enough.
 * An index that both manifests claim has no meaning and fails. A manifest that is missing leaves the check unchecked:
 * part of what runs would not be judged.
 */
export function judgeMeasurements(claims: Judged, { driver, vbios }: DeviceManifests): EvidenceCheck {
  const conflict = [...(driver?.golden.keys() ?? [])].filter((index) => vbios?.golden.has(index));
  if (conflict.length > 0) {
    return failed('measurements', `both RIMs claim the measurements ${conflict.join(', ')}`);
  }
  const mismatches = [
    ...listMismatches(claims, { role: 'driver', manifest: driver }),
    ...listMismatches(claims, { role: 'VBIOS', manifest: vbios }),
  ];
  if (mismatches.length > 0) return failed('measurements', mismatches.join('; '));
  const missing = listMissing(claims, { driver, vbios });
  if (missing.length > 0) return unchecked('measurements', `no RIM of ${missing.join(' and of ')} was given`);
  const golden = [driver, vbios].reduce((sum, manifest) => sum + listJudged(claims, manifest).length, 0);
  const total = Object.keys(claims.measurements).length;
  return passed('measurements', `${golden} golden values agree with the report, which has ${total} measurements`);
}

interface RoleManifest {
  readonly role: string;
  readonly manifest: ReferenceManifest | undefined;
}

function listMismatches(claims: Judged, { role, manifest }: RoleManifest): readonly string[] {
  return listJudged(claims, manifest).flatMap(([index, alternatives]) => {
    const measured = Object.hasOwn(claims.measurements, index) ? claims.measurements[index] : undefined;
    if (alternatives.some((golden) => encodeHex(golden) === measured)) return [];
    const found = measured === undefined ? 'is not in the report' : `is ${measured.slice(0, 16)}…`;
    return [`${role} measurement ${index} ${found}; golden values: ${alternatives.length}`];
  });
}

function listJudged(
  claims: Judged,
  manifest: ReferenceManifest | undefined,
): readonly [number, readonly Uint8Array[]][] {
  return [...(manifest?.golden ?? [])].filter(([index]) => !isMeaningless(claims, index));
}

/** A GPU that has NVDEC0 switched off measures nothing for it (as NVIDIA's verifier has it). */
function isMeaningless(claims: Judged, index: number): boolean {
  return index === NVDEC0_MEASUREMENT_INDEX && claims.isNvdec0Enabled === false;
}

function listMissing({ driverVersion, vbiosVersion }: Judged, { driver, vbios }: DeviceManifests): readonly string[] {
  return [
    ...(driverVersion !== null && driver === undefined ? [`the driver ${driverVersion}`] : []),
    ...(vbios === undefined ? [`the VBIOS ${vbiosVersion}`] : []),
  ];
}
