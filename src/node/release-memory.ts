import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives the memory that loading and starting left behind back to the operating system: about 20 MiB of a daemon that
 * then may idle for hours. V8 would do so only under pressure. Takes some tens of ms of the event loop.
 */
export function releaseStartUpMemory(): void {
  setFlagsFromString('--expose-gc');
  // The flag gives `gc` to contexts made after it was set.
  const collect = runInNewContext('gc') as (options: Readonly<Record<string, string>>) => void;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
