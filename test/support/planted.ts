import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { KeystoreFile } from '../../src/identity/keystore-file.ts';
import type { LocalIdentity } from '../../src/identity/local-identity.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { WriteOperation } from '../../src/storage/interface.ts';
import { LevelDatabase } from '../../src/storage/level-database.ts';
import type { NamespaceName } from '../../src/storage/namespaces.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';

/** Copies of the data folders of a run, to plant in them what must be found. */
export class PlantedRun implements AsyncDisposable {
  readonly #folder: string;
  readonly #names: readonly string[];

  private constructor(folder: string, names: readonly string[]) {
    this.#folder = folder;
    this.#names = names;
  }

  static async copy(source: string, names: readonly string[]): Promise<PlantedRun> {
    const folder = await mkdtemp(join(tmpdir(), 'fp-planted-'));
    for (const name of names) await cp(join(source, name), join(folder, name), { recursive: true });
    return new PlantedRun(folder, names);
  }

  get homes(): readonly string[] {
    return this.#names.map((name) => this.homeOf(name));
  }

  homeOf(name: string): string {
    return join(this.#folder, name);
  }

  async identityOf(name: string): Promise<LocalIdentity> {
    const modules = { clock: new SystemClock(), random: new SystemRandom() };
    const keystore = new KeystoreFile(modules, { home: this.homeOf(name) });
    return (await keystore.unlock({ environment: {}, file: null, prompt: null })).identity;
  }

  async edit(name: string, change: (database: LevelDatabase) => Promise<readonly WriteOperation[]>): Promise<void> {
    await using database = await LevelDatabase.open(join(this.homeOf(name), 'db'), { logger: new NoopLogger() });
    await database.write(await change(database), { durable: true });
  }

  /** Reads one entry, which must be there. */
  async read(name: string, namespace: NamespaceName, key: string): Promise<Uint8Array> {
    await using database = await LevelDatabase.open(join(this.homeOf(name), 'db'), { logger: new NoopLogger() });
    const bytes = await database.getBytes(namespace, key);
    if (bytes === undefined) throw new TypeError(`${name} has no ${namespace}/${key}`);
    return bytes;
  }

  async keys(name: string, namespace: NamespaceName): Promise<readonly string[]> {
    await using database = await LevelDatabase.open(join(this.homeOf(name), 'db'), { logger: new NoopLogger() });
    const found: string[] = [];
    for await (const [key] of database.byteEntries(namespace, {})) found.push(key);
    return found;
  }

  async put(name: string, namespace: NamespaceName, key: string, value: Uint8Array): Promise<void> {
    await this.edit(name, async () => [{ kind: 'put', namespace, key, value }]);
  }

  async delete(name: string, namespace: NamespaceName, key: string): Promise<void> {
    await this.edit(name, async () => [{ kind: 'delete', namespace, key }]);
  }

  /** Changes one bit of a stored entry, past all checksums. */
  async flip(name: string, key: string): Promise<void> {
    const store = new Level<string, Uint8Array>(join(this.homeOf(name), 'db'), { valueEncoding: 'view' });
    const value = (await store.get(key))?.slice();
    if (value === undefined) throw new TypeError(`${name} has no ${key}`);
    value[value.length >> 1] = (value[value.length >> 1] ?? 0) ^ 1;
    await store.put(key, value);
    await store.close();
    // Its files are others now than those that the node closed.
    await rm(join(this.homeOf(name), 'db.closed'), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
