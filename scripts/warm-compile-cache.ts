/**
 * Part of `npm run build`: loads every module that a command loads, once, so that Node.js keeps their compiled code in
 * dist/.compile-cache. Without it the first daemon would do so when it stops, for seconds.
 */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

const DIST = join(import.meta.dirname, '../dist');

interface CommandTable {
  readonly COMMANDS: readonly { readonly load: () => Promise<unknown> }[];
}

enableCompileCache(join(DIST, '.compile-cache'));
await import(join(DIST, 'cli/framework/run-process.js'));
await import(join(DIST, 'node/run-node.js'));
const { COMMANDS } = (await import(join(DIST, 'cli/commands.js'))) as CommandTable;
await Promise.all(COMMANDS.map(({ load }) => load()));
