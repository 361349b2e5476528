import { readFileSync } from 'node:fs';

/** As in package.json, which lies two folders up from here, in the repository and in the package alike. */
export const VERSION: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
