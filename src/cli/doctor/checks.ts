import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { computeDataPaths } from '../../config/paths.ts';
import { DaemonError, describeError } from '../../lib/errors.ts';
import { formatSize } from '../../lib/quantity.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { NodeStatus } from '../../rpc/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import type { HostCheck } from '../../sandbox/interface.ts';
import { formatDateTime, plural } from '../format.ts';
import type { CliContext } from '../interface.ts';
import { describeReachability } from './reachability.ts';

const ENOUGH_DISK_BYTES = 5 * 2 ** 30;
const ENOUGH_MEMORY_BYTES = 2 ** 30;
const WRITABLE_BY_OTHERS = 0o022;

export function checkMachine(): HostCheck {
  const isEnough = totalmem() >= ENOUGH_MEMORY_BYTES;
  return {
    name: 'machine',
    status: isEnough ? 'ok' : 'degraded',
    detail: `${plural(availableParallelism(), 'core')}, ${formatSize(totalmem())} memory (${formatSize(freemem())} free)`,
    remedy: isEnough ? null : 'Jobs that need more memory than there is are refused; lower provide.maxMemoryBytes.',
  };
}

export async function checkHome(home: string): Promise<HostCheck> {
  const name = 'data folder';
  try {
    const { mode } = await stat(home);
    await access(home, constants.W_OK);
    const { bavail, bsize } = await statfs(home);
    const freeBytes = bavail * bsize;
    if ((mode & WRITABLE_BY_OTHERS) !== 0) {
      return { name, status: 'degraded', detail: `${home} is writable by others`, remedy: `chmod 700 ${home}` };
    }
    const isEnough = freeBytes >= ENOUGH_DISK_BYTES;
    return {
      name,
      status: isEnough ? 'ok' : 'degraded',
      detail: `${home}, ${formatSize(freeBytes)} free`,
      remedy: isEnough ? null : 'Free some space, or lower blobs.maxBytes.',
    };
  } catch (error) {
    const reason = systemErrorCode(error) ?? describeError(error);
    const isMissing = reason === 'ENOENT';
    return {
      name,
      status: 'missing',
      detail: isMissing ? `${home} does not exist` : `${home}: ${reason}`,
      remedy: isMissing ? 'Run `fogproof init`.' : 'Give the account of the daemon the right to write there.',
    };
  }
}

export async function checkConfig({ home, environment, workingDirectory }: CliContext): Promise<HostCheck> {
  const name = 'configuration';
  try {
    const { loadConfig } = await import('../../config/load-config.ts');
    const flags = home === undefined ? {} : { home };
    const { config, network } = await loadConfig({ environment, workingDirectory, flags });
    const work = config.provide.enabled ? plural(config.provide.slots, 'slot') : 'takes no jobs';
    const detail = `network ${network.id} (${network.preset}), listens on ${config.listen.join(', ')}, ${work}`;
    return { name, status: 'ok', detail, remedy: null };
  } catch (error) {
    const remedy = error instanceof DaemonError ? error.hint : `See ${computeDataPaths(home ?? '').config}.`;
    return { name, status: 'missing', detail: describeError(error), remedy };
  }
}

/** What the operator has set; null where there is no configuration, which is told apart. */
export async function findRuntimeFolder({ home, environment, workingDirectory }: CliContext): Promise<string | null> {
  try {
    const { loadConfig } = await import('../../config/load-config.ts');
    const flags = home === undefined ? {} : { home };
    const { config } = await loadConfig({ environment, workingDirectory, flags });
    return config.provide.inference.runtimeFolder;
  } catch {
    return null;
  }
}

export interface DaemonChecks {
  readonly checks: readonly HostCheck[];
  /** Addresses that it listens on; none where none runs. */
  readonly listen: readonly string[];
}

export async function checkDaemon(context: CliContext): Promise<DaemonChecks> {
  const name = 'daemon';
  try {
    await using client = await context.connect();
    const status = await client.call('node.status', {}, { signal: context.signal });
    const detail = `process ${status.pid}, ${plural(status.network.connections, 'peer')} connected`;
    const remedy = 'No bootstrap peer answers: see `fogproof node status`.';
    const daemon: HostCheck = status.network.isDegraded
      ? { name, status: 'degraded', detail, remedy }
      : { name, status: 'ok', detail, remedy: null };
    const { reachability, listen } = status.network;
    return { checks: [daemon, describeWork(status.provider), describeReachability(reachability)], listen };
  } catch (error) {
    context.signal.throwIfAborted();
    const down: HostCheck = {
      name,
      status: 'degraded',
      detail: describeError(error),
      remedy: 'Run `fogproof node start`.',
    };
    return { checks: [down], listen: [] };
  }
}

/** Whether the node takes work, as its operator last said. */
export function describeWork({ isEnabled, closed }: JsonForm<NodeStatus>['provider']): HostCheck {
  const name = 'work';
  if (!isEnabled) return { name, status: 'ok', detail: 'takes no jobs of others (provide.enabled)', remedy: null };
  if (closed === null) return { name, status: 'ok', detail: 'new work is taken', remedy: null };
  const how = closed.reason === 'panic' ? 'stopped by `node panic`' : 'drained by `node drain`';
  const detail = `${how} since ${formatDateTime(closed.sinceMs)}: no new work is taken`;
  return { name, status: 'degraded', detail, remedy: 'Run `fogproof node resume`.' };
}
