import type { BlobDisk, BlobFileName, IncomingFile, PartialFile, StoredFile } from '../../src/blob/blob-disk.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import { Crashed, type CrashGate } from './crash-gate.ts';
import type { Choose } from './memory-disk.ts';

/** What was done to a file: its length was set, or bytes were written. */
interface Operation {
  readonly part: Uint8Array;
  readonly position: number;
}

interface FileNode {
  bytes: Uint8Array;
  readonly operations: Operation[];
  /** How many of the operations survive a power cut for certain. */
  syncedCount: number;
}

const createNode = (): FileNode => ({ bytes: new Uint8Array(), operations: [], syncedCount: 0 });

type Names = Map<string, FileNode>;

const FULL = { code: 'ENOSPC', syscall: 'write' };
const SEALED = '.sealed';
const textOf = ({ blob, isSealed }: BlobFileName): string => `${blob}${isSealed ? SEALED : ''}`;

function apply(bytes: Uint8Array, { part, position }: Operation): Uint8Array {
  const end = position + part.length;
  const whole = bytes.length >= end ? bytes : new Uint8Array(end);
  if (whole !== bytes) whole.set(bytes);
  whole.set(part, position);
  return whole;
}

function record(node: FileNode, operation: Operation): void {
  node.bytes = apply(node.bytes, operation);
  node.operations.push(operation);
}

/** A file of which everything is on disk for good. */
function settle(bytes: Uint8Array): FileNode {
  return { bytes, operations: [{ part: bytes.slice(), position: 0 }], syncedCount: 1 };
}

/**
 * The folder of blobs in memory. With a gate, the process dies at one of its operations. A later process finds
 * `afterKill()`, or `afterPowerCut()`: of what was not synced, each write may have happened or not. Lengths are kept: what
 * lost its bytes then looks as if it had them.
 */
export class MemoryBlobDisk implements BlobDisk {
  readonly #names: Names;
  #syncedNames: Names;
  readonly #gate: CrashGate | undefined;
  readonly #incoming = new Map<IncomingFile, FileNode>();
  /** Fails writes as a full disk does. */
  isFull = false;
  /** Fails syncs as a dying disk does. */
  isSyncFailing = false;
  syncs = 0;
  openFiles = 0;

  constructor(gate?: CrashGate, names: ReadonlyMap<string, FileNode> = new Map()) {
    this.#gate = gate;
    this.#names = new Map(names);
    this.#syncedNames = new Map(names);
  }

  /** Everything that is on the disk, what is on its way in too. */
  get contents(): readonly Uint8Array[] {
    return [...this.#names.values(), ...this.#incoming.values()].map(({ bytes }) => bytes);
  }

  get names(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  async start(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  async createIncoming(): Promise<IncomingFile> {
    const node = createNode();
    const file: IncomingFile = {
      write: (piece) => this.#write(node, piece, node.bytes.length),
      sync: () => this.#sync(node),
      [Symbol.asyncDispose]: async () => {
        this.#incoming.delete(file);
      },
    };
    await this.#change(() => this.#incoming.set(file, node));
    return file;
  }

  async accept(incoming: IncomingFile, name: BlobFileName): Promise<void> {
    const node = this.#incoming.get(incoming);
    if (node === undefined) throw new Crashed();
    await this.#change(() => {
      this.#incoming.delete(incoming);
      this.#names.set(textOf(name), node);
    });
    await this.#change(() => this.#syncName(name));
  }

  async openPartial(name: BlobFileName, sizeBytes: number): Promise<PartialFile> {
    const found = this.#names.get(textOf(name));
    const node = found ?? createNode();
    const foundBytes = node.bytes.length;
    await this.#change(() => {
      this.#names.set(textOf(name), node);
      if (foundBytes > sizeBytes) node.bytes = node.bytes.slice(0, sizeBytes);
      record(node, { part: new Uint8Array(), position: sizeBytes });
    });
    this.openFiles += 1;
    return {
      foundBytes,
      write: (bytes, position) => this.#write(node, bytes, position),
      sync: async () => {
        await this.#sync(node);
        await this.#change(() => this.#syncName(name));
      },
      close: async () => {
        this.openFiles -= 1;
      },
    };
  }

  async read(name: BlobFileName, position: number, length: number): Promise<Uint8Array | undefined> {
    if (this.#gate?.isDead === true) throw new Crashed();
    await Promise.resolve();
    return this.#names.get(textOf(name))?.bytes.slice(position, position + length);
  }

  remove(name: BlobFileName): () => Promise<void> {
    const fate = this.#gate?.pass() ?? 'go';
    if (fate !== 'die-before') this.#names.delete(textOf(name));
    if (fate !== 'go') throw new Crashed();
    return async () => {};
  }

  async *list(): AsyncIterable<StoredFile> {
    for (const [text, { bytes }] of [...this.#names]) {
      await Promise.resolve();
      const isSealed = text.endsWith(SEALED);
      yield { blob: text.replace(SEALED, '') as BlobId, isSealed, sizeBytes: bytes.length };
    }
  }

  /** Changes one bit of a file. */
  flip(name: BlobFileName, position: number): void {
    const { bytes } = this.#find(name);
    bytes[position] = (bytes[position] ?? 0) ^ 1;
  }

  truncate(name: BlobFileName, length: number): void {
    const node = this.#find(name);
    node.bytes = node.bytes.slice(0, length);
  }

  /** Takes a file away, as somebody at the shell does. */
  erase(name: BlobFileName): void {
    this.#names.delete(textOf(name));
  }

  /** Puts a file there, as a crash may leave it. */
  plant(name: BlobFileName, bytes: Uint8Array): void {
    this.#names.set(textOf(name), settle(bytes));
  }

  afterKill(gate?: CrashGate): MemoryBlobDisk {
    const names = [...this.#names].map(([text, { bytes }]) => [text, settle(bytes.slice())] as const);
    return new MemoryBlobDisk(gate, new Map(names));
  }

  afterPowerCut(choose: Choose, gate?: CrashGate): MemoryBlobDisk {
    const names: Names = new Map();
    for (const text of new Set([...this.#names.keys(), ...this.#syncedNames.keys()])) {
      const node = (choose(2) === 0 ? this.#names : this.#syncedNames).get(text);
      if (node === undefined) continue;
      const survived = node.operations.filter(
        ({ part }, index) => index < node.syncedCount || part.length === 0 || choose(2) === 1,
      );
      names.set(text, settle(survived.reduce(apply, new Uint8Array())));
    }
    return new MemoryBlobDisk(gate, names);
  }

  #syncName(name: BlobFileName): void {
    const node = this.#names.get(textOf(name));
    if (node === undefined) this.#syncedNames.delete(textOf(name));
    else this.#syncedNames.set(textOf(name), node);
  }

  async #write(node: FileNode, bytes: Uint8Array, position: number): Promise<void> {
    if (this.isFull) throw Object.assign(new TypeError('ENOSPC: no space left on device, write'), FULL);
    const whole = bytes.slice();
    await this.#change(
      () => record(node, { part: whole, position }),
      () => record(node, { part: whole.subarray(0, whole.length >> 1), position }),
    );
  }

  async #sync(node: FileNode): Promise<void> {
    if (this.isSyncFailing) {
      throw Object.assign(new TypeError('EIO: i/o error, fsync'), { code: 'EIO', syscall: 'fsync' });
    }
    await this.#change(() => {
      this.syncs += 1;
      node.syncedCount = node.operations.length;
    });
  }

  async #change(apply: () => void, applyPartly?: () => void): Promise<void> {
    await Promise.resolve();
    const wasDead = this.#gate?.isDead === true;
    const fate = this.#gate?.pass() ?? 'go';
    if (fate === 'die-before') {
      if (!wasDead) applyPartly?.();
      throw new Crashed();
    }
    apply();
    if (fate === 'die-after') throw new Crashed();
  }

  #find(name: BlobFileName): FileNode {
    const node = this.#names.get(textOf(name));
    if (node === undefined) throw new TypeError(`there is no ${textOf(name)}`);
    return node;
  }
}
