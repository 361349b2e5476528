import { constants, lstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerWorkload } from '../../domain/job.ts';
import type { ImageConfig } from '../../domain/oci-image.ts';
import { refuse } from '../roots/read-tar.ts';

/** Lower than any image's own: equal on every host. The path is that which images are made for. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  HOME: '/tmp',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};
/** Most bytes of /etc/passwd and /etc/group that are looked at. */
const MAX_NAMES_BYTES = 1024 * 1024;
/** The kernel's: -1 is no id. */
const MAX_ID = 2 ** 32 - 2;

/** What runs in an image, and as whom it sees itself. */
export interface ImageProcess {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * What a job runs in an unpacked image: the image's configuration, with what the job has in place of parts of it.
 * @throws SandboxError SANDBOX_ROOT_REFUSED where nothing is named, or a user that the image does not have
 */
export async function resolveProcess(
  workload: Pick<ContainerWorkload, 'entrypoint' | 'arguments' | 'environment' | 'workingFolder'>,
  { config }: ImageConfig,
  folder: string,
): Promise<ImageProcess> {
  const command =
    workload.arguments.length > 0 || workload.entrypoint !== null ? workload.arguments : (config?.Cmd ?? []);
  const args = [...(workload.entrypoint ?? config?.Entrypoint ?? []), ...command];
  if (args.length === 0 || args[0] === '') throw refuse('it names no program, and neither does the job');
  const given = Object.entries(workload.environment).map(([name, value]) => `${name}=${value}`);
  if ([...args, ...given].some((text) => text.includes('\0'))) throw refuse('the job gives it text with a zero byte');
  const cwd = workload.workingFolder ?? config?.WorkingDir ?? '';
  return {
    args,
    env: mergeEnvironment([
      ...Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`),
      ...(config?.Env ?? []),
      ...given,
    ]),
    cwd: cwd.startsWith('/') ? cwd : `/${cwd}`,
    ...(await resolveUser(config?.User ?? '', folder)),
  };
}

/** The last of each name counts. */
function mergeEnvironment(pairs: readonly string[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const pair of pairs) {
    const end = pair.indexOf('=');
    if (end > 0) merged.set(pair.slice(0, end), pair);
  }
  return [...merged.values()];
}

/** `user`, `uid`, `user:group`, `uid:gid`, `uid:group` or `user:gid` (image-spec config.md); empty is root. */
async function resolveUser(user: string, folder: string): Promise<Pick<ImageProcess, 'uid' | 'gid'>> {
  const [who = '', group] = user.split(':', 2);
  const passwd = /^\d*$/.test(who) && group !== undefined ? undefined : await readNames(folder, 'passwd');
  const entry = passwd?.find((fields) => fields[0] === who || (/^\d+$/.test(who) && fields[2] === who));
  const uid = who === '' ? 0 : readId(/^\d+$/.test(who) ? who : entry?.[2], `user ${who}`);
  if (group === undefined) return { uid, gid: who === '' ? 0 : readId(entry?.[3] ?? '0', `user ${who}`) };
  if (/^\d+$/.test(group)) return { uid, gid: readId(group, `group ${group}`) };
  const found = (await readNames(folder, 'group')).find((fields) => fields[0] === group);
  return { uid, gid: readId(found?.[2], `group ${group}`) };
}

function readId(text: string | undefined, what: string): number {
  const id = /^\d{1,10}$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (!(id <= MAX_ID)) throw refuse(`it has no ${what.slice(0, 100)}`);
  return id;
}

/** Lines of a file in /etc of the image; none where it, or the folder, is a link or anything else. */
async function readNames(folder: string, name: string): Promise<readonly string[][]> {
  const etc = join(folder, 'etc');
  if (lstatSync(etc, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  if (lstatSync(join(etc, name), { throwIfNoEntry: false })?.isFile() !== true) return [];
  await using file = await open(join(etc, name), constants.O_RDONLY | constants.O_NOFOLLOW);
  const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_NAMES_BYTES), 0, MAX_NAMES_BYTES, 0);
  return buffer
    .toString('latin1', 0, bytesRead)
    .split('\n')
    .map((line) => line.split(':'));
}
