import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { findExecutable } from '../../isolation/find-executable.ts';

const MEBIBYTE = 2 ** 20;

export const RUNTIME_NAMES = ['crun', 'runc'] as const;
export type RuntimeName = (typeof RUNTIME_NAMES)[number];

/** What a runtime is besides its path. */
interface RuntimeTraits {
  /** Before `run`. The folder is its own, in its sandbox. */
  readonly options: readonly string[];
  /** Where it looks for control groups, which it is to leave alone: in a folder with nothing in it, or in the host's, read-only. */
  readonly seesHostGroups: boolean;
  /** Users other than root need a mapping of root too, which nobody may make for somebody else. */
  readonly anyUser: boolean;
  /** Of itself and of what it starts on the way, seen: crun has one process and 2 MiB, runc 7 to 12 threads and 20 MiB. */
  readonly memoryBytes: number;
  readonly tasks: number;
}

export const RUNTIME_TRAITS = {
  crun: {
    options: ['--cgroup-manager=disabled', '--root', '/run/crun'],
    seesHostGroups: false,
    anyUser: true,
    memoryBytes: 12 * MEBIBYTE,
    tasks: 1,
  },
  runc: {
    options: ['--root', '/run/runc'],
    seesHostGroups: true,
    anyUser: false,
    memoryBytes: 64 * MEBIBYTE,
    tasks: 24,
  },
} as const satisfies Record<RuntimeName, RuntimeTraits>;

export interface Runtime {
  readonly name: RuntimeName;
  /** With all links resolved: it is bound alone. */
  readonly path: string;
  readonly version: string;
}

/** Undefined where it is not installed. @throws Error where it does not say its version */
export function findRuntime(name: RuntimeName): Runtime | undefined {
  const found = findExecutable(name);
  if (found === null) return undefined;
  const said = execFileSync(found, ['--version'], { encoding: 'utf8', env: {}, timeout: 5000 });
  const version = /version ([0-9][\w.+~-]{0,20})/.exec(said)?.[1] ?? 'of an unknown version';
  return { name, path: realpathSync(found), version };
}
