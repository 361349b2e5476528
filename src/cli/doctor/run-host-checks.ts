import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DaemonError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { HostCheck } from '../../sandbox/interface.ts';
import { checkGpus } from '../gpu/check-gpus.ts';
import type { CliContext } from '../interface.ts';
import { checkAppArmor, checkClock, checkDisk, checkPorts, checkTeeDevices, HOST_ROOTS } from './host-checks.ts';

/** How long a tool may take that is asked, ms. */
const TOOL_TIMEOUT_MS = 5_000;

/** What can be told of this machine by looking at it and asking its own tools. @param held addresses that the node listens on */
export async function runHostChecks(context: CliContext, held: readonly string[]): Promise<readonly HostCheck[]> {
  const { signal } = context;
  const checks = await Promise.all([
    checkAppArmor(HOST_ROOTS),
    checkGpus(signal),
    checkTeeDevices(HOST_ROOTS),
    askClock(signal),
    checkConfigured(context, held),
  ]);
  return checks.flat();
}

async function askClock(signal: AbortSignal): Promise<HostCheck> {
  const [timedatectl, chronyc] = await Promise.all([
    ask('timedatectl', ['show', '--property=NTPSynchronized', '--value'], signal),
    ask('chronyc', ['-c', 'tracking'], signal),
  ]);
  return checkClock({ timedatectl, chronyc });
}

async function ask(file: string, parameters: readonly string[], signal: AbortSignal): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(file, [...parameters], { timeout: TOOL_TIMEOUT_MS, signal });
    return stdout;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/** Nothing where there is no valid configuration, or no folder yet: other checks say so. */
async function checkConfigured(context: CliContext, held: readonly string[]): Promise<readonly HostCheck[]> {
  const { home, environment, workingDirectory } = context;
  try {
    const { loadConfig } = await import('../../config/load-config.ts');
    const flags = home === undefined ? {} : { home };
    const { config } = await loadConfig({ environment, workingDirectory, flags });
    const { reserveDiskBytes } = config.provide.host;
    const maxBytes = config.blobs.maxBytes + config.snapshots.maxBytes + config.policy.audit.maxBytes;
    const ports = await checkPorts(config.listen, held);
    return [ports, await checkDisk(config.home, { reserveDiskBytes, maxBytes })];
  } catch (error) {
    if (error instanceof DaemonError || systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
