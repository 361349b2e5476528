import type { CommandWorkload, Resources } from '../../../../src/domain/job.ts';

/** One run of escape.c in a sandbox. */
export interface Attempt {
  readonly name: string;
  /** Tells runs of the same name apart; absent: the name. */
  readonly label?: string;
  readonly argument?: string;
  readonly resources?: Partial<Resources>;
  readonly limits?: Partial<CommandWorkload['limits']>;
}

/** What the runner prints for each. */
export interface AttemptEnd {
  readonly name: string;
  readonly label: string;
  /** Its code, or `completed`. */
  readonly end: string;
  readonly detail: string;
  /** What it said. */
  readonly said: string;
  readonly outputs: readonly { readonly path: string; readonly text: string }[];
  readonly wallTimeMs: number;
}

export interface RunnerRequest {
  /** As what the attempts are run. */
  readonly kind: 'command' | 'container';
  /** The program, linked statically. */
  readonly program: string;
  readonly rootsFolder: string;
  /** False: every system call is let through, so that what else holds the program is seen alone. */
  readonly isFiltered: boolean;
  readonly attempts: readonly Attempt[];
}

export type RunnerAnswer =
  | { readonly ends: readonly AttemptEnd[]; readonly controls: readonly string[] }
  /** Why there is no sandbox for this user. */
  | { readonly reason: string };
