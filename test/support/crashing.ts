import type {
  CallOptions,
  Commitment,
  TransactionIntent,
  TransactionRecord,
  TransactionSender,
} from '../../src/chain/interface.ts';
import type { Codec, Database, Repository, WriteOperation, WriteOptions } from '../../src/storage/interface.ts';
import type { NamespaceName } from '../../src/storage/namespaces.ts';

/** Thrown at the point where the process dies, and by whatever the dead process tries afterwards. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** Lets a process die at its n-th effect. */
export class CrashSwitch {
  #left: number;
  isDead = false;

  /** @param points effects that happen before it dies */
  constructor(points: number) {
    this.#left = points;
  }

  /** To be called before and after each effect. */
  pass(): void {
    if (this.#left <= 0) this.isDead = true;
    this.#left -= 1;
    if (this.isDead) throw new Crash('the process died');
  }
}

/** A database whose process dies before a write, or after it and before the answer. */
export class CrashingDatabase implements Database {
  readonly #database: Database;
  readonly #crash: CrashSwitch;

  constructor(database: Database, crash: CrashSwitch) {
    this.#database = database;
    this.#crash = crash;
  }

  repository<Value>(namespace: NamespaceName, codec: Codec<Value>): Repository<Value> {
    const inner = this.#database.repository(namespace, codec);
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

  async write(operations: readonly WriteOperation[], options?: WriteOptions): Promise<void> {
    this.#crash.pass();
    await this.#database.write(operations, options);
    this.#crash.pass();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A sender whose process dies around its calls; what it journalled before goes on without it. */
export class CrashingSender implements TransactionSender {
  readonly #sender: TransactionSender;
  readonly #crash: CrashSwitch;
  readonly signer;

  constructor(sender: TransactionSender, crash: CrashSwitch) {
    this.#sender = sender;
    this.#crash = crash;
    this.signer = sender.signer;
  }

  submit(intent: TransactionIntent, options: CallOptions): Promise<TransactionRecord> {
    return this.#around(() => this.#sender.submit(intent, options));
  }

  wait(key: string, options: CallOptions & { readonly until: Commitment }): Promise<TransactionRecord> {
    return this.#around(() => this.#sender.wait(key, options));
  }

  get(key: string): Promise<TransactionRecord | undefined> {
    return this.#sender.get(key);
  }

  forget(key: string): Promise<void> {
    return this.#around(() => this.#sender.forget(key));
  }

  async #around<Result>(call: () => Promise<Result>): Promise<Result> {
    this.#crash.pass();
    const result = await call();
    this.#crash.pass();
    return result;
  }
}
