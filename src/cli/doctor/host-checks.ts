import { access, constants, readFile, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { multiaddr } from '@multiformats/multiaddr';
import { formatSize } from '../../lib/quantity.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { HostCheck } from '../../sandbox/interface.ts';
import { plural } from '../format.ts';

/** Where this machine is looked at; a folder with such trees in it for tests. */
export interface HostRoots {
  readonly proc: string;
  readonly sys: string;
  readonly dev: string;
  readonly etc: string;
}
export const HOST_ROOTS: HostRoots = { proc: '/proc', sys: '/sys', dev: '/dev', etc: '/etc' };

/** Fewer free inodes than this, and small blobs may find no place. */
const ENOUGH_INODES = 10_000;

async function readText(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Whether AppArmor keeps unprivileged programs, bubblewrap among them, from making user namespaces (Ubuntu since 23.10). */
export async function checkAppArmor({ proc, sys, etc }: HostRoots): Promise<HostCheck> {
  const name = 'AppArmor';
  const isOn = (await readText(join(sys, 'module/apparmor/parameters/enabled'))) === 'Y';
  if (!isOn) return { name, status: 'ok', detail: 'not in force', remedy: null };
  const isRestricting = (await readText(join(proc, 'sys/kernel/apparmor_restrict_unprivileged_userns'))) === '1';
  if (!isRestricting) {
    return { name, status: 'ok', detail: 'in force; it lets programs make user namespaces', remedy: null };
  }
  if (await isThere(join(etc, 'apparmor.d/bwrap-userns-restrict'))) {
    const detail = 'in force; it restricts user namespaces, and has a profile that lets bubblewrap make them';
    return { name, status: 'ok', detail, remedy: null };
  }
  return {
    name,
    status: 'degraded',
    detail:
      'it restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns=1), and has no profile for bubblewrap',
    remedy:
      'apt install apparmor-profiles, copy bwrap-userns-restrict from /usr/share/apparmor/extra-profiles to /etc/apparmor.d and reload AppArmor; or sysctl kernel.apparmor_restrict_unprivileged_userns=0.',
  };
}

/** Devices of confidential guests, and whether evidence can be had through them: Node can use configfs-tsm alone. */
export async function checkTeeDevices({ dev, sys }: Pick<HostRoots, 'dev' | 'sys'>): Promise<HostCheck> {
  const name = 'TEE devices';
  const devices = await Promise.all(
    ['sev-guest', 'tdx_guest'].map(async (device) => ((await isThere(join(dev, device))) ? [join(dev, device)] : [])),
  );
  const found = devices.flat();
  const report = join(sys, 'kernel/config/tsm/report');
  const hasReport = await isThere(report);
  if (found.length === 0 && !hasReport) {
    const detail = 'no /dev/sev-guest, no /dev/tdx_guest, no configfs-tsm: this is no confidential VM';
    return { name, status: 'ok', detail, remedy: null };
  }
  if (!hasReport) {
    const detail = `${found.join(', ')} without configfs-tsm (${report}): no evidence can be made`;
    const remedy = 'Linux 6.7 or later, and `mount -t configfs none /sys/kernel/config`.';
    return { name, status: 'degraded', detail, remedy };
  }
  const mayMake = await access(report, constants.W_OK).then(
    () => true,
    () => false,
  );
  const detail = `${[...found, report].join(', ')}${mayMake ? '' : ': this account may not ask for reports'}`;
  if (mayMake) return { name, status: 'ok', detail, remedy: null };
  return { name, status: 'degraded', detail, remedy: `Run the daemon as root, or give its account ${report}.` };
}

/** What the tools of the system say of the clock; null where there is no such tool, or it says nothing. */
export interface ClockTools {
  /** `timedatectl show --property=NTPSynchronized --value`: `yes` or `no`. */
  readonly timedatectl: string | null;
  /** `chronyc -c tracking`: comma-separated, the last but its leap status. */
  readonly chronyc: string | null;
}

/** Leases, deadlines and epochs are by the clock: peers allow a difference of some seconds. */
export function checkClock({ timedatectl, chronyc }: ClockTools): HostCheck {
  const name = 'clock';
  const remedy = 'Switch time synchronisation on: timedatectl set-ntp true, or apt install chrony.';
  if (chronyc !== null) {
    const fields = chronyc.trim().split(',');
    const offsetSeconds = Number(fields[4]);
    if (fields.length >= 14 && Number.isFinite(offsetSeconds)) {
      const isSynchronised = fields.at(-1) !== 'Not synchronised';
      const detail = `chrony: ${isSynchronised ? `off by ${Math.abs(offsetSeconds * 1000).toFixed(1)} ms` : 'not synchronised'}`;
      return isSynchronised
        ? { name, status: 'ok', detail, remedy: null }
        : { name, status: 'degraded', detail, remedy };
    }
  }
  if (timedatectl?.trim() === 'yes') return { name, status: 'ok', detail: 'synchronised (timedatectl)', remedy: null };
  const detail =
    timedatectl?.trim() === 'no'
      ? 'not synchronised (timedatectl)'
      : 'nothing here says whether it is synchronised (neither timedatectl nor chronyc answers)';
  return { name, status: 'degraded', detail, remedy };
}

/** Whether each configured port can be listened on, or the running node has it. @param held addresses that the node listens on */
export async function checkPorts(listen: readonly string[], held: readonly string[]): Promise<HostCheck> {
  const name = 'ports';
  const found = await Promise.all(listen.map((address) => checkPort(address, held)));
  const fault = found.find(({ remedy }) => remedy !== null);
  const detail = found.length === 0 ? 'listens nowhere' : found.map((port) => port.detail).join('; ');
  return fault === undefined
    ? { name, status: 'ok', detail, remedy: null }
    : { name, status: 'missing', detail, remedy: fault.remedy };
}

async function checkPort(address: string, held: readonly string[]): Promise<Pick<HostCheck, 'detail' | 'remedy'>> {
  const parts = multiaddr(address).getComponents();
  const host = parts.find(({ name }) => name === 'ip4' || name === 'ip6')?.value;
  const port = Number(parts.find(({ name }) => name === 'tcp')?.value ?? Number.NaN);
  if (host === undefined || Number.isNaN(port)) return { detail: `${address}: not tried, no TCP port`, remedy: null };
  if (port === 0) return { detail: `${address}: any free port`, remedy: null };
  if (held.some((known) => known.includes(`/tcp/${port}`))) {
    return { detail: `${address}: the node listens there`, remedy: null };
  }
  const reason = await tryListen(host, port);
  if (reason === null) return { detail: `${address}: free`, remedy: null };
  if (reason === 'EADDRINUSE') {
    const remedy = `Another program has TCP port ${port} (\`ss -ltnp\`): end it, or choose another port with \`listen\`.`;
    return { detail: `${address}: taken by another program`, remedy };
  }
  const remedy =
    reason === 'EACCES'
      ? 'Ports below 1024 need a privilege: choose a higher one with `listen`.'
      : 'Choose an address of this machine with `listen`.';
  return { detail: `${address}: ${reason}`, remedy };
}

/** The code of why not; null if it works. */
async function tryListen(host: string, port: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const server = createServer();
  server.once('error', (error) => resolve(systemErrorCode(error) ?? 'it cannot be listened on'));
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  return promise;
}

export interface DiskNeeds {
  readonly reserveDiskBytes: number;
  /** What blobs, snapshots and the audit log may come to. */
  readonly maxBytes: number;
}

/** Whether what is configured fits, and whether there is a place for more files at all. */
export async function checkDisk(folder: string, needs: DiskNeeds): Promise<HostCheck> {
  const name = 'disk';
  const { bavail, bsize, ffree, files } = await statfs(folder);
  return judgeDisk({ name, freeBytes: bavail * bsize, freeInodes: files === 0 ? null : ffree }, needs);
}

/** @param freeInodes null where the file system has no fixed number of them */
export function judgeDisk(
  {
    name,
    freeBytes,
    freeInodes,
  }: { readonly name: string; readonly freeBytes: number; readonly freeInodes: number | null },
  { reserveDiskBytes, maxBytes }: DiskNeeds,
): HostCheck {
  const free = `${formatSize(freeBytes)} free`;
  if (freeInodes !== null && freeInodes < ENOUGH_INODES) {
    const detail = `${free}, and only ${plural(freeInodes, 'inode')} for more files`;
    return {
      name,
      status: 'degraded',
      detail,
      remedy: 'Remove small files on this file system, or make it with more inodes.',
    };
  }
  if (freeBytes <= reserveDiskBytes) {
    const detail = `${free}; ${formatSize(reserveDiskBytes)} are kept free by outputs of jobs, so none are taken that make any`;
    return { name, status: 'degraded', detail, remedy: 'Free some space, or lower provide.host.reserveDiskBytes.' };
  }
  if (maxBytes > freeBytes) {
    const detail = `${free}; blobs, snapshots and the audit log may come to ${formatSize(maxBytes)}`;
    return {
      name,
      status: 'degraded',
      detail,
      remedy: 'Free some space, or lower blobs.maxBytes and snapshots.maxBytes.',
    };
  }
  return { name, status: 'ok', detail: `${free}; stores may come to ${formatSize(maxBytes)}`, remedy: null };
}
