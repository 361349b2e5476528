import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createConfigFile, setInConfigFile } from '../../../src/config/config-file.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { formatNetwork, LOCAL_NETWORK, NetworkStore } from '../../../src/config/network-store.ts';
import { readPreset } from '../../../src/config/presets.ts';
import { collectChainRemarks, resolveChain } from '../../../src/config/resolve-chain.ts';
import { BlockHash, computeLocalProgramAddress } from '../../../src/domain/chain.ts';
import type { NetworkDefinition } from '../../../src/domain/network-definition.ts';

const HOST = { cpus: 2, memoryBytes: 2 ** 33, diskBytes: 10 * 2 ** 30 };
const PRODUCTION: NetworkDefinition = {
  ...LOCAL_NETWORK,
  id: 'prod',
  preset: 'production',
  bootstrap: ['/dns4/b/tcp/1'],
};

let folder: string;
let home: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-config-'));
  home = join(folder, 'home');
  await mkdir(home);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function load(environment: Record<string, string> = {}, flags: Record<string, unknown> = {}) {
  return loadConfig({
    environment: { FOGPROOF_HOME: home, ...environment },
    workingDirectory: folder,
    flags,
    host: HOST,
  });
}

const writeConfig = (text: string): Promise<void> => writeFile(join(home, 'config.yaml'), text);

describe('loadConfig', () => {
  it('gives defaults and the local preset where nothing is set', async () => {
    const { config, network, origins } = await load();
    expect(config).toMatchObject({
      home,
      socket: join(home, 'node.sock'),
      listen: ['/ip4/127.0.0.1/tcp/4717'],
      network: 'local',
      provide: { slots: 2, maxWallTimeMs: 3_600_000, maxFuel: 1e13, isolationForStrangers: 'process' },
      blobs: { maxBytes: 2 ** 30 },
      log: { file: join(home, 'node.log') },
    });
    expect(network).toEqual(LOCAL_NETWORK);
    expect(origins.get('listen')).toEqual({ kind: 'preset', source: 'local' });
    expect(origins.get('provide.slots')).toEqual({ kind: 'default', source: 'default' });
    expect(origins.get('home')).toEqual({ kind: 'environment', source: 'FOGPROOF_HOME' });
  });

  it('takes each setting from the strongest layer that has it, and says which', async () => {
    await writeConfig(
      'provide: { slots: 3, maxMemoryBytes: 128MiB }\nlog: { level: debug }\nlisten: [/ip4/1.1.1.1/tcp/1]\n',
    );
    const environment = { FOGPROOF_PROVIDE_SLOTS: '4', FOGPROOF_LOG_LEVEL: 'warn' };
    const { config, origins } = await load(environment, { 'provide.slots': '5' });
    expect(config.provide.slots).toBe(5);
    expect(config.log.level).toBe('warn');
    expect(config.provide.maxMemoryBytes).toBe(128 * 2 ** 20);
    expect(config.listen).toEqual(['/ip4/1.1.1.1/tcp/1']);
    const kinds = ['provide.slots', 'log.level', 'provide.maxMemoryBytes', 'provide.maxFuel'];
    expect(kinds.map((key) => origins.get(key)?.kind)).toEqual(['flag', 'environment', 'file', 'default']);
  });

  it('is frozen throughout', async () => {
    const { config } = await load();
    expect(() => Object.assign(config.provide, { slots: 9 })).toThrow(TypeError);
    expect(() => (config.listen as string[]).push('x')).toThrow(TypeError);
  });

  it.each([
    ['provide: { slots: 0 }', 'provide.slots'],
    ['provide: { slots: two }', 'provide.slots'],
    ['provide: { maxMemoryBytes: 128MiBs }', 'provide.maxMemoryBytes'],
    ['provide: { maxWallTimeMs: 31d }', 'provide.maxWallTimeMs'],
    ['provide: { allowRequesters: [me] }', 'provide.allowRequesters'],
    ['provide: { pricesPerHour: { cpu: -1 } }', 'provide.pricesPerHour.cpu'],
    ['provide: { pricesPerHour: { cpu: 5 } }', 'provide.pricesPerHour.cpu'],
    ['listen: [nowhere]', 'listen'],
    ['listen: /ip4/127.0.0.1/tcp/1', 'listen'],
    ['log: { level: loud }', 'log.level'],
    ['mdns: "yes"', 'mdns'],
  ])('refuses %s and names the setting and the file', async (text, key) => {
    await writeConfig(text);
    await expect(load()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      info: { key: expect.stringContaining(key), origin: `file ${join(home, 'config.yaml')}` },
    });
  });

  it('resolves paths of the file from the data folder and others from the working folder', async () => {
    await writeConfig('log: { file: logs/a.log }\nneighbours: { asnDatabase: asn.mmdb }\n');
    const { config } = await load({ FOGPROOF_KEYSTORE_PASSPHRASE_FILE: 'secret' });
    expect(config.neighbours.asnDatabase).toBe(join(home, 'asn.mmdb'));
    expect(config.log.file).toBe(join(home, 'logs/a.log'));
    expect(config.keystore.passphraseFile).toBe(join(folder, 'secret'));
    expect((await load({ FOGPROOF_LOG_FILE: 'none' })).config.log.file).toBeNull();
  });

  it('takes the network by id or by path, and its preset with it', async () => {
    await writeFile(join(folder, 'prod.json'), formatNetwork(PRODUCTION));
    const byPath = await load({ FOGPROOF_NETWORK: 'prod.json' });
    expect(byPath.network).toEqual(PRODUCTION);
    expect(byPath.config.mdns).toBe(false);
    expect(byPath.origins.get('mdns')).toEqual({ kind: 'preset', source: 'production' });
    await new NetworkStore({ home }).add(PRODUCTION);
    expect((await load({}, { network: 'prod' })).network).toEqual(PRODUCTION);
    await expect(load({ FOGPROOF_NETWORK: 'other' })).rejects.toMatchObject({
      code: 'CONFIG_NETWORK_UNKNOWN',
      info: { known: ['prod', 'local'] },
    });
  });

  it('refuses to weaken what the production preset fixes, from any layer, and lets the same be said', async () => {
    await new NetworkStore({ home }).add(PRODUCTION);
    const weaker = { FOGPROOF_NETWORK: 'prod', FOGPROOF_PROVIDE_ISOLATION_FOR_STRANGERS: 'process' };
    await expect(load(weaker)).rejects.toMatchObject({
      code: 'CONFIG_FIXED_BY_PRESET',
      info: { origin: 'environment FOGPROOF_PROVIDE_ISOLATION_FOR_STRANGERS', preset: 'production' },
    });
    await expect(
      load({ FOGPROOF_NETWORK: 'prod' }, { 'provide.isolationForStrangers': 'process' }),
    ).rejects.toMatchObject({ code: 'CONFIG_FIXED_BY_PRESET' });
    await writeConfig('network: prod\nprovide: { isolationForStrangers: process }\n');
    await expect(load()).rejects.toMatchObject({ code: 'CONFIG_FIXED_BY_PRESET' });
    await writeConfig('network: prod\nprovide: { isolationForStrangers: bubblewrap }\n');
    expect((await load()).config.provide.isolationForStrangers).toBe('bubblewrap');
  });

  it('takes home and socket from flags before variables', async () => {
    const other = join(folder, 'other');
    const { config } = await load({ FOGPROOF_SOCKET: '/tmp/a' }, { home: other, socket: '/tmp/b' });
    expect(config).toMatchObject({ home: other, socket: '/tmp/b' });
  });

  it('refuses a file that is too large or no file', async () => {
    await writeConfig(`# ${'x'.repeat(300_000)}`);
    await expect(load()).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' });
    await rm(join(home, 'config.yaml'));
    await mkdir(join(home, 'config.yaml'));
    await expect(load()).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' });
  });
});

describe('presets', () => {
  it.each(['local', 'development', 'production'] as const)('%s loads, and fixes only what it sets', async (name) => {
    const preset = await readPreset(name);
    await new NetworkStore({ home }).add({ ...LOCAL_NETWORK, id: 'any', preset: name });
    const { origins } = await load({ FOGPROOF_NETWORK: 'any' });
    for (const key of preset.fixed) expect(origins.get(key)?.kind).toBe('preset');
  });

  it('local lets strangers in without bubblewrap only while no other machine can reach the node', async () => {
    const isolation = async (listen: string, more: Record<string, string> = {}) =>
      (await load({ FOGPROOF_LISTEN: listen, ...more })).config.provide.isolationForStrangers;
    expect(await isolation('/ip4/127.0.0.1/tcp/0,/ip6/::1/tcp/0')).toBe('process');
    expect(await isolation('/ip4/0.0.0.0/tcp/0')).toBe('bubblewrap');
    expect(await isolation('/ip4/127.0.0.1/tcp/0,/ip4/192.168.0.5/tcp/0')).toBe('bubblewrap');
    expect(await isolation('/dns4/localhost/tcp/0')).toBe('bubblewrap');
    const chosen = { FOGPROOF_PROVIDE_ISOLATION_FOR_STRANGERS: 'process' };
    expect(await isolation('/ip4/0.0.0.0/tcp/0', chosen)).toBe('process');
  });

  it('other than local let nobody in without bubblewrap', async () => {
    for (const preset of ['development', 'production'] as const) {
      await new NetworkStore({ home }).add({ ...LOCAL_NETWORK, id: preset, preset });
      const { config } = await load({ FOGPROOF_NETWORK: preset });
      expect(config.provide.isolationForStrangers).toBe('bubblewrap');
    }
  });
});

describe('NetworkStore', () => {
  it('keeps networks for the owner only, knows them again, and never replaces one by another', async () => {
    const store = new NetworkStore({ home });
    expect(await store.listIds()).toEqual([]);
    const path = await store.add(PRODUCTION);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await store.add(PRODUCTION)).toBe(path);
    await expect(store.add({ ...PRODUCTION, bootstrap: [] })).rejects.toMatchObject({ code: 'CONFIG_NETWORK_EXISTS' });
    expect(await store.read('prod')).toEqual(PRODUCTION);
    expect(await store.listIds()).toEqual(['prod']);
    expect(await readdir(join(home, 'networks'))).toEqual(['prod.json']);
  });

  it('refuses a file whose network has another id, or is none, without quoting it', async () => {
    const store = new NetworkStore({ home });
    await store.add(PRODUCTION);
    await writeFile(store.pathOf('lab'), formatNetwork(PRODUCTION));
    await expect(store.read('lab')).rejects.toMatchObject({ code: 'CONFIG_NETWORK_MALFORMED' });
    await writeFile(store.pathOf('lab'), `{"preSharedKey": "${'ab'.repeat(32)}`);
    const error = await store.read('lab').catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'CONFIG_NETWORK_MALFORMED',
      message: expect.not.stringContaining('abab'),
    });
  });

  it('does not leave its folder for a name that climbs', async () => {
    await writeFile(join(home, 'climbs-out.json'), formatNetwork(PRODUCTION));
    await expect(new NetworkStore({ home }).read('../climbs-out')).rejects.toMatchObject({
      code: 'CONFIG_NETWORK_UNKNOWN',
    });
  });
});

describe('config file', () => {
  it('is a template of comments that changes nothing, and keeps its comments when a key is set', async () => {
    await createConfigFile(home);
    const before = (await load()).config;
    await setInConfigFile(home, 'network', 'prod');
    const text = await readFile(join(home, 'config.yaml'), 'utf8');
    expect(text).toContain('# Settings of this node.');
    expect(text).toContain('network: prod');
    await new NetworkStore({ home }).add(PRODUCTION);
    expect((await load()).config.network).toBe('prod');
    expect(before.network).toBe('local');
    await setInConfigFile(home, 'network', 'local');
    expect((await load()).config).toEqual(before);
    await createConfigFile(home);
    expect(await readFile(join(home, 'config.yaml'), 'utf8')).toContain('network: local');
  });

  it('shows settings in its comments that are right', async () => {
    await createConfigFile(home);
    const text = await readFile(join(home, 'config.yaml'), 'utf8');
    const lines = text.split('\n').filter((line) => /^# ( {2})?[a-z][a-zA-Z]*:/.test(line));
    expect(lines.length).toBeGreaterThan(10);
    await writeConfig(lines.map((line) => line.slice(2)).join('\n'));
    expect((await load()).config.provide.slots).toBe(4);
  });

  it('that is broken is not written to', async () => {
    await writeConfig('lisen: []\n');
    await expect(setInConfigFile(home, 'network', 'x')).rejects.toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
    expect(await readFile(join(home, 'config.yaml'), 'utf8')).toBe('lisen: []\n');
  });
});

describe('settings of the chain', () => {
  const CHAIN = {
    kind: 'solana' as const,
    genesis: BlockHash('EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG'),
    rpcUrls: ['https://network.example'],
    programs: { proofAnchor: computeLocalProgramAddress('proof-anchor') },
  };

  const loadOn = async (network: Partial<NetworkDefinition>, more: { environment?: Record<string, string> } = {}) => {
    await rm(join(home, 'networks'), { recursive: true, force: true });
    await new NetworkStore({ home }).add({ ...LOCAL_NETWORK, id: 'lab', ...network });
    return load({ FOGPROOF_NETWORK: 'lab', ...more.environment });
  };

  it('name endpoints that stand before those of the network, each once', async () => {
    expect(resolveChain(await loadOn({}))).toBeNull();
    expect(resolveChain(await loadOn({ chain: CHAIN }))).toEqual({
      genesis: CHAIN.genesis,
      rpcUrls: ['https://network.example/'],
      programs: CHAIN.programs,
    });
    const environment = { FOGPROOF_CHAIN_RPC_URLS: 'http://127.0.0.1:8899,http://127.0.0.1:8899/,https://own.example' };
    expect(resolveChain(await loadOn({ chain: CHAIN }, { environment }))?.rpcUrls).toEqual([
      'http://127.0.0.1:8899/',
      'https://own.example/',
    ]);
  });

  it('must name one where the network does not', async () => {
    const loaded = await loadOn({ chain: { ...CHAIN, rpcUrls: [] } });
    expect(() => resolveChain(loaded)).toThrow(expect.objectContaining({ code: 'CONFIG_NO_RPC_URL' }));
  });

  it('name one key: a file, found from where it was named, or a command', async () => {
    const environment = { FOGPROOF_CHAIN_KEYPAIR_FILE: 'wallet.json' };
    expect((await load(environment)).config.chain.keypairFile).toBe(join(folder, 'wallet.json'));
    await writeConfig('chain: { keypairFile: wallet.json }\n');
    expect((await load()).config.chain.keypairFile).toBe(join(home, 'wallet.json'));
    await expect(load({ FOGPROOF_CHAIN_SIGNER_COMMAND: 'hsm sign' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      info: { key: 'chain.signerCommand', reason: expect.stringContaining('one key pays') },
    });
  });

  it.each([
    ['FOGPROOF_CHAIN_RPC_URLS', 'ftp://a'],
    ['FOGPROOF_CHAIN_RPC_URLS', '[1]'],
    ['FOGPROOF_CHAIN_SIGNER_COMMAND', 'hsm "unclosed'],
    ['FOGPROOF_CHAIN_MAX_PRIORITY_FEE', '-1'],
    ['FOGPROOF_CHAIN_ANCHOR_MAX_RECEIPTS', '0'],
    ['FOGPROOF_CHAIN_ANCHOR_MAX_WAIT_MS', 'soon'],
    ['FOGPROOF_CHAIN_ANCHOR_RECEIVED', 'perhaps'],
  ])('are refused when they are wrong: %s=%s', async (variable, value) => {
    await expect(load({ [variable]: value })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('say in words what a duration looks like', async () => {
    await expect(load({ FOGPROOF_CHAIN_ANCHOR_MAX_WAIT_MS: 'ten seconds' })).rejects.toMatchObject({
      message: expect.stringContaining('expected a duration such as 30s'),
    });
  });

  it('that are weaker than they could be are remarked on', async () => {
    const remarks = async (network: Partial<NetworkDefinition>, rpcUrls = '') =>
      collectChainRemarks(await loadOn(network, { environment: { FOGPROOF_CHAIN_RPC_URLS: rpcUrls } }));
    expect(await remarks({})).toEqual([]);
    expect(await remarks({}, 'https://a.example')).toEqual([expect.stringContaining('has no chain')]);
    expect(await remarks({ chain: CHAIN })).toEqual([]);
    expect(await remarks({ chain: CHAIN }, 'http://127.0.0.1:8899,http://[::1]:1,http://localhost:2')).toEqual([]);
    expect(await remarks({ chain: CHAIN }, 'http://a.example/key')).toEqual([
      expect.stringMatching(/http:\/\/a\.example\/… is asked without TLS/),
    ]);
    const production = { chain: CHAIN, preset: 'production' as const };
    expect(await remarks(production)).toEqual([expect.stringContaining('so that two must agree')]);
    expect(await remarks(production, 'https://a.example,https://b.example')).toEqual([]);
    expect(await remarks(production, 'https://a.example,https://a.example/')).toHaveLength(1);
  });
});
