import type { IsolationLevel } from '../domain/capability.ts';
import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type SandboxErrorInfo =
  | { readonly code: 'SANDBOX_ISOLATION_UNAVAILABLE'; readonly isolation: IsolationLevel }
  | {
      readonly code: 'SANDBOX_LIMIT_UNAVAILABLE';
      readonly what: string;
      readonly asked: number;
      readonly limit: number;
    }
  | { readonly code: 'SANDBOX_CHILD_START_FAILED'; readonly isolation: IsolationLevel; readonly reason: string }
  | { readonly code: 'SANDBOX_PROTOCOL'; readonly reason: string }
  | { readonly code: 'SANDBOX_RESUME_STATE'; readonly reason: string }
  | { readonly code: 'SANDBOX_ROOT_REFUSED'; readonly reason: string }
  | { readonly code: 'SANDBOX_ROOT_UNAVAILABLE'; readonly reason: string }
  | { readonly code: 'SANDBOX_HOST_ROOT_OFF' }
  | { readonly code: 'SANDBOX_EGRESS_UNAVAILABLE'; readonly reason: string }
  | { readonly code: 'SANDBOX_EGRESS_REFUSED'; readonly host: string }
  | { readonly code: 'SANDBOX_GPU_UNAVAILABLE'; readonly reason: string }
  | { readonly code: 'SANDBOX_GPU_DRIVER_MISMATCH'; readonly library: string; readonly driver: string }
  | { readonly code: 'SANDBOX_GPU_CDI_REFUSED'; readonly file: string; readonly reason: string }
  | { readonly code: 'SANDBOX_RUNTIME_USER'; readonly runtime: string; readonly user: string }
  | { readonly code: 'SANDBOX_CLOSED' }
  | { readonly code: 'SANDBOX_FILTER_TOO_LONG'; readonly instructions: number };

const SANDBOX_ERRORS: ErrorTable<SandboxErrorInfo> = {
  SANDBOX_ISOLATION_UNAVAILABLE: {
    retryable: false,
    message: (info) => `this host cannot isolate programs at the level '${info.isolation}'`,
    hint: () => 'Run `fogproof doctor`: it says what to install or change.',
  },
  SANDBOX_LIMIT_UNAVAILABLE: {
    retryable: false,
    message: (info) => `the job asks for ${info.asked} ${info.what} and this host gives at most ${info.limit}`,
    hint: () => 'Ask for less, or choose a provider that offers more.',
  },
  SANDBOX_CHILD_START_FAILED: {
    retryable: true,
    message: (info) => `a sandboxed child at the level '${info.isolation}' did not start: ${info.reason}`,
    hint: () => 'Run `fogproof doctor`: it tries the same launch and says what is missing.',
  },
  SANDBOX_PROTOCOL: {
    retryable: false,
    message: (info) => `a sandboxed child broke the protocol: ${info.reason}`,
    hint: () => 'The child was killed. If it happens with a module you trust, report it with the module.',
  },
  SANDBOX_RESUME_STATE: {
    retryable: false,
    message: (info) => `a program cannot go on from the state that was given: ${info.reason}`,
    hint: () => 'Go on from an earlier snapshot, or fetch this one again.',
  },
  SANDBOX_ROOT_REFUSED: {
    retryable: false,
    message: (info) => `the archive of a root file system is refused: ${info.reason}`,
    hint: () => 'Make it of files, folders and links alone: tar -C FOLDER -czf root.tar.gz .',
  },
  SANDBOX_ROOT_UNAVAILABLE: {
    retryable: true,
    message: (info) => `a root file system could not be unpacked: ${info.reason}`,
    hint: () => 'Free space in the folder of unpacked roots (provide.command.rootsFolder), or name another one.',
  },
  SANDBOX_HOST_ROOT_OFF: {
    retryable: false,
    message: () => "this node runs no commands of its own system folders (root: 'host')",
    hint: () => 'Bring the program in an archive, or ask an operator who has set provide.command.hostRoot.',
  },
  SANDBOX_EGRESS_UNAVAILABLE: {
    retryable: true,
    message: (info) => `a sandbox could not be given its way to listed hosts: ${info.reason}`,
    hint: () =>
      'Install util-linux (nsenter). The job runs on providers where `fogproof doctor` has no remark about it.',
  },
  SANDBOX_EGRESS_REFUSED: {
    retryable: false,
    message: (info) => `this node lets no program connect to ${info.host}`,
    hint: () =>
      'Ask an operator who allows it (provide.command.network.hosts), or bring what it would fetch as an input.',
  },
  SANDBOX_GPU_UNAVAILABLE: {
    retryable: true,
    message: (info) => `a GPU cannot be given to a sandbox: ${info.reason}`,
    hint: () => 'Run `fogproof gpu check`: it says what is wrong with the driver or its devices, and the remedy.',
  },
  SANDBOX_GPU_DRIVER_MISMATCH: {
    retryable: false,
    message: (info) => `the library ${info.library} is not of the driver that is loaded (${info.driver})`,
    hint: () => 'Restart the machine after a driver update, or install libraries and kernel module of one version.',
  },
  SANDBOX_GPU_CDI_REFUSED: {
    retryable: false,
    message: (info) => `the CDI spec ${info.file} is refused: ${info.reason}`,
    hint: () => 'Write it again with `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`.',
  },
  SANDBOX_RUNTIME_USER: {
    retryable: false,
    message: (info) => `${info.runtime} cannot run an image as its user ${info.user} here, only as root of it`,
    hint: () => 'Ask a provider that has crun, or install it: fogproof doctor says which runtime is used.',
  },
  SANDBOX_CLOSED: {
    retryable: false,
    message: () => 'the executor is closed',
    hint: () => 'The node is shutting down; submit to another one.',
  },
  SANDBOX_FILTER_TOO_LONG: {
    retryable: false,
    message: (info) => `a seccomp filter of ${info.instructions} instructions is too long`,
    hint: () => 'Shorten the allow-list: a jump reaches 255 instructions and a filter has at most 4096.',
  },
};

export class SandboxError extends DaemonError<SandboxErrorInfo> {
  constructor(info: SandboxErrorInfo, options?: ErrorOptions) {
    super(SANDBOX_ERRORS, info, options);
  }
}
