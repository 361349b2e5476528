import { chmod, lstat, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { createConnection, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { describeError } from '../lib/errors.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { systemErrorCode } from '../lib/system-error.ts';
import { MAX_SOCKET_PATH_BYTES, PROBE_TIMEOUT_MS } from './constants.ts';
import { RpcError } from './errors.ts';

/** A socket is born in such a folder, which lasts for milliseconds. */
const NURSERY_PREFIX = '.s';
const NURSERY = /^\.s[A-Za-z0-9]{6}$/;
const NURSERY_MAX_AGE_MS = 10 * 60_000;
const OWNER_ONLY_SOCKET = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
/** Write for group and others, and the bit that stops them from renaming what is not theirs. */
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Listens on a Unix socket that nobody else could ever open: it is bound in a fresh folder of mode 0700, set to 0600
 * there, and only then renamed into place. (A umask would do as well, but belongs to the whole process.)
 * @throws RpcError RPC_SOCKET_IN_USE, RPC_SOCKET_PATH_TAKEN, RPC_SOCKET_PATH_TOO_LONG, RPC_SOCKET_UNSAFE_FOLDER
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder, OWNER_ONLY_FOLDER).catch((error: unknown) => {
    const reason = `it cannot be made: ${describeError(error)}`;
    throw new RpcError({ code: 'RPC_SOCKET_UNSAFE_FOLDER', folder, reason }, { cause: error });
  });
  await assertSafeFolder(folder);
  await assertNotInUse(path);
  const nursery = await mkdtemp(join(folder, NURSERY_PREFIX));
  try {
    await removeAbandonedNurseries(folder, nursery);
    const birthplace = join(nursery, 's');
    assertFits(path, path);
    assertFits(birthplace, path);
    await listen(server, birthplace);
    await chmod(birthplace, OWNER_ONLY_SOCKET);
    await rename(birthplace, path);
  } finally {
    await rm(nursery, { recursive: true, force: true });
  }
}

/** Of daemons that were killed between making one and removing it. */
async function removeAbandonedNurseries(folder: string, own: string): Promise<void> {
  const { mtimeMs } = await stat(own);
  for (const name of await readdir(folder)) {
    if (!NURSERY.test(name)) continue;
    const path = join(folder, name);
    const found = await lstat(path).catch(() => undefined);
    const isOld = found !== undefined && mtimeMs - found.mtimeMs > NURSERY_MAX_AGE_MS;
    if (isOld && found.isDirectory()) await rm(path, { recursive: true, force: true });
  }
}

/** Whoever may write to the folder could put another socket in place of ours. */
async function assertSafeFolder(folder: string): Promise<void> {
  const { mode, uid } = await stat(folder);
  const ownUid = process.getuid?.();
  if (ownUid !== undefined && uid !== ownUid && uid !== 0) {
    throw new RpcError({ code: 'RPC_SOCKET_UNSAFE_FOLDER', folder, reason: 'it belongs to another user' });
  }
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0) {
    throw new RpcError({ code: 'RPC_SOCKET_UNSAFE_FOLDER', folder, reason: 'others may write to it' });
  }
}

/** A socket that nobody answers on was left by a daemon that died; it is replaced. */
async function assertNotInUse(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new RpcError({ code: 'RPC_SOCKET_PATH_TAKEN', path });
  if (await isAnswered(path)) throw new RpcError({ code: 'RPC_SOCKET_IN_USE', path });
}

/** Only a refused connection proves that nobody listens: anything else counts as in use. */
function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = createConnection(path);
  const finish = (isLive: boolean): void => {
    probe.destroy();
    resolve(isLive);
  };
  probe.setTimeout(PROBE_TIMEOUT_MS, () => finish(true));
  probe.once('connect', () => finish(true));
  probe.once('error', (error) => finish(!['ECONNREFUSED', 'ENOENT'].includes(systemErrorCode(error) ?? '')));
  return promise;
}

function assertFits(bound: string, path: string): void {
  if (Buffer.byteLength(bound) <= MAX_SOCKET_PATH_BYTES) return;
  throw new RpcError({ code: 'RPC_SOCKET_PATH_TOO_LONG', path, maxBytes: MAX_SOCKET_PATH_BYTES });
}

function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(path, () => {
    server.off('error', reject);
    resolve();
  });
  return promise;
}
