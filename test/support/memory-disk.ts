import type { PackDisk, PackOutput } from '../../src/blob/snapshots/pack-disk.ts';
import { Crashed, type CrashGate } from './crash-gate.ts';

interface FileNode {
  bytes: Uint8Array;
  /** How much of it would survive a power cut. */
  syncedBytes: number;
}

/** A whole number from 0 to below `bound`. */
export type Choose = (bound: number) => number;

/**
 * A folder of packs in memory. With a gate, the process dies at one of its operations. What a later process finds is
 * `afterKill()`, or after a power cut `afterPowerCut()`: of what was not synced anything may be there or not.
 */
export class MemoryDisk implements PackDisk {
  readonly #names: Map<string, FileNode>;
  #syncedNames: Map<string, FileNode>;
  readonly #gate: CrashGate | undefined;
  /** Fails further writes as a full disk does. */
  isFull = false;

  constructor(gate?: CrashGate, names: ReadonlyMap<string, FileNode> = new Map()) {
    this.#gate = gate;
    this.#names = new Map(names);
    this.#syncedNames = new Map(names);
  }

  get names(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  get totalBytes(): number {
    return [...this.#names.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  async start(): Promise<void> {}

  async list(): Promise<readonly string[]> {
    return [...this.#names.keys()];
  }

  async measure(name: string): Promise<number> {
    return this.#find(name).bytes.length;
  }

  async read(name: string, position: number, length: number): Promise<Uint8Array | undefined> {
    if (this.#gate?.isDead === true) throw new Crashed();
    await Promise.resolve();
    return this.#names.get(name)?.bytes.slice(position, position + length);
  }

  async create(name: string): Promise<PackOutput> {
    const node: FileNode = { bytes: new Uint8Array(), syncedBytes: 0 };
    await this.#change(() => this.#names.set(name, node));
    return {
      write: (bytes, position) => this.#write(node, bytes.slice(), position),
      sync: () =>
        this.#change(() => {
          node.syncedBytes = node.bytes.length;
        }),
      close: async () => {},
    };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#change(() => {
      const node = this.#find(from);
      this.#names.delete(from);
      this.#names.set(to, node);
    });
  }

  async remove(name: string): Promise<void> {
    await this.#change(() => this.#names.delete(name));
  }

  async sync(): Promise<void> {
    await this.#change(() => {
      this.#syncedNames = new Map(this.#names);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Changes one bit of a file. */
  flip(name: string, position: number): void {
    const { bytes } = this.#find(name);
    bytes[position] = (bytes[position] ?? 0) ^ 1;
  }

  truncate(name: string, length: number): void {
    const node = this.#find(name);
    node.bytes = node.bytes.slice(0, length);
  }

  afterKill(gate?: CrashGate): MemoryDisk {
    return new MemoryDisk(gate, this.#names);
  }

  afterPowerCut(choose: Choose, gate?: CrashGate): MemoryDisk {
    const names = new Map<string, FileNode>();
    const nodes = new Map<FileNode, FileNode>();
    for (const name of new Set([...this.#names.keys(), ...this.#syncedNames.keys()])) {
      const node = (choose(2) === 0 ? this.#names : this.#syncedNames).get(name);
      if (node === undefined) continue;
      const kept = nodes.get(node) ?? cut(node, choose);
      nodes.set(node, kept);
      names.set(name, kept);
    }
    return new MemoryDisk(gate, names);
  }

  async #write(node: FileNode, bytes: Uint8Array, position: number): Promise<void> {
    if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), FULL);
    const apply = (part: Uint8Array): void => {
      const grown = new Uint8Array(Math.max(node.bytes.length, position + part.length));
      grown.set(node.bytes);
      grown.set(part, position);
      node.bytes = grown;
      node.syncedBytes = Math.min(node.syncedBytes, position);
    };
    await this.#change(
      () => apply(bytes),
      () => apply(bytes.subarray(0, bytes.length >> 1)),
    );
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

  #find(name: string): FileNode {
    const node = this.#names.get(name);
    if (node === undefined) throw Object.assign(new Error(`ENOENT: ${name}`), { code: 'ENOENT', syscall: 'open' });
    return node;
  }
}

const FULL = { code: 'ENOSPC', syscall: 'write' };

function cut(node: FileNode, choose: Choose): FileNode {
  const unsynced = node.bytes.length - node.syncedBytes;
  const length = node.syncedBytes + (unsynced > 0 ? choose(unsynced + 1) : 0);
  return { bytes: node.bytes.slice(0, length), syncedBytes: length };
}
