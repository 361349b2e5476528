/** Starts a sandbox, says its first process, and is killed before it lets its program start: at the moment in its arguments. */
import { writeSync } from 'node:fs';
import { startSleeper } from '../../../support/sleeper.ts';

const child = startSleeper();
writeSync(1, `${await child.findPid()}\n`);
if (process.argv[2] === 'set up') await child.setUp([]);
process.kill(process.pid, 'SIGKILL');
