import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXIT_CODES } from '../../../src/cli/exit-codes.ts';
import { runCli } from '../../../src/cli/framework/run-cli.ts';
import { decodeInvite } from '../../../src/config/invite.ts';
import { formatNetwork, LOCAL_NETWORK } from '../../../src/config/network-store.ts';
import { SETTINGS } from '../../../src/config/settings.ts';

let folder: string;
let home: string;
let passphraseFile: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-cli-'));
  home = join(folder, 'home');
  passphraseFile = join(folder, 'passphrase');
  await writeFile(passphraseFile, 'correct horse battery staple\n');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function cli(line: string, environment: Record<string, string> = {}) {
  let [out, err] = ['', ''];
  const exitCode = await runCli(
    line.split(' '),
    {
      stdout: { write: (text) => void (out += text) },
      stderr: { write: (text) => void (err += text) },
      environment: { FOGPROOF_HOME: home, ...environment },
      workingDirectory: folder,
      signal: new AbortController().signal,
      readSecret: () => Promise.reject(new TypeError('there is no terminal here')),
    },
    { version: '0.0.0' },
  );
  return { exitCode, out, err, json: () => JSON.parse(out) as Record<string, unknown> };
}

describe('init', () => {
  it('makes an encrypted identity, its backup, a configuration, and joins a network', async () => {
    await cli(`network create lab --home ${folder}/other`);
    const backup = join(folder, 'node.age');
    const environment = { FOGPROOF_PASSPHRASE_FILE: passphraseFile };
    const { exitCode, json, err } = await cli(`init --backup node.age --network lab.network.json --json`, environment);
    expect(err).toBe('');
    expect(exitCode).toBe(EXIT_CODES.ok);
    expect(json()).toMatchObject({
      peer: expect.stringMatching(/^12D3KooW/),
      vrfPublicKey: expect.stringMatching(/^[0-9a-f]{64}$/),
      keystore: 'encrypted',
      backup,
      network: 'lab',
    });
    expect((await readdir(home)).sort()).toEqual(['config.yaml', 'identity.age', 'networks']);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    expect((await stat(backup)).mode & 0o777).toBe(0o600);
  });

  it('tells the network that was joined before', async () => {
    await cli('network create lab');
    expect((await cli('init --plain --no-backup --json')).json()).toMatchObject({ network: 'lab' });
  });

  it('refuses a second identity and changes nothing', async () => {
    await cli('init --plain --no-backup');
    const before = await readFile(join(home, 'identity.json'), 'utf8');
    const { exitCode, err } = await cli('init --plain --no-backup');
    expect(exitCode).toBe(EXIT_CODES.error);
    expect(err).toContain('IDENTITY_EXISTS');
    expect(await readFile(join(home, 'identity.json'), 'utf8')).toBe(before);
  });

  it('warns without a backup, and about an unencrypted identity', async () => {
    const { exitCode, err } = await cli('init --plain --no-backup');
    expect(exitCode).toBe(EXIT_CODES.ok);
    expect(err).toContain('WARNING: there is no backup');
    expect(err).toContain('not encrypted');
  });

  it.each([
    ['init --plain', 'where the backup'],
    ['init --no-backup', 'no terminal to ask on'],
    ['init --plain --backup b --no-backup', 'contradict'],
    ['init --plain --backup home/b.age', 'inside the data folder'],
    ['init --plain --backup taken', 'exists already'],
    ['init --plain --no-backup --network none.json', 'there is no file'],
    ['init --plain --backup b.age', 'no terminal to ask on'],
  ])('makes nothing when it is refused: %s', async (line, reason) => {
    await writeFile(join(folder, 'taken'), 'precious');
    const { exitCode, err } = await cli(line);
    expect(exitCode).not.toBe(EXIT_CODES.ok);
    expect(err).toContain(reason);
    expect(await readdir(folder)).toEqual(['passphrase', 'taken']);
    expect(await readFile(join(folder, 'taken'), 'utf8')).toBe('precious');
  });
});

describe('restore', () => {
  it('brings the same peer back into another folder, with its own passphrase for each file', async () => {
    const other = join(folder, 'other-passphrase');
    await writeFile(other, 'another one for the backup');
    const made = await cli('init --backup node.age --json', {
      FOGPROOF_PASSPHRASE_FILE: passphraseFile,
      FOGPROOF_BACKUP_PASSPHRASE_FILE: other,
    });
    const wrong = await cli(`restore node.age --home ${folder}/elsewhere`, {
      FOGPROOF_PASSPHRASE_FILE: passphraseFile,
    });
    expect(wrong.exitCode).toBe(EXIT_CODES.error);
    expect(wrong.err).toContain('IDENTITY_WRONG_PASSPHRASE');
    const right = await cli(`restore node.age --plain --json --home ${folder}/elsewhere`, {
      FOGPROOF_PASSPHRASE_FILE: other,
    });
    expect(right.exitCode).toBe(EXIT_CODES.ok);
    expect(right.json()['peer']).toBe(made.json()['peer']);
    const again = await cli(`restore node.age --home ${folder}/elsewhere`, { FOGPROOF_PASSPHRASE_FILE: other });
    expect(again.err).toContain('IDENTITY_EXISTS');
  });

  it('refuses what is no backup', async () => {
    await writeFile(join(folder, 'junk'), 'junk');
    const environment = { FOGPROOF_PASSPHRASE_FILE: passphraseFile };
    expect((await cli('restore junk', environment)).err).toContain('IDENTITY_MALFORMED');
    expect((await cli('restore none', environment)).err).toContain('IDENTITY_UNREADABLE');
    expect((await cli('restore junk')).err).toContain('no terminal to ask on');
    await expect(readdir(home)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('network', () => {
  it('create writes a file and an invite that say the same, and both can be joined', async () => {
    const line = 'network create lab --private --lease 4s --bootstrap /ip4/192.0.2.1/tcp/1 --no-join --json';
    const { exitCode, json } = await cli(line);
    expect(exitCode).toBe(EXIT_CODES.ok);
    const { invite, file, joined } = json() as { invite: string; file: string; joined: null };
    expect(joined).toBeNull();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const network = decodeInvite(invite);
    expect(network).toEqual(JSON.parse(await readFile(file, 'utf8')));
    expect(network).toMatchObject({
      id: 'lab',
      preset: 'development',
      bootstrap: ['/ip4/192.0.2.1/tcp/1'],
      preSharedKey: expect.stringMatching(/^[0-9a-f]{64}$/),
      parameters: { leaseDurationMs: 4000, leaseRenewalMs: 1000, epochRounds: 120 },
    });
    for (const given of [invite, 'lab.network.json', file]) {
      const target = join(folder, `home-${given.length}`);
      expect((await cli(`network join ${given} --home ${target}`)).exitCode).toBe(EXIT_CODES.ok);
      expect((await cli(`config print network --json --home ${target}`)).json()).toMatchObject({
        settings: [{ key: 'network', value: 'lab', origin: { kind: 'file' } }],
      });
    }
  });

  it('create joins at once, and list shows which network is in use', async () => {
    await cli('network create one --preset local');
    await cli('network create two');
    const list = async () =>
      ((await cli('network list --json')).json()['networks'] as { id: string; isCurrent: boolean }[]).map(
        ({ id, isCurrent }) => `${id}${isCurrent ? '*' : ''}`,
      );
    expect(await list()).toEqual(['local', 'one', 'two*']);
    await cli('network join one');
    expect(await list()).toEqual(['local', 'one*', 'two']);
    await cli('network join local');
    expect(await list()).toContain('local*');
    await rm(join(home, 'networks', 'two.json'));
    await writeFile(join(home, 'config.yaml'), 'network: two\n');
    const { err, exitCode } = await cli('network list');
    expect(exitCode).toBe(EXIT_CODES.ok);
    expect(err).toContain("no network 'two'");
  });

  it('create --simulated-tee keeps a key file for its nodes, and says that no hardware is behind it', async () => {
    const made = await cli('network create lab --simulated-tee --json');
    const { simulatedTee, invite } = made.json() as { simulatedTee: Record<string, string>; invite: string };
    const keyFile = join(home, 'simulated-tees', 'lab.json');
    expect(simulatedTee).toMatchObject({ warning: 'SIMULATED, no hardware', keyFile });
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect(decodeInvite(invite).simulatedTee).toBe(simulatedTee['root']);
    const key = await readFile(keyFile, 'utf8');
    const again = await cli('network create lab --simulated-tee --replace');
    expect(again.out).toMatch(/TEE +SIMULATED, no hardware/u);
    expect(again.err).toContain('SIMULATED, no hardware');
    expect(await readFile(keyFile, 'utf8')).toBe(key);
    expect((await cli('network create other --json')).json()['simulatedTee']).toBeNull();
  });

  it.each([
    ['network create lab --simulated-tee --preset production', 'not for --preset production'],
    ['network create Lab', 'id:'],
    ['network create lab --lease 4', 'not a duration'],
    ['network create lab --lease 1ms', '--lease'],
    ['network create lab --lease 4s --renewal 5s', 'shorter'],
    ['network create lab --preset other', '--preset'],
    ['network join fogproof1abc', 'CONFIG_BAD_INVITE'],
    ['network join nowhere', 'CONFIG_NETWORK_UNKNOWN'],
    ['network join passphrase', 'CONFIG_NETWORK_MALFORMED'],
    ['network join gone.network.json', 'there is no file'],
  ])('refuses wrong input with exit code 2 and makes nothing: %s', async (line, reason) => {
    const { exitCode, err } = await cli(line);
    expect(err).toContain(reason);
    expect(exitCode).toBe(EXIT_CODES.usage);
    expect(await readdir(folder)).toEqual(['passphrase']);
  });

  it('never writes over a file or another network of the same name', async () => {
    await cli('network create lab');
    expect((await cli('network create lab')).err).toContain('exists already');
    const { err, exitCode } = await cli('network create lab --private --output second.json');
    expect(err).toContain('CONFIG_NETWORK_EXISTS');
    expect(exitCode).not.toBe(EXIT_CODES.ok);
    expect(await readdir(folder)).not.toContain('second.json');
  });
});

describe('config print', () => {
  it('shows every setting with its origin', async () => {
    await mkdir(home);
    await writeFile(join(home, 'config.yaml'), 'provide: { slots: 7 }\n');
    const { json, exitCode } = await cli('config print --json', { FOGPROOF_LOG_LEVEL: 'debug' });
    expect(exitCode).toBe(EXIT_CODES.ok);
    const settings = json()['settings'] as { key: string; value: unknown; origin: { kind: string } }[];
    expect(settings.map(({ key }) => key)).toEqual(SETTINGS.map(({ path }) => path));
    const byKey = new Map(settings.map((each) => [each.key, each]));
    expect(byKey.get('provide.slots')).toMatchObject({ value: 7, origin: { kind: 'file' } });
    expect(byKey.get('log.level')).toMatchObject({ value: 'debug', origin: { source: 'FOGPROOF_LOG_LEVEL' } });
    const { out } = await cli('config print provide.slots');
    expect(out).toMatch(/provide\.slots\s+7\s+file .*config\.yaml/);
  });

  it('shows no key of an RPC provider, in a table or as JSON, and remarks on what has no effect', async () => {
    const environment = { FOGPROOF_CHAIN_RPC_URLS: 'https://me:hunter2@rpc.example/v2/secretkey?api-key=another' };
    const { out, err } = await cli('config print chain', environment);
    expect(out).toMatch(/chain\.rpcUrls +https:\/\/rpc\.example\/… +environment FOGPROOF_CHAIN_RPC_URLS/);
    expect(err).toContain('has no chain');
    const json = await cli('config print --json', environment);
    for (const text of [out, err, json.out, json.err]) expect(text).not.toMatch(/hunter2|secretkey|another/);
  });

  it('shows durations and sizes with their unit too, and takes what it shows', async () => {
    const environment = { FOGPROOF_CHAIN_ANCHOR_MAX_WAIT_MS: '300000', FOGPROOF_PROVIDE_MAX_MEMORY_BYTES: '1048576' };
    const { out } = await cli('config print', environment);
    expect(out).toMatch(/chain\.anchor\.maxWaitMs +300000 \(5 m\) +environment/);
    expect(out).toMatch(/provide\.maxMemoryBytes +1048576 \(1 MiB\) +environment/);
    expect(out).toMatch(/results\.keepForMs +2592000000 \(30 d\) +default/);
    const { json } = await cli('config print chain.anchor.maxWaitMs --json', environment);
    expect(json()['settings']).toMatchObject([{ value: 300_000, readable: '5 m' }]);
  });

  it("says that the network's endpoints are in use, without their keys", async () => {
    await mkdir(join(home, 'networks'), { recursive: true });
    const address = '7YttLkHDoNj9wyDur5pM1ejNaAvT9X4eqaYcHQqtj2G5';
    const rpcUrls = ['https://rpc.example/v2/secretkey', 'http://127.0.0.1:8899'];
    const chain = { kind: 'solana', genesis: address, rpcUrls, programs: { proofAnchor: address } };
    await writeFile(join(home, 'networks', 'lab.json'), formatNetwork({ ...LOCAL_NETWORK, id: 'lab', chain } as never));
    const { out, err } = await cli('config print chain.rpcUrls', { FOGPROOF_NETWORK: 'lab' });
    expect(out).toMatch(
      /chain\.rpcUrls +those of the network lab: https:\/\/rpc\.example\/…, http:\/\/127\.0\.0\.1:8899/,
    );
    const json = await cli('config print --json', { FOGPROOF_NETWORK: 'lab' });
    for (const text of [out, err, json.out]) expect(text).not.toContain('secretkey');
    expect((await cli('config print chain.rpcUrls')).out).toContain('(empty)');
  });

  it('fails on a mistyped key with what was meant, and on a setting that is none', async () => {
    await mkdir(home);
    await writeFile(join(home, 'config.yaml'), 'provide: { slot: 7 }\n');
    const { err, exitCode } = await cli('config print');
    expect(exitCode).toBe(EXIT_CODES.usage);
    expect(err).toContain("Did you mean 'provide.slots'?");
    await rm(join(home, 'config.yaml'));
    const unknown = await cli('config print provide.slot');
    expect(unknown.exitCode).toBe(EXIT_CODES.usage);
    expect(unknown.err).toContain("there is no setting 'provide.slot'");
    expect(unknown.err).toContain("Did you mean 'provide.slots'?");
  });
});
