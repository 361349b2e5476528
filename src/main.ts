import { enableCompileCache } from 'node:module';

enableCompileCache();
// Loaded after the cache is on, so that it holds them too.
const { runProcess } = await import('./cli/framework/run-process.ts');
process.exitCode = await runProcess(process);
