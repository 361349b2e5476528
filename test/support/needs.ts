import { describe, it } from 'vitest';

/** Something that a suite needs and that not every machine has. */
export interface Need {
  readonly isMet: boolean;
  /**
   * `hardware` may be missing anywhere, and so may a `permission` of the user or the kernel; `toolchain` is a compiler of
   * another language that nothing here builds with, and `host` what scripts/setup installs: CI has both.
   */
  readonly kind: 'hardware' | 'permission' | 'toolchain' | 'host';
  /** What is missing and how to get it, as shown beside the skipped suite. */
  readonly reason: string;
}

/** A suite that is skipped, with its reason in the summary, where its need is not met. */
export function describeIf(need: Need, name: string, body: () => void): void {
  if (need.isMet) describe(name, body);
  else describe.skip(nameSkipped(need, name), body);
}

/** A single test of the same kind. */
export function itIf(need: Need, name: string, body: () => Promise<void> | void): void {
  if (need.isMet) it(name, body);
  else it.skip(nameSkipped(need, name), body);
}

/** scripts/test-reporter.ts reads it back. */
function nameSkipped(need: Need, name: string): string {
  return `${name} [needs ${need.kind}: ${need.reason}]`;
}
