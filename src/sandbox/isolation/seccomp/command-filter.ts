import { buildFilter, type FilterRules } from './bpf.ts';
import { COMMAND_CALLS } from './command-calls.ts';
import { GPU_FRONTEND_MASK, GPU_FRONTEND_REQUESTS, UVM_REQUESTS } from './gpu-requests.ts';
import { findArchitecture, type Numbers, numberOf } from './numbers.ts';

const CLONE: Numbers = [56, 220];
const CLONE3: Numbers = [435, 435];
const SOCKET: Numbers = [41, 198];
const SOCKETPAIR: Numbers = [53, 199];
const IOCTL: Numbers = [16, 29];
const PRCTL: Numbers = [157, 167];
const PRLIMIT64: Numbers = [302, 261];
const PERSONALITY: Numbers = [135, 92];
/** Libraries that find it missing go on without it; a refusal is an error to some. */
const IO_URING_SETUP: Numbers = [425, 425];

/** linux/sched.h: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. NEWTIME is not one of clone's flags. */
const NEW_NAMESPACES = 0x7e02_0000;
/** bits/socket.h. */
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
/** asm-generic/ioctls.h: TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. TIOCSTI is not among them. */
const IOCTLS = [0x5401, 0x540f, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];
/**
 * linux/prctl.h: PR_SET_PDEATHSIG, GET_PDEATHSIG, GET_DUMPABLE, SET_NAME, GET_NAME, GET_SECCOMP, CAPBSET_READ,
 * SET_NO_NEW_PRIVS, GET_NO_NEW_PRIVS, SET_VMA.
 */
const PRCTLS = [1, 2, 3, 15, 16, 21, 23, 38, 39, 0x5356_4d41];
/** linux/personality.h: PER_LINUX, and the value that only reads. */
const PERSONALITIES = [0, 0xffff_ffff];

export interface CommandFilterOptions {
  /** Whether the program may make sockets of IP: in a namespace that has nothing but its loopback. */
  readonly hasNetwork?: boolean;
}

/** The filter of a command, or null on an architecture without a table. */
export function createCommandFilter(architecture: string, options: CommandFilterOptions = {}): Uint8Array | null {
  const rules = createCommandRules(architecture, options);
  return rules === null ? null : buildFilter(rules);
}

/** Calls that are allowed by the low word of an argument, by their names. */
const BY_VALUE: readonly {
  readonly call: string;
  readonly numbers: Numbers;
  readonly argument: number;
  readonly values: readonly number[];
}[] = [
  { call: 'socket', numbers: SOCKET, argument: 0, values: [AF_UNIX] },
  { call: 'socketpair', numbers: SOCKETPAIR, argument: 0, values: [AF_UNIX] },
  { call: 'ioctl', numbers: IOCTL, argument: 1, values: IOCTLS },
  { call: 'prctl', numbers: PRCTL, argument: 0, values: PRCTLS },
  { call: 'prlimit64', numbers: PRLIMIT64, argument: 0, values: [0] },
  { call: 'personality', numbers: PERSONALITY, argument: 0, values: PERSONALITIES },
];
const UNKNOWN: readonly { readonly call: string; readonly numbers: Numbers }[] = [
  { call: 'clone3', numbers: CLONE3 },
  { call: 'io_uring_setup', numbers: IO_URING_SETUP },
];

/** The same list by names, as an OCI runtime wants it; null on an architecture without a table. */
export function createNamedCommandRules(architecture: string): NamedRules | null {
  const column = findArchitecture(architecture)?.column;
  if (column === undefined) return null;
  return {
    allowed: COMMAND_CALLS.flatMap(({ calls }) => Object.entries(calls)).flatMap(([name, numbers]) =>
      numbers[column] === null ? [] : [name],
    ),
    unknown: UNKNOWN.map(({ call }) => call),
    ifArgument: BY_VALUE.map(({ call, argument, values }) => ({ call, argument, values })),
    unlessBits: [{ call: 'clone', argument: 0, bits: NEW_NAMESPACES }],
  };
}

export interface NamedRules {
  readonly allowed: readonly string[];
  /** Answered as if the kernel did not know them. */
  readonly unknown: readonly string[];
  readonly ifArgument: readonly {
    readonly call: string;
    readonly argument: number;
    readonly values: readonly number[];
  }[];
  readonly unlessBits: readonly { readonly call: string; readonly argument: number; readonly bits: number }[];
}

/** That of a command with GPUs, which talks to their driver through `ioctl` as well. */
export function createGpuCommandFilter(architecture: string, options: CommandFilterOptions = {}): Uint8Array | null {
  const rules = createCommandRules(architecture, options);
  if (rules === null) return null;
  const ioctl = numberOf(IOCTL, findArchitecture(architecture)?.column ?? 0);
  const requests = Object.values(GPU_FRONTEND_REQUESTS);
  return buildFilter({
    ...rules,
    ifMasked: [{ number: ioctl, argument: 1, mask: GPU_FRONTEND_MASK, values: requests }],
    ifArgument: rules.ifArgument.map((rule) =>
      rule.number === ioctl ? { ...rule, values: [...rule.values, ...Object.values(UVM_REQUESTS)] } : rule,
    ),
  });
}

export function createCommandRules(
  architecture: string,
  { hasNetwork = false }: CommandFilterOptions = {},
): FilterRules | null {
  const known = findArchitecture(architecture);
  if (known === null) return null;
  const { column, audit } = known;
  const number = (numbers: Numbers): number => numberOf(numbers, column);
  return {
    architecture: audit,
    hasX32: architecture === 'x64',
    allowed: COMMAND_CALLS.flatMap(({ calls }) => Object.values(calls)).flatMap((numbers) => numbers[column] ?? []),
    unknown: UNKNOWN.map(({ numbers }) => number(numbers)),
    ifArgument: BY_VALUE.map(({ call, numbers, argument, values }) => ({
      number: number(numbers),
      argument,
      values: call === 'socket' && hasNetwork ? [...values, AF_INET, AF_INET6] : values,
    })),
    ifBits: [],
    unlessBits: [{ number: number(CLONE), argument: 0, bits: NEW_NAMESPACES }],
  };
}
