import { createChildFilter } from './allow-list.ts';

/** The filter of a child that runs models, or null on an architecture without a table. */
export function createInferenceFilter(architecture: string): Uint8Array | null {
  return createChildFilter(architecture);
}
