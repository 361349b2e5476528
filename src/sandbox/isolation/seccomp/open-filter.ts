import { buildOpenFilter } from './bpf.ts';
import { findArchitecture } from './numbers.ts';

/**
 * For what starts programs under a list of their own: every call of this architecture, none of another one or of x32, so that
 * no number means something else to the list. Null on an architecture without a table.
 */
export function createOpenFilter(architecture: string): Uint8Array | null {
  const known = findArchitecture(architecture);
  return known === null ? null : buildOpenFilter({ architecture: known.audit, hasX32: architecture === 'x64' });
}
