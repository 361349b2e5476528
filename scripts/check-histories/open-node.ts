import { access, cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { computeDataPaths } from '../../src/config/paths.ts';
import { PeerKey } from '../../src/domain/ids.ts';
import { JOB } from '../../src/domain/job.ts';
import { decodeObject } from '../../src/domain/object-type.ts';
import { RECEIPT } from '../../src/domain/receipt.ts';
import { UsageError } from '../../src/lib/errors.ts';
import { readSignedPayload } from '../../src/proofs/signed-object.ts';
import { decodeJobRecord } from '../../src/scheduler/job-records.ts';
import { LEASE_RECORD_CODEC } from '../../src/scheduler/provider/leases/lease-record.ts';
import { StorageError } from '../../src/storage/errors.ts';
import type { KeyRange } from '../../src/storage/interface.ts';
import { LevelDatabase } from '../../src/storage/level-database.ts';
import type { NamespaceName } from '../../src/storage/namespaces.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';

/** The data folder of a stopped node, its database as a copy. */
export interface OpenedNode {
  readonly name: string;
  readonly folder: string;
  readonly peer: PeerKey | null;
  readonly wasKilled: boolean;
  readonly database: LevelDatabase;
  readonly paths: ReturnType<typeof computeDataPaths>;
}

/** Reads the data folders of a run. Opening a LevelDB rewrites its log, so copies are opened and thrown away. */
export class OpenedNodes implements AsyncDisposable {
  readonly nodes: readonly OpenedNode[];
  readonly #scratch: string;

  private constructor(nodes: readonly OpenedNode[], scratch: string) {
    this.nodes = nodes;
    this.#scratch = scratch;
  }

  /** @throws UsageError if one is no data folder, or its node runs; StorageError if a database cannot be opened */
  static async open(folders: readonly string[]): Promise<OpenedNodes> {
    if (folders.length === 0)
      throw new UsageError('no data folder is named', 'Give the data folders of all nodes of a run');
    const scratch = await mkdtemp(join(tmpdir(), 'fogproof-histories-'));
    const nodes: OpenedNode[] = [];
    const opened = new OpenedNodes(nodes, scratch);
    try {
      const names = nameFolders(folders);
      for (const [index, folder] of folders.entries()) {
        nodes.push(await openNode(resolve(folder), names[index] ?? folder, join(scratch, String(index))));
      }
      return opened;
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { database } of this.nodes) await database[Symbol.asyncDispose]();
    await rm(this.#scratch, { recursive: true, force: true });
  }
}

/** The last part of each path, or all of it where that is not enough to tell them apart. */
function nameFolders(folders: readonly string[]): readonly string[] {
  const short = folders.map((folder) => basename(resolve(folder)));
  return new Set(short).size === short.length ? short : folders.map((folder) => resolve(folder));
}

async function openNode(folder: string, name: string, scratch: string): Promise<OpenedNode> {
  const paths = computeDataPaths(folder);
  if (!(await exists(join(paths.database, 'CURRENT')))) {
    throw new UsageError(`${folder} holds no database of a node`, 'Give the data folders (FOGPROOF_HOME) of nodes');
  }
  await assertStopped(`${paths.database}.pid`, folder);
  const wasKilled = await exists(`${paths.database}.pid`);
  await cp(paths.database, scratch, { recursive: true });
  await rm(join(scratch, 'LOCK'), { force: true });
  // With it a log that was cut off after an orderly stop is told from one that never was longer.
  if (await exists(`${paths.database}.closed`)) await cp(`${paths.database}.closed`, `${scratch}.closed`);
  const database = await LevelDatabase.open(scratch, { logger: new NoopLogger() });
  return { name, folder, paths, wasKilled, database, peer: await readPeer(folder, database) };
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function assertStopped(pidFile: string, folder: string): Promise<void> {
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).trim());
  if (!Number.isInteger(pid) || pid <= 0) return;
  const command = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  // Numbers of processes are used again: it is the node only if it was started with this folder.
  if (command.includes(`FOGPROOF_HOME=${folder}\0`)) {
    throw new UsageError(`the node of ${folder} runs as process ${pid}`, 'Stop it first: fogproof node stop');
  }
}

/** Of a keystore that needs no passphrase, else of what the node signed; null if it signed nothing. */
async function readPeer(folder: string, database: LevelDatabase): Promise<PeerKey | null> {
  const text = await readFile(join(folder, 'identity.json'), 'utf8').catch(() => undefined);
  if (text !== undefined) return PeerKey((JSON.parse(text) as { readonly peer: string }).peer);
  for await (const [key, bytes] of readRange(database, 'jobs', {})) {
    if (key.includes('/')) continue;
    const record = attempt(() => decodeObject(JOB, readSignedPayload(decodeJobRecord(key, bytes).job)));
    if (record !== undefined) return record.requester;
  }
  for await (const [, bytes] of readRange(database, 'leases', {})) {
    const receipt = attempt(() => LEASE_RECORD_CODEC.decode(bytes).receipt);
    if (receipt) return decodeObject(RECEIPT, readSignedPayload(receipt)).provider;
  }
  return null;
}

/** What is damaged is passed over: checks/entries.ts names it. */
export function readRange(
  database: LevelDatabase,
  namespace: NamespaceName,
  range: KeyRange,
): AsyncIterable<readonly [key: string, bytes: Uint8Array]> {
  return database.byteEntries(namespace, range, { onDamaged: () => undefined });
}

/** Undefined also for an entry whose checksum is another. */
export async function readBytes(
  database: LevelDatabase,
  namespace: NamespaceName,
  key: string,
): Promise<Uint8Array | undefined> {
  try {
    return await database.getBytes(namespace, key);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'STORAGE_CORRUPT') return undefined;
    throw error;
  }
}

/** Everything whose key begins with `prefix` and a slash; '0' follows '/' in the order of keys. */
export const under = (prefix: string): KeyRange => ({ gte: `${prefix}/`, lt: `${prefix}0` });

/** What is damaged was reported where every entry was read. */
export function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

export async function listFiles(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}
