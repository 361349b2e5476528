import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Beside the built program and filled when it is built, so that neither the first start nor the first stop pays for it.
if (import.meta.filename.endsWith('.js')) enableCompileCache(join(import.meta.dirname, '.compile-cache'));
// Loaded after the cache is on, so that it holds them too.
const { runProcess } = await import('./cli/framework/run-process.ts');
process.exitCode = await runProcess(process);
