import { createHash } from 'node:crypto';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { RecordEnvelope } from '@libp2p/peer-record';
import { z } from 'zod';
import { areBytesEqual, decodeUtf8, encodeUtf8 } from '../../lib/bytes.ts';
import { describeError } from '../../lib/errors.ts';
import { SCHEMA_VERSION } from '../../storage/constants.ts';
import { NodeError } from '../errors.ts';
import {
  DATABASE_PREFIX,
  END_NAME,
  HASHES_PREFIX,
  HEAD_NAME,
  HOME_PREFIX,
  MAX_CHUNK_BYTES,
  MAX_SMALL_BYTES,
  SIGNATURE_DOMAIN,
  SIGNATURE_NAME,
} from './constants.ts';
import { decodeChunk, type StoredEntry } from './entry-chunk.ts';
import type { BackupEnd, BackupHead } from './interface.ts';
import { DATA_FILES } from './list-home-files.ts';
import { type ArchiveFile, readArchive } from './read-archive.ts';

/** Where the content of a backup goes while it is checked. */
export interface BackupSink {
  /** A file of the data folder, by its path below it. */
  addFile(name: string, pieces: AsyncIterable<Uint8Array>): Promise<void>;
  addEntries(entries: readonly StoredEntry[]): Promise<void>;
}

export interface VerifiedBackup {
  readonly head: BackupHead;
  readonly end: BackupEnd;
}

const headSchema = z.strictObject({
  type: z.literal('fogproof/backup@1'),
  peer: z.string().max(128),
  createdAtMs: z.int().min(0),
  software: z.string().max(128),
  schemaVersion: z.int().min(1),
  hasBlobs: z.boolean(),
});
const endSchema = z.strictObject({
  type: z.literal('fogproof/backup-end@1'),
  files: z.int().min(0),
  bytes: z.int().min(0),
  entries: z.int().min(0),
  missing: z.int().min(0),
  hashes: z.hex().length(64),
});

/** Nothing is kept. */
const NOWHERE: BackupSink = {
  addFile: async (_, pieces) => {
    for await (const _piece of pieces);
  },
  addEntries: async () => {},
};

/**
 * Reads a backup from end to end: every hash, the form of every file, and the signature of the node that wrote it. What a
 * sink is given is not to be used before this resolves.
 * @throws NodeError NODE_BACKUP_DAMAGED, NODE_NEWER_DATA
 */
export async function verifyBackup(
  path: string,
  { signal, sink = NOWHERE }: { readonly signal: AbortSignal; readonly sink?: BackupSink },
): Promise<VerifiedBackup> {
  const reading = new BackupReading(path, sink);
  for await (const file of readArchive(path, signal)) await reading.take(file);
  return reading.finish();
}

class BackupReading {
  readonly #path: string;
  readonly #sink: BackupSink;
  readonly #hashes = createHash('sha256');
  #pending: string[] = [];
  #files = 0;
  #entries = 0;
  #head: BackupHead | undefined;
  #end: { readonly value: BackupEnd; readonly bytes: Uint8Array } | undefined;
  #isSigned = false;

  constructor(path: string, sink: BackupSink) {
    this.#path = path;
    this.#sink = sink;
  }

  async take(file: ArchiveFile): Promise<void> {
    const { name } = file;
    if (this.#isSigned) throw this.#refuse(name, 'it is behind the signature');
    if (this.#head === undefined && name !== HEAD_NAME) throw this.#refuse(name, 'it is not the head of a backup');
    if (this.#end !== undefined && name !== SIGNATURE_NAME) throw this.#refuse(name, 'it is behind the end');
    if (name.startsWith(HASHES_PREFIX)) await this.#takeHashes(file);
    else if (name === END_NAME) await this.#takeEnd(file);
    else if (name === SIGNATURE_NAME) await this.#takeSignature(file);
    else await this.#takeListed(file);
  }

  finish(): VerifiedBackup {
    if (this.#head === undefined || this.#end === undefined || !this.#isSigned) {
      throw this.#refuse('its end', 'it is missing');
    }
    return { head: this.#head, end: this.#end.value };
  }

  /** Of what a list of hashes will name. */
  async #takeListed(file: ArchiveFile): Promise<void> {
    const { name, sizeBytes } = file;
    const hash = createHash('sha256');
    const pieces = hashing(file.pieces(), hash);
    if (name === HEAD_NAME) await this.#takeHead(name, await this.#collect(name, pieces, MAX_SMALL_BYTES));
    else if (name.startsWith(DATABASE_PREFIX)) {
      const entries = decodeChunk(await this.#collect(name, pieces, MAX_CHUNK_BYTES));
      if (entries === undefined) throw this.#refuse(name, 'it holds no entries');
      this.#entries += entries.length;
      await this.#sink.addEntries(entries);
    } else if (name.startsWith(HOME_PREFIX) && isDataFile(name.slice(HOME_PREFIX.length))) {
      await this.#sink.addFile(name.slice(HOME_PREFIX.length), pieces);
    } else throw this.#refuse(name, 'no backup holds such a file');
    this.#files += 1;
    this.#pending.push(`${hash.digest('hex')} ${sizeBytes} ${name}`);
  }

  async #takeHead(name: string, bytes: Uint8Array): Promise<void> {
    if (this.#head !== undefined) throw this.#refuse(name, 'it is there twice');
    this.#head = this.#parse(name, bytes, headSchema);
    const { schemaVersion: found } = this.#head;
    if (found > SCHEMA_VERSION) {
      throw new NodeError({ code: 'NODE_NEWER_DATA', what: this.#path, found, supported: SCHEMA_VERSION });
    }
  }

  async #takeHashes(file: ArchiveFile): Promise<void> {
    const list = await this.#collect(file.name, file.pieces(), MAX_SMALL_BYTES);
    this.#hashes.update(list);
    const lines = Buffer.from(list).toString('latin1').split('\n');
    for (const [index, line] of this.#pending.entries()) {
      if (lines[index] === line) continue;
      throw this.#refuse(line.split(' ').at(-1) ?? '', 'its hash is another');
    }
    if (lines.length !== this.#pending.length + 1 || lines.at(-1) !== '')
      throw this.#refuse(file.name, 'it names others');
    this.#pending = [];
  }

  async #takeEnd(file: ArchiveFile): Promise<void> {
    const bytes = await this.#collect(file.name, file.pieces(), MAX_SMALL_BYTES);
    const value = this.#parse(file.name, bytes, endSchema);
    const isWhole =
      this.#pending.length === 0 &&
      value.files === this.#files &&
      value.entries === this.#entries &&
      value.hashes === this.#hashes.digest('hex');
    if (!isWhole) throw this.#refuse(file.name, 'something before it is missing or was put in');
    this.#end = { value, bytes };
  }

  async #takeSignature(file: ArchiveFile): Promise<void> {
    if (this.#end === undefined) throw this.#refuse(file.name, 'it is before the end');
    const bytes = await this.#collect(file.name, file.pieces(), MAX_SMALL_BYTES);
    const reason = await checkSignature(bytes, { peer: this.#head?.peer ?? '', payload: this.#end.bytes });
    if (reason !== null) throw this.#refuse(file.name, reason);
    this.#isSigned = true;
  }

  async #collect(name: string, pieces: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const piece of pieces) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) throw this.#refuse(name, `it is larger than ${maxBytes} bytes`);
      parts.push(piece.slice());
    }
    return new Uint8Array(Buffer.concat(parts));
  }

  #parse<Value>(name: string, bytes: Uint8Array, schema: z.ZodType<Value>): Value {
    try {
      return schema.parse(JSON.parse(decodeUtf8(bytes)));
    } catch (error) {
      throw this.#refuse(name, describeError(error).slice(0, 200));
    }
  }

  #refuse(where: string, reason: string): NodeError {
    return new NodeError({ code: 'NODE_BACKUP_DAMAGED', path: this.#path, where, reason });
  }
}

function isDataFile(name: string): boolean {
  const [first = ''] = name.split('/');
  if (!name.includes('/')) return DATA_FILES.single.includes(name);
  return DATA_FILES.small.includes(first) || DATA_FILES.bulk.includes(first);
}

async function* hashing(
  pieces: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
}

/** Null if the node that the head names signed exactly this. */
async function checkSignature(
  bytes: Uint8Array,
  { peer, payload }: { readonly peer: string; readonly payload: Uint8Array },
): Promise<string | null> {
  try {
    const envelope = await RecordEnvelope.openAndCertify(bytes, SIGNATURE_DOMAIN);
    const signer = peerIdFromPublicKey(envelope.publicKey).toString();
    if (signer !== peer) return `${signer} signed it, not ${peer}`;
    const isSame =
      areBytesEqual(envelope.payload, payload) && areBytesEqual(envelope.payloadType, encodeUtf8(SIGNATURE_DOMAIN));
    return isSame ? null : 'it signs something else';
  } catch (error) {
    return describeError(error);
  }
}
