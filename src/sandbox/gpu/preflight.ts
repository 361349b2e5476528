/** What will fail with a driver, its devices and its libraries before a job finds out, each with its remedy. Pure. */
import type { GpuDevice, GpuSnapshot } from './interface.ts';

export type NodeState = 'ok' | 'missing' | 'denied' | 'no device';

/** What rules are about. */
export interface GpuFacts {
  readonly snapshot: GpuSnapshot;
  /** Of the kernel module that is loaded. */
  readonly moduleVersion: string | null;
  /** PCI addresses of NVIDIA's display controllers. */
  readonly buses: readonly string[];
  /** Of `nouveau`, `nvidia`, `nvidia_uvm`, `nvidia_drm` those that are loaded. */
  readonly modules: readonly string[];
  /** By their names below /dev. */
  readonly nodes: ReadonlyMap<string, NodeState>;
  /** Null where ldconfig does not say. */
  readonly libraries:
    | readonly { readonly soname: string; readonly path: string; readonly version: string | null }[]
    | null;
  readonly cdi: readonly {
    readonly file: string;
    readonly state: 'ok' | 'refused' | 'stale';
    readonly reason: string;
  }[];
  /** Reports of the driver in the kernel's log; null where it may not be read. */
  readonly xids: readonly { readonly bus: string; readonly code: number }[] | null;
  readonly isWsl: boolean;
}

export interface GpuFinding {
  readonly code: GpuFindingCode;
  /** `fails`: GPUs cannot be lent. `part`: some cannot, or some programs fail. `note`: it works. */
  readonly weight: 'fails' | 'part' | 'note';
  readonly detail: string;
  readonly remedy: string;
}

interface GpuRule {
  readonly weight: GpuFinding['weight'];
  readonly remedy: string;
  /** What is wrong, one sentence each; none if nothing is. */
  readonly find: (facts: GpuFacts) => readonly string[];
}

/** Xids after which a GPU needs a reset or its box a look (NVIDIA, "Xid Errors"); others are mostly a program's doing. */
const GRAVE_XIDS: Readonly<Record<number, string>> = {
  48: 'double bit ECC error',
  63: 'a row of memory was remapped',
  64: 'a row of memory could not be remapped',
  74: 'NVLink error',
  79: 'it has fallen off the bus',
  92: 'many single bit ECC errors',
  94: 'contained memory error',
  95: 'uncontained memory error',
  119: 'its system processor does not answer',
  120: 'its system processor failed',
};

const REGENERATE = 'sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml';
const RESTART =
  'Restart the machine: kernel module and libraries are then of one version. Hold back driver updates while jobs run.';

const each = (facts: GpuFacts, find: (device: GpuDevice) => string | null): readonly string[] =>
  facts.snapshot.devices.flatMap((device) => {
    const found = find(device);
    return found === null ? [] : [`${device.bus} (${device.model}): ${found}`];
  });

/** By their codes, gravest first. */
export const GPU_RULES = {
  GPU_NOUVEAU: {
    weight: 'fails',
    remedy:
      'Install the driver, which keeps nouveau out (Debian: apt install nvidia-driver; Ubuntu: ubuntu-drivers install), and restart the machine.',
    find: ({ modules, moduleVersion }) =>
      modules.includes('nouveau') && moduleVersion === null ? ['nouveau drives the GPU, and it cannot compute'] : [],
  },
  GPU_NO_DRIVER: {
    weight: 'fails',
    remedy:
      'Install the driver (Debian: apt install nvidia-driver; Ubuntu: ubuntu-drivers install) and restart the machine; with Secure Boot its module has to be signed.',
    find: ({ buses, moduleVersion, modules }) =>
      buses.length > 0 && moduleVersion === null && !modules.includes('nouveau')
        ? [`${buses.join(', ')}: an NVIDIA GPU, and no driver is loaded`]
        : [],
  },
  GPU_WSL: {
    weight: 'fails',
    remedy: 'Run the node on Linux itself: in WSL GPUs come through /dev/dxg, which sandboxes here do not give.',
    find: ({ isWsl, snapshot }) =>
      isWsl && snapshot.devices.length > 0 ? ['this is Windows Subsystem for Linux'] : [],
  },
  GPU_HUNG: {
    weight: 'fails',
    remedy:
      'Look for Xid in `dmesg`; reset the GPU (`nvidia-smi --gpu-reset`), and if that hangs too restart the machine.',
    find: ({ snapshot }) =>
      snapshot.tool === 'hung' ? ['nvidia-smi does not answer: the driver, or a GPU, hangs'] : [],
  },
  GPU_VERSION_MISMATCH: { weight: 'fails', remedy: RESTART, find: findMismatch },
  GPU_TOOL_FAILED: {
    weight: 'fails',
    remedy:
      'Run `nvidia-smi` by hand; if it says that it cannot communicate with the driver, load it (`modprobe nvidia`) or install it again for this kernel.',
    find: ({ snapshot: { tool, reason } }) =>
      tool === 'failed' && !/version mismatch/i.test(reason ?? '') ? [reason ?? 'nvidia-smi failed'] : [],
  },
  GPU_GARBLED: {
    weight: 'fails',
    remedy: 'Run `nvidia-smi -q -x` by hand. If it is well, report its output: it has a form that is not known here.',
    find: ({ snapshot: { tool, reason } }) => (tool === 'garbled' ? [`nvidia-smi is not understood: ${reason}`] : []),
  },
  GPU_NO_TOOL: {
    weight: 'fails',
    remedy:
      "Install the driver's tool of the same version (Debian: apt install nvidia-smi; Ubuntu: nvidia-utils-VERSION).",
    find: ({ snapshot, moduleVersion }) =>
      snapshot.tool === 'absent' && moduleVersion !== null
        ? [
            `the driver ${moduleVersion} is loaded and nvidia-smi is not installed: it cannot be told whether a GPU is in use`,
          ]
        : [],
  },
  GPU_LIBRARY_MISSING: {
    weight: 'fails',
    remedy:
      'Install the libraries of the same version (Debian: apt install libcuda1 libnvidia-ml1; Ubuntu: libnvidia-compute-VERSION) and run `ldconfig`.',
    find: ({ moduleVersion, libraries, cdi }) => {
      if (moduleVersion === null || cdi.some(({ state }) => state === 'ok')) return [];
      const lacking = ['libcuda.so.1', 'libnvidia-ml.so.1'].filter(
        (name) => libraries?.some(({ soname }) => soname === name) !== true,
      );
      return lacking.map((name) => `${name} is not among the libraries of this host`);
    },
  },
  GPU_NODE_MISSING: {
    weight: 'fails',
    remedy: 'sudo nvidia-modprobe -u -c=0 makes them; run it at every start, or enable nvidia-persistenced.',
    find: (facts) => listNodes(facts, ['missing', 'no device'], 'is not there, or no device'),
  },
  GPU_NODE_DENIED: {
    weight: 'fails',
    remedy:
      'Give everybody the right (chmod 0666; options nvidia NVreg_DeviceFileMode=0666 in /etc/modprobe.d): programs run as nobody.',
    find: (facts) => listNodes(facts, ['denied'], 'may not be opened by everybody'),
  },
  GPU_LOST: {
    weight: 'part',
    remedy: 'Restart the machine; if it stays away, reseat the GPU and look at its power.',
    find: ({ buses, snapshot }) => {
      if (snapshot.source !== 'nvidia-smi') return [];
      const known = new Set(snapshot.devices.map(({ bus }) => bus));
      return buses
        .filter((bus) => !known.has(bus))
        .map((bus) => `${bus} is on the PCI bus, and the driver does not list it`);
    },
  },
  GPU_FAULT: {
    weight: 'part',
    remedy:
      'Look for Xid in `dmesg`; reset the GPU (`nvidia-smi --gpu-reset -i BUS`) or restart the machine. It is not lent until then.',
    find: (facts) =>
      each(facts, ({ faults }) =>
        faults.length === 0 ? null : `the driver answers with errors (${faults.join('; ')})`,
      ),
  },
  GPU_XID: {
    weight: 'part',
    remedy:
      'NVIDIA’s list of Xid errors says what to do for each; most of these need a reset of the GPU, 48, 64 and 95 a look at its memory.',
    find: ({ xids }) =>
      Object.entries(GRAVE_XIDS).flatMap(([code, meaning]) => {
        const found = xids?.filter((xid) => xid.code === Number(code)) ?? [];
        return found.length === 0
          ? []
          : [`Xid ${code} on ${[...new Set(found.map(({ bus }) => bus))].join(', ')}: ${meaning}`];
      }),
  },
  GPU_MEMORY_ERRORS: {
    weight: 'part',
    remedy: 'Reset the GPU; if they come back, run `nvidia-smi -q -d ROW_REMAPPER,ECC` and have it replaced.',
    find: (facts) =>
      each(facts, ({ uncorrectedErrors }) =>
        uncorrectedErrors ? `${uncorrectedErrors} memory errors that ECC could not correct` : null,
      ),
  },
  GPU_PROHIBITED: {
    weight: 'part',
    remedy: 'sudo nvidia-smi -i BUS -c DEFAULT',
    find: (facts) =>
      each(facts, ({ computeMode }) =>
        computeMode === 'prohibited' ? 'compute mode Prohibited: no program may compute' : null,
      ),
  },
  GPU_MIG_PENDING: {
    weight: 'part',
    remedy: 'Reset the GPU (`nvidia-smi --gpu-reset -i BUS`) once nothing runs on it.',
    find: (facts) =>
      each(facts, ({ mig }) => (mig === 'pending' ? 'MIG mode was changed and waits for a reset' : null)),
  },
  GPU_MIG_EMPTY: {
    weight: 'part',
    remedy:
      'Make slices (`sudo nvidia-smi mig -i BUS -cgi PROFILE -C`; `nvidia-smi mig -lgip` lists profiles), or switch MIG off (`nvidia-smi -i BUS -mig 0`).',
    find: (facts) =>
      each(facts, ({ mig, slices }) =>
        mig === 'on' && slices.length === 0 ? 'MIG is on and there are no slices: it cannot compute' : null,
      ),
  },
  GPU_MIG_UNNAMED: {
    weight: 'part',
    remedy: 'Use a driver of 470 or later: before that slices have no UUIDs of their own.',
    find: (facts) =>
      each(facts, ({ slices }) =>
        slices.some(({ uuid }) => uuid === null) ? 'nvidia-smi -L does not name its slices' : null,
      ),
  },
  GPU_CDI_REFUSED: {
    weight: 'note',
    remedy: `Write it again: ${REGENERATE}`,
    find: ({ cdi }) => cdi.filter(({ state }) => state === 'refused').map(({ file, reason }) => `${file}: ${reason}`),
  },
  GPU_CDI_STALE: {
    weight: 'note',
    remedy: `Write it again after each update of the driver: ${REGENERATE}. Until then devices and libraries are found without it.`,
    find: ({ cdi }) => cdi.filter(({ state }) => state === 'stale').map(({ file, reason }) => `${file}: ${reason}`),
  },
  GPU_CONFIDENTIAL_DEVTOOLS: {
    weight: 'note',
    remedy:
      'Switch to production before confidential jobs: `nvidia-smi conf-compute -sdt 0` in the host, or gpu-admin-tools --set-cc-mode=on.',
    find: ({ snapshot }) =>
      snapshot.confidential === 'devtools' ? ['confidential computing is in developer mode: it protects nothing'] : [],
  },
  GPU_CONFIDENTIAL_ON: {
    weight: 'note',
    remedy:
      'Nothing to do. After each start of the machine jobs fail until the GPU is released: `nvidia-smi conf-compute -srs 1`.',
    find: ({ snapshot }) =>
      snapshot.confidential === 'on' ? ['confidential computing is on: profilers and peer access are off'] : [],
  },
  GPU_EXCLUSIVE: {
    weight: 'note',
    remedy: 'sudo nvidia-smi -i BUS -c DEFAULT, if programs of several processes are to run.',
    find: (facts) =>
      each(facts, ({ computeMode }) =>
        computeMode === 'exclusive' ? 'compute mode Exclusive: one process at a time' : null,
      ),
  },
  GPU_PERSISTENCE_OFF: {
    weight: 'note',
    remedy:
      'sudo systemctl enable --now nvidia-persistenced (or nvidia-smi -pm 1): else the driver starts the GPU anew for each job, which takes seconds.',
    find: (facts) => each(facts, ({ isPersistent }) => (isPersistent === false ? 'persistence mode is off' : null)),
  },
} as const satisfies Record<string, GpuRule>;

export type GpuFindingCode = keyof typeof GPU_RULES;

/** All that is wrong, gravest first; empty if nothing is, or if there is no GPU at all. */
export function runPreflight(facts: GpuFacts): readonly GpuFinding[] {
  const codes = Object.keys(GPU_RULES) as GpuFindingCode[];
  const findings = codes.flatMap((code) => {
    const { weight, remedy, find }: GpuRule = GPU_RULES[code];
    return find(facts).map((detail): GpuFinding => ({ code, weight, detail: detail.slice(0, 500), remedy }));
  });
  const order = ['fails', 'part', 'note'] as const;
  return findings.toSorted((a, b) => order.indexOf(a.weight) - order.indexOf(b.weight));
}

function findMismatch({ snapshot: { reason }, moduleVersion, libraries }: GpuFacts): readonly string[] {
  if (/version mismatch/i.test(reason ?? ''))
    return [`nvidia-smi: ${reason} (the module that is loaded is ${moduleVersion ?? 'unknown'})`];
  if (moduleVersion === null) return [];
  return (libraries ?? [])
    .filter(
      ({ soname, version }) =>
        /^lib(cuda|nvidia-ml)\.so\.1$/.test(soname) && version !== null && version !== moduleVersion,
    )
    .map(({ path, version }) => `${path} is of version ${version}, the module that is loaded of ${moduleVersion}`);
}

function listNodes({ nodes, moduleVersion }: GpuFacts, states: readonly NodeState[], what: string): readonly string[] {
  if (moduleVersion === null) return [];
  return [...nodes].filter(([, state]) => states.includes(state)).map(([name]) => `/dev/${name} ${what}`);
}

/** Oldest driver on which programs made with a major version of CUDA start (CUDA Compatibility guide, "Minor Version Compatibility"). */
const OLDEST_DRIVERS: Readonly<Record<number, string>> = { 11: '450.80.02', 12: '525.60.13', 13: '580.65.06' };

export interface CudaVerdict {
  readonly runs: 'yes' | 'mostly' | 'no' | 'unknown';
  readonly detail: string;
}

/** Whether a program that was made with a version of CUDA, such as 12.4, runs on this driver. */
export function judgeCuda(wanted: string, { driver, cuda }: Pick<GpuSnapshot, 'driver' | 'cuda'>): CudaVerdict {
  const [major = 0, minor = 0] = wanted.split('.').map(Number);
  const oldest = OLDEST_DRIVERS[major];
  if (driver === null || oldest === undefined) {
    return {
      runs: 'unknown',
      detail: driver === null ? 'no driver answers' : `nothing is known here of CUDA ${wanted}`,
    };
  }
  if (compareVersions(driver, oldest) < 0) {
    return { runs: 'no', detail: `CUDA ${major} needs driver ${oldest} or later, this one is ${driver}` };
  }
  const served = cuda ?? '0';
  if (compareVersions(served, `${major}.${minor}`) >= 0)
    return { runs: 'yes', detail: `driver ${driver} serves CUDA ${served}` };
  const detail = `driver ${driver} serves CUDA ${served}: what is compiled at run time (PTX) of CUDA ${wanted} fails, other programs run`;
  return { runs: 'mostly', detail };
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let index = 0; index < 4; index += 1) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
