import type { BuildOptions, Lies } from '../../support/bundle-builder.ts';

/** A party that lies about one field, with its own good signature: `check` must turn invalid. */
export interface LieCase {
  readonly what: string;
  readonly lies: Lies;
  readonly check: string;
  readonly code: string;
  readonly build?: BuildOptions;
}
