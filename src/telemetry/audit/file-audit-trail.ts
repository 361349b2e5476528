import { type FileHandle, mkdir, open, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { AuditTrail, Logger } from '../interface.ts';
import { type AuditEvent, formatEntry } from './audit-entry.ts';
import { type ChainHead, CURRENT_FILE, EMPTY_HEAD, hashLine, listSegments, nameSegment, readHead } from './segments.ts';

export interface FileAuditTrailOptions {
  readonly folder: string;
  /** Of all files together; the oldest makes room. */
  readonly maxBytes: number;
}

interface Waiting {
  readonly event: AuditEvent;
  readonly atMs: number;
}

/** Files that the space is shared by: an eighth of the log at most makes room at a time. */
const SEGMENTS = 8;
/** What is written is on disk, power cut included, after this long, ms. */
const SYNC_INTERVAL_MS = 1_000;
/** Entries that wait for a disk that takes none; of further ones only the number is kept. */
const MAX_WAITING = 65_536;
/** When a disk that took none is tried again, ms. */
const RETRY_MS = 5_000;
/** Lines that are written at once. */
const MAX_GROUP = 2_048;

/**
 * The log of what was decided, one JSON line each, every line with the hash of the one before it. Noting costs no wait: a
 * writer takes what has come while it wrote, so that a thousand entries are one write.
 */
export class FileAuditTrail implements AuditTrail, AsyncDisposable {
  readonly #modules: { readonly clock: Clock; readonly logger: Logger };
  readonly #options: FileAuditTrailOptions;
  #file: FileHandle;
  #head: ChainHead;
  #sizeBytes: number;
  /** Number of the first entry in the current file. */
  #firstSeq: number;
  #waiting: Waiting[] = [];
  #lost = 0;
  #writing: Promise<void> | null = null;
  #isDirty = false;
  #timer: Disposable | null = null;
  #isClosed = false;
  #isFailing = false;

  private constructor(
    modules: { readonly clock: Clock; readonly logger: Logger },
    options: FileAuditTrailOptions,
    found: {
      readonly file: FileHandle;
      readonly head: ChainHead;
      readonly sizeBytes: number;
      readonly firstSeq: number;
    },
  ) {
    this.#modules = modules;
    this.#options = options;
    this.#file = found.file;
    this.#head = found.head;
    this.#sizeBytes = found.sizeBytes;
    this.#firstSeq = found.firstSeq;
  }

  /** Goes on where the process before ended; a line that it had begun is cut off. @throws the system's error */
  static async open(
    modules: { readonly clock: Clock; readonly logger: Logger },
    options: FileAuditTrailOptions,
  ): Promise<FileAuditTrail> {
    const { folder } = options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, CURRENT_FILE);
    const segments = await listSegments(folder);
    const current = segments.find(({ firstSeq }) => firstSeq === null);
    const own = current === undefined ? { head: EMPTY_HEAD, sizeBytes: 0 } : await readHead(path);
    if (current !== undefined && own.sizeBytes < current.sizeBytes) await truncate(path, own.sizeBytes);
    const before = segments.findLast(({ firstSeq }) => firstSeq !== null);
    const isNew = own.sizeBytes === 0;
    const head = !isNew || before === undefined ? own.head : (await readHead(before.path)).head;
    const firstSeq = isNew ? head.seq + 1 : await readFirstSeq(path);
    const file = await open(path, 'a', 0o600);
    return new FileAuditTrail(modules, options, { file, head, sizeBytes: own.sizeBytes, firstSeq });
  }

  /** Of what has been written. */
  get head(): ChainHead {
    return this.#head;
  }

  note(event: AuditEvent): void {
    if (this.#isClosed) return;
    if (this.#waiting.length >= MAX_WAITING) this.#lost += 1;
    else this.#waiting.push({ event, atMs: this.#modules.clock.nowMs() });
    if (!this.#isFailing) this.#start();
  }

  async flush(): Promise<void> {
    while (this.#waiting.length > 0 || this.#writing !== null) {
      this.#start();
      await this.#writing;
      if (this.#isFailing) return;
    }
    await this.#sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    await this.flush();
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#file.close();
  }

  #start(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
  }

  async #write(): Promise<void> {
    // Lets what is noted in the same turn of the event loop into the first write.
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0 || this.#lost > 0) {
        if (this.#sizeBytes >= this.#options.maxBytes / SEGMENTS) await this.#rotate();
        const group = this.#takeGroup();
        await this.#append(group);
        this.#settle(group);
      }
      this.#isFailing = false;
      this.#plan(SYNC_INTERVAL_MS, () => void this.#sync());
    } catch (error) {
      this.#isFailing = true;
      this.#modules.logger.error({ error, waiting: this.#waiting.length }, 'the audit log could not be written');
      this.#plan(RETRY_MS, () => this.#start());
    }
  }

  #takeGroup(): readonly Waiting[] {
    const group = this.#waiting.slice(0, MAX_GROUP);
    if (group.length < this.#waiting.length || this.#lost === 0) return group;
    return [...group, { event: { kind: 'gap', lost: this.#lost }, atMs: this.#modules.clock.nowMs() }];
  }

  /** All of a group or nothing: what was written in part is cut off again. */
  async #append(group: readonly Waiting[]): Promise<void> {
    let { seq, hash } = this.#head;
    let text = '';
    for (const { event, atMs } of group) {
      seq += 1;
      const line = formatEntry({ seq, at: new Date(atMs).toISOString(), prev: hash, event });
      hash = hashLine(line);
      text += `${line}\n`;
    }
    const bytes = Buffer.from(text);
    try {
      await this.#file.appendFile(bytes);
    } catch (error) {
      await this.#file.truncate(this.#sizeBytes);
      throw error;
    }
    this.#isDirty = true;
    this.#head = { seq, hash };
    this.#sizeBytes += bytes.length;
  }

  #settle(group: readonly Waiting[]): void {
    this.#waiting = this.#waiting.slice(group.filter(({ event }) => event.kind !== 'gap').length);
    for (const { event } of group) if (event.kind === 'gap') this.#lost -= event.lost;
  }

  /**
   * What is removed is named in the new file first: a log that begins later than this entry says was cut by somebody else.
   */
  async #rotate(): Promise<void> {
    const { folder, maxBytes } = this.#options;
    await this.#sync();
    await moveAside(folder, nameSegment(this.#firstSeq));
    const full = this.#file;
    this.#file = await open(join(folder, CURRENT_FILE), 'a', 0o600);
    await full.close();
    this.#firstSeq = this.#head.seq + 1;
    this.#sizeBytes = 0;
    const older = (await listSegments(folder)).filter(({ firstSeq }) => firstSeq !== null);
    let totalBytes = older.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const doomed = older.filter(({ sizeBytes }) => {
      const isTooMuch = totalBytes > maxBytes - maxBytes / SEGMENTS;
      if (isTooMuch) totalBytes -= sizeBytes;
      return isTooMuch;
    });
    const kept = older[doomed.length]?.firstSeq ?? this.#firstSeq;
    await this.#append([{ event: { kind: 'segment', removedThrough: kept - 1 }, atMs: this.#modules.clock.nowMs() }]);
    await this.#sync();
    for (const { path } of doomed) await rm(path, { force: true });
    await syncFolder(folder);
  }

  async #sync(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    await this.#file.datasync().catch((error: unknown) => {
      this.#isDirty = true;
      this.#modules.logger.error({ error }, 'the audit log could not be brought to disk');
    });
  }

  #plan(delayMs: number, task: () => void): void {
    if (this.#isClosed || this.#timer !== null) return;
    this.#timer = this.#modules.clock.schedule(delayMs, () => {
      this.#timer = null;
      task();
    });
  }
}

/** One that is not there was moved by a rotation that could not go on. */
async function moveAside(folder: string, name: string): Promise<void> {
  await rename(join(folder, CURRENT_FILE), join(folder, name)).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  });
}

async function readFirstSeq(path: string): Promise<number> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
  const [, digits] = /^\{"seq":([0-9]{1,15}),/.exec(buffer.toString('utf8', 0, bytesRead)) ?? [];
  return Number(digits ?? 1);
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
