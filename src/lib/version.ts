import { readFileSync } from 'node:fs';

/** In the repository and in the package alike, it lies two folders up from here. */
const PACKAGE = new URL('../../package.json', import.meta.url);

/** As in package.json. */
export const { version: VERSION } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { readonly version: string };
