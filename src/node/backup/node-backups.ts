import { access, type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Identity } from '../../identity/interface.ts';
import { encodeUtf8 } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError, isAbortError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { VERSION } from '../../lib/version.ts';
import type { BackupControl, BackupEvent } from '../../rpc/interface.ts';
import { SCHEMA_VERSION } from '../../storage/constants.ts';
import type { DatabaseCopy } from '../../storage/interface.ts';
import { NodeError } from '../errors.ts';
import { ArchiveWriter } from './archive-writer.ts';
import {
  BLOBS_FOLDER,
  CHUNK_BYTES,
  CHUNK_ENTRIES,
  DATABASE_PREFIX,
  END_NAME,
  HEAD_NAME,
  HOME_PREFIX,
  MAX_LISTINGS,
  PIECE_BYTES,
  PROGRESS_BYTES,
  SIGNATURE_DOMAIN,
  SIGNATURE_NAME,
} from './constants.ts';
import { encodeChunk, type StoredEntry } from './entry-chunk.ts';
import type { BackupEnd, BackupHead } from './interface.ts';
import { listBulkFiles, listSmallFiles } from './list-home-files.ts';
import { NamedBlobs } from './named-blobs.ts';

export interface NodeBackupsModules {
  readonly identity: Pick<Identity, 'peer' | 'seal'>;
  readonly database: { copy(): DatabaseCopy };
  readonly clock: Clock;
}

export interface BackupRequest {
  /** Absolute; must not be there yet. */
  readonly path: string;
  readonly hasBlobs: boolean;
}

/** False: it was gone when its turn came. */
interface BulkFile {
  readonly name: string;
  readonly isThere: boolean;
}

/** Writes the data folder of a running node to one file: the database of one moment, and files that never change. */
export class NodeBackups implements BackupControl {
  readonly #modules: NodeBackupsModules;
  readonly #home: string;
  #isRunning = false;

  constructor(modules: NodeBackupsModules, options: { readonly home: string }) {
    this.#modules = modules;
    this.#home = options.home;
  }

  /** @throws NodeError NODE_BACKUP_RUNNING, NODE_BACKUP_UNWRITABLE */
  async *create(request: BackupRequest, signal: AbortSignal): AsyncGenerator<BackupEvent> {
    if (this.#isRunning) throw new NodeError({ code: 'NODE_BACKUP_RUNNING' });
    this.#isRunning = true;
    try {
      yield* this.#write(request, signal);
    } catch (error) {
      if (isAbortError(error) || error instanceof NodeError || systemErrorCode(error) === undefined) throw error;
      const { path } = request;
      throw new NodeError({ code: 'NODE_BACKUP_UNWRITABLE', path, reason: describeError(error) }, { cause: error });
    } finally {
      this.#isRunning = false;
    }
  }

  async *#write({ path, hasBlobs }: BackupRequest, signal: AbortSignal): AsyncGenerator<BackupEvent> {
    const { clock, database, identity } = this.#modules;
    await assertFree(path);
    const createdAtMs = clock.nowMs();
    await using archive = await ArchiveWriter.create(path, { mtimeMs: createdAtMs });
    // Files come after: whatever the database names at this moment was on disk before it.
    await using copy = database.copy();
    const head: BackupHead = {
      type: 'fogproof/backup@1',
      peer: identity.peer,
      createdAtMs,
      software: VERSION,
      schemaVersion: SCHEMA_VERSION,
      hasBlobs,
    };
    await addJson(archive, HEAD_NAME, head);
    let missing = 0;
    const small = await listSmallFiles(this.#home);
    for (const name of small) missing += (await this.#addFile(archive, name, signal)) ? 0 : 1;
    let entries = 0;
    let toldBytes = 0;
    const isDue = (): boolean => archive.bytes - toldBytes >= PROGRESS_BYTES;
    const tell = (): BackupEvent => {
      toldBytes = archive.bytes;
      return { kind: 'progress', files: archive.files, bytes: archive.bytes };
    };
    const named = new NamedBlobs();
    for await (const chunk of splitChunks(copy)) {
      signal.throwIfAborted();
      const bytes = encodeChunk(chunk);
      if (hasBlobs) named.note(chunk);
      entries += chunk.length;
      await archive.add(`${DATABASE_PREFIX}${String(archive.files).padStart(8, '0')}`, bytes.length, [bytes]);
      if (isDue()) yield tell();
    }
    if (hasBlobs) {
      for await (const { name, isThere } of this.#addBulk(archive, signal)) {
        if (isThere) named.remove(name);
        else if (!name.startsWith(`${BLOBS_FOLDER}/`)) missing += 1;
        if (isDue()) yield tell();
      }
    }
    missing += named.missing;
    const end: BackupEnd = {
      type: 'fogproof/backup-end@1',
      files: archive.files,
      bytes: archive.bytes,
      entries,
      missing,
      hashes: await archive.closeHashes(),
    };
    const encoded = encodeUtf8(`${JSON.stringify(end, null, 2)}\n`);
    await archive.addUnlisted(END_NAME, encoded);
    const signature = await identity.seal(SIGNATURE_DOMAIN, encodeUtf8(SIGNATURE_DOMAIN), encoded);
    await archive.addUnlisted(SIGNATURE_NAME, signature);
    await archive.finish();
    const { files, bytes } = archive;
    yield { kind: 'done', path, files, bytes, entries, missing, remarks: describeKeeping(small, hasBlobs) };
  }

  /** Listed until nothing new is found: a compaction moves what is kept into a file that was not there before. */
  async *#addBulk(archive: ArchiveWriter, signal: AbortSignal): AsyncGenerator<BulkFile> {
    const seen = new Set<string>();
    for (let listing = 0; listing < MAX_LISTINGS; listing += 1) {
      const before = seen.size;
      for await (const name of listBulkFiles(this.#home)) {
        if (seen.has(name)) continue;
        seen.add(name);
        yield { name, isThere: await this.#addFile(archive, name, signal) };
      }
      if (seen.size === before) return;
    }
  }

  /** False if it is not there any more. */
  async #addFile(archive: ArchiveWriter, name: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    let file: FileHandle;
    try {
      file = await open(join(this.#home, name), 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return false;
      throw error;
    }
    try {
      const { size } = await file.stat();
      await archive.add(`${HOME_PREFIX}${name}`, size, readPieces(file, size, signal));
    } finally {
      await file.close();
    }
    return true;
  }
}

async function addJson(archive: ArchiveWriter, name: string, value: unknown): Promise<void> {
  const bytes = encodeUtf8(`${JSON.stringify(value, null, 2)}\n`);
  await archive.add(name, bytes.length, [bytes]);
}

async function* splitChunks(copy: DatabaseCopy): AsyncGenerator<readonly StoredEntry[]> {
  let chunk: StoredEntry[] = [];
  let sizeBytes = 0;
  for await (const entry of copy.entries()) {
    chunk.push(entry);
    sizeBytes += entry[0].length + entry[1].length;
    if (chunk.length < CHUNK_ENTRIES && sizeBytes < CHUNK_BYTES) continue;
    yield chunk;
    chunk = [];
    sizeBytes = 0;
  }
  if (chunk.length > 0) yield chunk;
}

/** Exactly `sizeBytes`: one that was cut short meanwhile is none of ours any more, and its hash says so. */
async function* readPieces(file: FileHandle, sizeBytes: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(PIECE_BYTES);
  let left = sizeBytes;
  while (left > 0) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(left, buffer.length), null);
    const piece = bytesRead === 0 ? new Uint8Array(Math.min(left, buffer.length)) : buffer.subarray(0, bytesRead);
    yield piece;
    left -= piece.length;
  }
}

function describeKeeping(small: readonly string[], hasBlobs: boolean): readonly string[] {
  const remarks = ['Never run it beside this node: two daemons under one identity harm each other.'];
  if (small.includes('identity.json')) {
    remarks.push('The identity in it is not encrypted: whoever reads the file is this node, and has its wallet.');
  } else remarks.push('The identity in it is encrypted with the passphrase that it has now.');
  if (!hasBlobs) remarks.push('Inputs, outputs and snapshots over a few KiB are not in it.');
  return remarks;
}

/** Told before anything is copied; what gets the name meanwhile is kept too. */
async function assertFree(path: string): Promise<void> {
  const isTaken = await access(path).then(
    () => true,
    () => false,
  );
  if (isTaken) throw new NodeError({ code: 'NODE_BACKUP_UNWRITABLE', path, reason: 'the file is there already' });
}
