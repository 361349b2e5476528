import { z } from 'zod';
import { COMMAND_MAX_FILES, COMMAND_USER } from '../../constants.ts';
import type { ImageProcess } from '../../images/image-process.ts';
import { createNamedCommandRules } from '../../isolation/seccomp/command-filter.ts';
import type { CommandRlimits } from '../command/command-plan.ts';

/** libseccomp's names, by Node's of the same architectures. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };
const EPERM = 1;
const ENOSYS = 38;
const LOW_WORD = 0xffff_ffff;

const CAPABILITY_SETS = ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'] as const;
const NAMESPACES = ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'] as const;
/** What programs have no use for, and some kernels say too much in. */
const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
];

const mountSchema = z.strictObject({
  destination: z.string().startsWith('/'),
  type: z.enum(['proc', 'tmpfs', 'bind']),
  source: z.string(),
  options: z.array(z.string()),
});
const idMappingSchema = z.strictObject({
  containerID: z.int().min(0),
  hostID: z.literal(COMMAND_USER),
  size: z.literal(1),
});
const seccompArgumentSchema = z.strictObject({
  index: z.int().min(0).max(5),
  value: z.int().min(0),
  valueTwo: z.int().min(0),
  op: z.literal('SCMP_CMP_MASKED_EQ'),
});
/**
 * The part of OCI's runtime-spec (v1.0.2, config.md, config-linux.md) that is used here, and nothing else: no hooks, no devices, no
 * resources, no path of the host but those below.
 */
export const runtimeConfigSchema = z.strictObject({
  ociVersion: z.literal('1.0.2'),
  process: z.strictObject({
    terminal: z.literal(false),
    user: z.strictObject({ uid: z.int().min(0), gid: z.int().min(0) }),
    args: z.array(z.string()).min(1),
    env: z.array(z.string().regex(/^[^=]+=/s)),
    cwd: z.string().startsWith('/'),
    capabilities: z.strictObject(Object.fromEntries(CAPABILITY_SETS.map((set) => [set, z.tuple([])]))),
    noNewPrivileges: z.literal(true),
    rlimits: z.array(z.strictObject({ type: z.string(), hard: z.int().min(0), soft: z.int().min(0) })),
  }),
  root: z.strictObject({ path: z.literal('/rootfs'), readonly: z.literal(true) }),
  hostname: z.literal('sandbox'),
  mounts: z.array(mountSchema),
  linux: z.strictObject({
    uidMappings: z.tuple([idMappingSchema]),
    gidMappings: z.tuple([idMappingSchema]),
    namespaces: z.array(z.strictObject({ type: z.enum(NAMESPACES) })).length(NAMESPACES.length),
    maskedPaths: z.array(z.string()),
    readonlyPaths: z.tuple([]),
    seccomp: z
      .strictObject({
        defaultAction: z.literal('SCMP_ACT_ERRNO'),
        defaultErrnoRet: z.literal(EPERM),
        architectures: z.array(z.string()).length(1),
        syscalls: z.array(
          z.strictObject({
            names: z.array(z.string()).min(1),
            action: z.enum(['SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO']),
            errnoRet: z.int().optional(),
            args: z.array(seccompArgumentSchema).optional(),
          }),
        ),
      })
      .optional(),
  }),
});
export type RuntimeConfig = z.output<typeof runtimeConfigSchema>;
export type RuntimeSeccomp = NonNullable<RuntimeConfig['linux']['seccomp']>;

/** The list of system calls of commands, in the form of OCI; null on an architecture without a table. */
export function createRuntimeSeccomp(architecture: string): RuntimeSeccomp | null {
  const rules = createNamedCommandRules(architecture);
  const name = ARCHITECTURES[architecture];
  if (rules === null || name === undefined) return null;
  const when = (index: number, mask: number, bits: number) => ({
    index,
    value: mask,
    valueTwo: bits,
    op: 'SCMP_CMP_MASKED_EQ' as const,
  });
  const allow = { action: 'SCMP_ACT_ALLOW' as const };
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: [name],
    syscalls: [
      { names: [...rules.allowed], ...allow },
      ...rules.ifArgument.flatMap(({ call, argument, values }) =>
        values.map((value) => ({ names: [call], ...allow, args: [when(argument, LOW_WORD, value)] })),
      ),
      ...rules.unlessBits.map(({ call, argument, bits }) => ({
        names: [call],
        ...allow,
        args: [when(argument, bits, 0)],
      })),
      { names: [...rules.unknown], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    ],
  };
}

export interface RuntimeConfigParts {
  readonly process: ImageProcess;
  /** Null: every call is let through. Of tests alone, which see what else holds a program. */
  readonly seccomp: RuntimeSeccomp | null;
  /** Where no control group holds it: of each process, and how many there may be. */
  readonly rlimits: (CommandRlimits & { readonly processes: number }) | null;
}

/**
 * What a runtime is told: one user, which is nobody outside, no capability and no way to any, the root read-only, and nothing of
 * the host. What it names lies in the sandbox of the runtime. @throws ZodError where something else came of it
 */
export function createRuntimeConfig({ process, seccomp, rlimits }: RuntimeConfigParts): RuntimeConfig {
  const { uid, gid, args, env, cwd } = process;
  const fixed = (type: string, value: number) => ({ type, hard: value, soft: value });
  const mapping = (containerID: number) => [{ containerID, hostID: COMMAND_USER, size: 1 }];
  const bind = (path: string) => ({
    destination: path,
    type: 'bind',
    source: path,
    options: ['bind', 'rw', 'nosuid', 'nodev'],
  });
  return runtimeConfigSchema.parse({
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid, gid },
      args,
      env,
      cwd,
      capabilities: Object.fromEntries(CAPABILITY_SETS.map((set) => [set, []])),
      noNewPrivileges: true,
      rlimits: [
        fixed('RLIMIT_CORE', 0),
        fixed('RLIMIT_NOFILE', COMMAND_MAX_FILES),
        ...(rlimits === null
          ? []
          : [
              fixed('RLIMIT_AS', rlimits.addressSpaceBytes),
              fixed('RLIMIT_CPU', rlimits.cpuSeconds),
              fixed('RLIMIT_NPROC', rlimits.processes),
            ]),
      ],
    },
    root: { path: '/rootfs', readonly: true },
    hostname: 'sandbox',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'noexec', 'mode=755', 'size=65536', 'ro'],
      },
      ...['/dev/shm', '/tmp', '/output'].map(bind),
    ],
    linux: {
      uidMappings: mapping(uid),
      gidMappings: mapping(gid),
      namespaces: NAMESPACES.map((type) => ({ type })),
      maskedPaths: MASKED,
      readonlyPaths: [],
      ...(seccomp === null ? {} : { seccomp }),
    },
  });
}
