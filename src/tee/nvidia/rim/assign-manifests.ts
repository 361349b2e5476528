import { isDaemonError } from '../../../lib/errors.ts';
import { failed, passed } from '../../checks.ts';
import type { EvidenceCheck } from '../../interface.ts';
import { MAX_RIMS } from '../constants.ts';
import type { NvidiaClaims } from '../interface.ts';
import type { DeviceManifests } from './judge-measurements.ts';
import { parseReferenceManifest, type ReferenceManifest } from './reference-manifest.ts';

export interface AssignedManifests extends DeviceManifests {
  /** `driver-rim`, `vbios-rim` for each that fits the device, `rim` for each that does not. */
  readonly checks: readonly EvidenceCheck[];
}

/** Which manifest is of the driver and which of the VBIOS. One that is of neither fails: nobody gives it in good faith. */
export function assignManifests(claims: NvidiaClaims, rims: readonly Uint8Array[]): AssignedManifests {
  const assigned: { driver: ReferenceManifest | undefined; vbios: ReferenceManifest | undefined } = {
    driver: undefined,
    vbios: undefined,
  };
  if (rims.length > MAX_RIMS) {
    return { ...assigned, checks: [failed('rim', `${rims.length} RIMs are given; a device has at most ${MAX_RIMS}`)] };
  }
  const checks = rims.map((bytes) => {
    const parsed = parseOrFail(bytes);
    if ('verdict' in parsed) return parsed;
    const { edition, product, version } = parsed;
    const role = chooseRole(parsed, claims);
    const what = `the RIM is of ${edition} ${product} ${version}`;
    if (role === undefined || assigned[role] !== undefined) {
      return failed(
        'rim',
        `${what}; the report is of ${describeDevice(claims)}${role === undefined ? '' : '; another is given'}`,
      );
    }
    assigned[role] = parsed;
    return passed(`${role}-rim`, `${what}, and so is the report`);
  });
  return { ...assigned, checks };
}

function parseOrFail(bytes: Uint8Array): ReferenceManifest | EvidenceCheck {
  try {
    return parseReferenceManifest(bytes);
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return failed('rim', error.message);
  }
}

function chooseRole(manifest: ReferenceManifest, claims: NvidiaClaims): 'driver' | 'vbios' | undefined {
  const edition = claims.deviceType === 'gpu' ? 'GPU' : 'SWITCH';
  // A certificate says LS_10 where a RIM says LS10; NVIDIA names the RIMs of some Blackwell GPUs by their chip info.
  const products = [claims.chip.replaceAll('_', ''), ...(claims.chipInfo === null ? [] : [claims.chipInfo])];
  if (manifest.edition !== edition || !products.includes(manifest.product)) return undefined;
  if (manifest.version === claims.driverVersion) return 'driver';
  return manifest.version === claims.vbiosVersion ? 'vbios' : undefined;
}

function describeDevice({ chip, driverVersion, vbiosVersion }: NvidiaClaims): string {
  return `${chip}${driverVersion === null ? '' : `, driver ${driverVersion}`}, VBIOS ${vbiosVersion}`;
}
