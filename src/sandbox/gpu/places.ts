import { findExecutable } from '../isolation/find-executable.ts';

/** Where the driver is looked for; folders with such trees in them for tests. */
export interface GpuPlaces {
  readonly proc: string;
  readonly sys: string;
  readonly dev: string;
  /** Folders of CDI specs; a spec in a later one wins (CDI specification, "CDI JSON Specification"). */
  readonly cdi: readonly string[];
  /** Null where it is not installed. */
  readonly nvidiaSmi: string | null;
  readonly ldconfig: string | null;
  readonly dmesg: string | null;
}

/** Where drivers are that come from outside of the system's packages: GKE, and other mounted ones. */
const EXTRA_FOLDERS = ['/usr/local/nvidia/bin', '/opt/nvidia/bin'];

export function findGpuPlaces(): GpuPlaces {
  return {
    proc: '/proc',
    sys: '/sys',
    dev: '/dev',
    cdi: ['/etc/cdi', '/var/run/cdi'],
    nvidiaSmi: findExecutable('nvidia-smi', EXTRA_FOLDERS),
    ldconfig: findExecutable('ldconfig'),
    dmesg: findExecutable('dmesg'),
  };
}
