import type { ChainSigner } from '../../src/chain/interface.ts';
import type { Codec, Database, Repository, WriteOperation, WriteOptions } from '../../src/storage/interface.ts';
import type { NamespaceName } from '../../src/storage/namespaces.ts';
import type { MemoryDatabase } from './memory-database.ts';
import type { Misbehaviour } from './scripted-endpoint.ts';

export class Crashed extends Error {
  override readonly name = 'Crashed';
}

export interface CrashPoint {
  /** How many effects happen before. */
  readonly after: number;
  /** Whether the effect at which it dies still happens, and only its acknowledgement is lost. */
  readonly isApplied: boolean;
}

/**
 * A process that dies at one of its effects: a write, a request, a signature. From then on nothing that it does reaches
 * the outside, so that the object can be left as a dead process would be.
 */
export class CrashGate {
  readonly #point: CrashPoint | undefined;
  effects = 0;
  isDead = false;

  constructor(point?: CrashPoint) {
    this.#point = point;
  }

  pass(): 'go' | 'die-before' | 'die-after' {
    if (this.isDead) return 'die-before';
    this.effects += 1;
    if (this.#point === undefined || this.effects <= this.#point.after) return 'go';
    this.isDead = true;
    return this.#point.isApplied ? 'die-after' : 'die-before';
  }

  /** What an endpoint does with a request of this process. */
  script(): Misbehaviour | undefined {
    const fate = this.pass();
    return fate === 'go' ? undefined : { kind: fate === 'die-after' ? 'lose-answer' : 'reset' };
  }

  guardSigner(signer: ChainSigner): ChainSigner {
    return {
      address: signer.address,
      description: signer.description,
      sign: async (message, options) => {
        if (this.pass() !== 'go') throw new Crashed();
        return signer.sign(message, options);
      },
    };
  }
}

/** The database of such a process; what was written before it died is in `inner` for the next one. */
export class CrashingDatabase implements Database {
  readonly #inner: MemoryDatabase;
  readonly #gate: CrashGate;

  constructor(inner: MemoryDatabase, gate: CrashGate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  repository<Value>(namespace: NamespaceName, codec: Codec<Value>): Repository<Value> {
    const inner = this.#inner.repository(namespace, codec);
    return {
      get: (key) => inner.get(key),
      has: (key) => inner.has(key),
      entries: (range, options) => inner.entries(range, options),
      putOperation: (key, value) => inner.putOperation(key, value),
      deleteOperation: (key) => inner.deleteOperation(key),
      put: (key, value, options) => this.write([inner.putOperation(key, value)], options),
      delete: (key, options) => this.write([inner.deleteOperation(key)], options),
    };
  }

  async write(operations: readonly WriteOperation[], options: WriteOptions = {}): Promise<void> {
    const fate = this.#gate.pass();
    if (fate !== 'die-before') await this.#inner.write(operations, options);
    if (fate !== 'go') throw new Crashed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The rows belong to the next process.
  }
}
