import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Decrypter } from 'age-encryption';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assertBackupPath, createBackup, openBackup } from '../../../src/identity/backup.ts';
import { KeystoreFile } from '../../../src/identity/keystore-file.ts';
import { findPassphrase, type PassphraseSources } from '../../../src/identity/passphrase.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';

const MODULES = { clock: new SystemClock(), random: new SystemRandom() };
const PASSPHRASE = 'correct horse battery staple';

let folder: string;
let home: string;
let keystore: KeystoreFile;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-identity-'));
  home = join(folder, 'home');
  keystore = new KeystoreFile(MODULES, { home });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function withPassphrase(text: string): PassphraseSources {
  return { environment: { FOGPROOF_PASSPHRASE: text }, file: null, prompt: null };
}
const NOBODY: PassphraseSources = { environment: {}, file: null, prompt: null };

describe('KeystoreFile', () => {
  it('keeps an identity encrypted, readable by its owner only, and opens it again', async () => {
    const made = await keystore.create({ kind: 'passphrase', passphrase: PASSPHRASE });
    expect(await readdir(home)).toEqual(['identity.age']);
    expect((await stat(join(home, 'identity.age'))).mode & 0o777).toBe(0o600);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    const onDisk = await readFile(join(home, 'identity.age'));
    expect(onDisk.includes(Buffer.from(made.key.seed).toString('hex'))).toBe(false);
    const opened = await keystore.unlock(withPassphrase(PASSPHRASE));
    expect(opened.identity.peer).toBe(made.identity.peer);
    expect(opened.remarks).toEqual([expect.stringContaining('FOGPROOF_PASSPHRASE_FILE')]);
  });

  it('is opened by any age tool', async () => {
    const made = await keystore.create({ kind: 'passphrase', passphrase: PASSPHRASE });
    const decrypter = new Decrypter();
    decrypter.addPassphrase(PASSPHRASE);
    const text = await decrypter.decrypt(new Uint8Array(await readFile(join(home, 'identity.age'))), 'text');
    expect(JSON.parse(text)).toMatchObject({ type: 'fogproof/key-file@1', peer: made.identity.peer });
  });

  it('refuses a wrong passphrase, none, and a short new one', async () => {
    await expect(keystore.create({ kind: 'passphrase', passphrase: 'short' })).rejects.toMatchObject({
      code: 'IDENTITY_WEAK_PASSPHRASE',
    });
    await keystore.create({ kind: 'passphrase', passphrase: PASSPHRASE });
    await expect(keystore.unlock(withPassphrase('another passphrase'))).rejects.toMatchObject({
      code: 'IDENTITY_WRONG_PASSPHRASE',
      info: { source: 'FOGPROOF_PASSPHRASE' },
    });
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({ code: 'IDENTITY_NO_PASSPHRASE' });
  });

  it('never overwrites an identity, of either kind', async () => {
    const made = await keystore.create({ kind: 'plain' });
    await expect(keystore.create({ kind: 'plain' })).rejects.toMatchObject({ code: 'IDENTITY_EXISTS' });
    await expect(keystore.create({ kind: 'passphrase', passphrase: PASSPHRASE })).rejects.toMatchObject({
      code: 'IDENTITY_EXISTS',
    });
    expect((await keystore.unlock(NOBODY)).identity.peer).toBe(made.identity.peer);
  });

  it('makes one identity when two are made at once', async () => {
    const both = await Promise.allSettled([keystore.create({ kind: 'plain' }), keystore.create({ kind: 'plain' })]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await readdir(home)).toEqual(['identity.json']);
  });

  it('keeps a plain one with mode 0600 and refuses it when others may read it', async () => {
    const made = await keystore.create({ kind: 'plain' });
    const path = join(home, 'identity.json');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await keystore.unlock(NOBODY)).remarks).toEqual([expect.stringContaining('not encrypted')]);
    await chmod(path, 0o640);
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({ code: 'IDENTITY_EXPOSED', info: { mode: '0640' } });
    expect(made.identity.peer).toMatch(/^12D3Koo/);
  });

  it('says what is missing, doubled, damaged or altered, and never quotes the secret', async () => {
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({ code: 'IDENTITY_MISSING' });
    const { key } = await keystore.create({ kind: 'plain' });
    const seed = Buffer.from(key.seed).toString('hex');
    const path = join(home, 'identity.json');
    const content = JSON.parse(await readFile(path, 'utf8'));

    await writeFile(path, JSON.stringify(content).slice(0, -1));
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({
      code: 'IDENTITY_MALFORMED',
      message: expect.not.stringContaining(seed.slice(0, 8)),
    });

    await writeFile(path, JSON.stringify({ ...content, extra: 1 }));
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({ code: 'IDENTITY_MALFORMED' });

    await writeFile(path, JSON.stringify({ ...content, seed: '00'.repeat(32) }));
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });

    await writeFile(path, Buffer.alloc(100_000));
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({ code: 'IDENTITY_MALFORMED' });

    await writeFile(path, '');
    await writeFile(join(home, 'identity.age'), '');
    await expect(keystore.unlock(NOBODY)).rejects.toMatchObject({ code: 'IDENTITY_AMBIGUOUS' });
    await rm(path);
    await expect(keystore.unlock(withPassphrase(PASSPHRASE))).rejects.toMatchObject({ code: 'IDENTITY_MALFORMED' });
  });
});

describe('sources of a passphrase', () => {
  it('are taken in order, and a source that is set is never passed over', async () => {
    const file = join(folder, 'one');
    const configured = join(folder, 'two');
    const credentials = join(folder, 'credentials');
    await writeFile(file, 'from the variable\n');
    await writeFile(configured, 'from the configuration');
    const prompt = async (): Promise<string> => 'from the terminal';
    const all = {
      FOGPROOF_PASSPHRASE_FILE: file,
      CREDENTIALS_DIRECTORY: credentials,
      FOGPROOF_PASSPHRASE: 'from the environment',
    };
    const text = async (sources: PassphraseSources) => (await findPassphrase(sources))?.text;
    expect(await text({ environment: all, file: configured, prompt })).toBe('from the variable');
    const { FOGPROOF_PASSPHRASE_FILE: _, ...rest } = all;
    expect(await text({ environment: rest, file: configured, prompt })).toBe('from the configuration');
    const nothing = { ...rest, FOGPROOF_PASSPHRASE_FILE: '' };
    expect(await text({ environment: nothing, file: configured, prompt })).toBe('from the configuration');
    expect(await text({ environment: rest, file: null, prompt })).toBe('from the environment');
    await mkdir(credentials);
    await writeFile(join(credentials, 'fogproof-passphrase'), 'from systemd\r\n');
    expect(await text({ environment: rest, file: null, prompt })).toBe('from systemd');
    expect(await text({ environment: {}, file: null, prompt })).toBe('from the terminal');
    expect(await text({ environment: {}, file: null, prompt: null })).toBeUndefined();
    await rm(file);
    await expect(findPassphrase({ environment: all, file: configured, prompt })).rejects.toMatchObject({
      code: 'IDENTITY_BAD_PASSPHRASE_SOURCE',
    });
  });

  it.each([
    ['empty', ''],
    ['of two lines', 'one\ntwo\n'],
    ['too long', 'x'.repeat(5000)],
  ])('refuses a file that is %s', async (_what, content) => {
    const file = join(folder, 'passphrase');
    await writeFile(file, content);
    await expect(findPassphrase({ environment: {}, file, prompt: null })).rejects.toMatchObject({
      code: 'IDENTITY_BAD_PASSPHRASE_SOURCE',
    });
  });
});

describe('backup', () => {
  it('brings the identity back under its own passphrase', async () => {
    const { key, identity } = await keystore.create({ kind: 'plain' });
    const path = join(folder, 'backup.age');
    await createBackup(key, MODULES, { path, home, passphrase: PASSPHRASE, logN: 10 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const restored = await openBackup(path, { text: PASSPHRASE, source: 'test', remark: null });
    const elsewhere = new KeystoreFile(MODULES, { home: join(folder, 'elsewhere') });
    expect((await elsewhere.store(restored.seed, { kind: 'plain' })).identity.peer).toBe(identity.peer);
    await expect(openBackup(path, { text: 'a wrong passphrase', source: 'test', remark: null })).rejects.toMatchObject({
      code: 'IDENTITY_WRONG_PASSPHRASE',
    });
  });

  it('is not written inside the data folder, also not through a link, nor over a file', async () => {
    const { key } = await keystore.create({ kind: 'plain' });
    const backup = (path: string) => createBackup(key, MODULES, { path, home, passphrase: PASSPHRASE, logN: 10 });
    await symlink(home, join(folder, 'link'));
    for (const path of [join(home, 'b.age'), join(home, 'deeper', 'b.age'), join(folder, 'link', 'b.age'), home]) {
      await expect(backup(path)).rejects.toMatchObject({ code: 'IDENTITY_BACKUP_INSIDE_HOME' });
    }
    await writeFile(join(folder, 'taken'), 'precious');
    await expect(backup(join(folder, 'taken'))).rejects.toMatchObject({ code: 'IDENTITY_BACKUP_EXISTS' });
    expect(await readFile(join(folder, 'taken'), 'utf8')).toBe('precious');
    await expect(backup(join(folder, 'no', 'such', 'folder.age'))).rejects.toMatchObject({
      code: 'IDENTITY_UNWRITABLE',
    });
    await expect(assertBackupPath(join(folder, '..fine.age'), home)).resolves.toBeUndefined();
  });

  it('says when it is not there', async () => {
    await expect(openBackup(join(folder, 'none'), { text: 'x', source: 'test', remark: null })).rejects.toMatchObject({
      code: 'IDENTITY_UNREADABLE',
    });
  });
});
