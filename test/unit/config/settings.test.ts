import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { computeDefaults } from '../../../src/config/defaults.ts';
import { readEnvironmentLayer, readFileLayer, readFlagLayer } from '../../../src/config/layers.ts';
import { nodeConfigSchema } from '../../../src/config/schema.ts';
import { findSetting, hideSecrets, nearestSetting, parseSettingText, SETTINGS } from '../../../src/config/settings.ts';

const HOST = { cpus: 2, memoryBytes: 2 ** 33, diskBytes: 2 ** 40 };
const PEER = '12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7';

describe('settings', () => {
  it('have a path and a variable each, without two alike', () => {
    expect(new Set(SETTINGS.map(({ path }) => path)).size).toBe(SETTINGS.length);
    expect(new Set(SETTINGS.map(({ variable }) => variable)).size).toBe(SETTINGS.length);
    expect(findSetting('provide.maxMemoryBytes')?.variable).toBe('FOGPROOF_PROVIDE_MAX_MEMORY_BYTES');
    expect(findSetting('provide.pricesPerHour.gpu-consumer')?.variable).toBe(
      'FOGPROOF_PROVIDE_PRICES_PER_HOUR_GPU_CONSUMER',
    );
  });

  it('have a valid default each', () => {
    const parsed = nodeConfigSchema.safeParse({ ...computeDefaults('/home', HOST), home: '/home', socket: '/s' });
    expect(parsed.success).toBe(true);
  });

  it.each([
    ['provide.max-memory-bytes', 'provide.maxMemoryBytes'],
    ['maxMemoryBytes', 'provide.maxMemoryBytes'],
    ['provide.maxMemoryByte', 'provide.maxMemoryBytes'],
    ['lisen', 'listen'],
    ['provid', 'provide'],
    ['log.levle', 'log.level'],
  ])('are suggested for what was mistyped: %s', (typed, meant) => {
    expect(nearestSetting(typed)).toBe(meant);
  });

  it('are not suggested for what is like none', () => {
    expect(nearestSetting('completely-else.where')).toBeNull();
  });
});

describe('variables', () => {
  it('are read as what their setting is', () => {
    const layer = readEnvironmentLayer({
      FOGPROOF_LISTEN: '/ip4/127.0.0.1/tcp/0, /ip6/::1/tcp/0',
      FOGPROOF_MDNS: 'false',
      FOGPROOF_PROVIDE_SLOTS: '3',
      FOGPROOF_PROVIDE_ALLOW_REQUESTERS: PEER,
      FOGPROOF_LOG_FILE: 'none',
      FOGPROOF_REGION: '',
      FOGPROOF_PASSPHRASE: 'not a setting',
      PATH: '/bin',
    });
    expect(Object.fromEntries([...layer].map(([path, { value }]) => [path, value]))).toEqual({
      listen: ['/ip4/127.0.0.1/tcp/0', '/ip6/::1/tcp/0'],
      mdns: false,
      'provide.slots': 3,
      'provide.allowRequesters': [PEER],
      'log.file': null,
    });
    const anyone = readEnvironmentLayer({ FOGPROOF_PROVIDE_ALLOW_REQUESTERS: 'anyone' });
    expect(anyone.get('provide.allowRequesters')?.value).toBe('anyone');
    for (const whose of ['nobody', 'trusted', 'anyone']) {
      const held = readEnvironmentLayer({ FOGPROOF_SNAPSHOTS_HOLD_FOR: whose });
      expect(held.get('snapshots.hold.for')?.value).toBe(whose);
    }
  });

  it.each([
    ['FOGPROOF_CHAIN_ANCHOR_MAX_WAIT_MS', 'chain.anchor.maxWaitMs', '300000', 300_000],
    ['FOGPROOF_PROVIDE_MAX_MEMORY_BYTES', 'provide.maxMemoryBytes', '1048576', 2 ** 20],
    ['FOGPROOF_PROVIDE_MAX_FUEL', 'provide.maxFuel', '5000', 5_000],
  ])('and flags take a whole number without a unit, as the file does: %s', (variable, path, text, value) => {
    const schema = findSetting(path)?.schema;
    const said = readEnvironmentLayer({ [variable]: text }).get(path)?.value;
    expect(schema?.parse(said)).toBe(value);
    expect(schema?.parse(readFlagLayer({ [path]: text }).get(path)?.value)).toBe(value);
    for (const bad of ['-1', '1.5.5', 'much', '0x10', '99999999999999999999'])
      expect(schema?.safeParse(readFlagLayer({ [path]: bad }).get(path)?.value).success).toBe(false);
  });

  it('say lists of the chain: addresses with commas, a command as its words, or either as JSON', () => {
    const read = (text: string, variable = 'FOGPROOF_CHAIN_SIGNER_COMMAND'): unknown =>
      [...readEnvironmentLayer({ [variable]: text }).values()][0]?.value;
    expect(read('http://a:1, http://b:2', 'FOGPROOF_CHAIN_RPC_URLS')).toEqual(['http://a:1', 'http://b:2']);
    expect(read('["http://a:1/?key=x,y"]', 'FOGPROOF_CHAIN_RPC_URLS')).toEqual(['http://a:1/?key=x,y']);
    expect(read('hsm --slot 1,2')).toEqual(['hsm', '--slot', '1,2']);
    expect(read(`  "/opt/my signer/hsm"  '--label=a b' x `)).toEqual(['/opt/my signer/hsm', '--label=a b', 'x']);
    expect(read('["hsm","a \\"b\\""]')).toEqual(['hsm', 'a "b"']);
    expect(read('[]')).toEqual([]);
    expect(read('none', 'FOGPROOF_CHAIN_KEYPAIR_FILE')).toBeNull();
    expect(read('hsm "unclosed')).toBe('hsm "unclosed');
  });

  it('with a command of any text give words or are left for the schema to refuse, at once', () => {
    const schema = findSetting('chain.signerCommand')?.schema;
    fc.assert(
      fc.property(
        fc.string({ maxLength: 2_000, unit: fc.constantFrom('a', 'b', ' ', '"', "'", '[', ',', ']', '\t') }),
        (text) => {
          if (schema === undefined) throw new TypeError('there is no such setting');
          const value = parseSettingText(schema, text);
          if (typeof value !== 'string') expect(Array.isArray(value)).toBe(true);
        },
      ),
    );
  });

  it('that are none of ours but look so are refused', () => {
    expect(() => readEnvironmentLayer({ FOGPROOF_LISTN: 'x' })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_UNKNOWN_KEY',
        info: expect.objectContaining({ nearest: 'FOGPROOF_LISTEN' }),
      }),
    );
  });
});

describe('a file', () => {
  const read = (text: string) => () => readFileLayer(text, '/home/config.yaml');

  it('may be empty, all comments, or have empty sections', () => {
    for (const text of ['', '# nothing\n', '---\n', 'provide:\n  # slots: 2\n']) expect(read(text)().size).toBe(0);
  });

  it.each([
    ['lisen: []', { code: 'CONFIG_UNKNOWN_KEY', info: { key: 'lisen', nearest: 'listen' } }],
    ['provide: { slot: 1 }', { code: 'CONFIG_UNKNOWN_KEY', info: { nearest: 'provide.slots' } }],
    ['provide: 3', { code: 'CONFIG_INVALID', info: { key: 'provide' } }],
    ['- a\n- b', { code: 'CONFIG_INVALID' }],
    ['home: /elsewhere', { code: 'CONFIG_NOT_IN_FILE', info: { key: 'home' } }],
    ['socket: /elsewhere', { code: 'CONFIG_NOT_IN_FILE', info: { key: 'socket' } }],
    ['listen: [', { code: 'CONFIG_UNREADABLE' }],
    ['mdns: true\nmdns: false', { code: 'CONFIG_UNREADABLE' }],
    ['__proto__: { mdns: true }', { code: 'CONFIG_UNKNOWN_KEY' }],
    [
      'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]',
      { code: 'CONFIG_UNREADABLE' },
    ],
  ])('is refused with what is wrong: %j', (text, expected) => {
    expect(read(text)).toThrow(expect.objectContaining({ code: expected.code }));
    if ('info' in expected) {
      expect(read(text)).toThrow(expect.objectContaining({ info: expect.objectContaining(expected.info) }));
    }
  });

  it('of any content gives settings or a coded error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          for (const path of read(text)().keys()) expect(findSetting(path)).toBeDefined();
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^CONFIG_/) });
        }
      }),
    );
  });
});

describe('flags', () => {
  it('are text or values, and those not given do not count', () => {
    const layer = readFlagLayer({ 'provide.slots': '4', mdns: false, listen: ['/ip4/1.2.3.4/tcp/1'], home: undefined });
    expect([...layer.keys()]).toEqual(['provide.slots', 'mdns', 'listen']);
    expect(layer.get('provide.slots')?.value).toBe(4);
    expect(() => readFlagLayer({ 'provide.slot': 1 })).toThrow(expect.objectContaining({ code: 'CONFIG_UNKNOWN_KEY' }));
  });
});

describe('what may be shown', () => {
  it('of an endpoint is its host: providers put keys everywhere else', () => {
    const setting = findSetting('chain.rpcUrls');
    if (setting === undefined) throw new TypeError('there is no such setting');
    const urls = [
      'https://user:password@rpc.example/',
      'https://rpc.example/v2/secret',
      'https://rpc.example?api-key=secret',
      'http://127.0.0.1:8899',
    ];
    expect(hideSecrets(setting, urls)).toEqual([
      'https://rpc.example',
      'https://rpc.example/…',
      'https://rpc.example/…',
      'http://127.0.0.1:8899',
    ]);
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z]{12}$/), fc.nat(3), (key, place) => {
        const url = [`https://${key}:x@h/`, `https://x:${key}@h/`, `https://h/a/${key}`, `https://h/?k=${key}#x`][
          place
        ];
        expect(JSON.stringify(hideSecrets(setting, [url]))).not.toContain(key);
      }),
    );
  });

  it('of other settings is all of it', () => {
    for (const setting of SETTINGS.filter(({ path }) => path !== 'chain.rpcUrls')) {
      expect(hideSecrets(setting, ['https://user:password@rpc.example/'])).toEqual([
        'https://user:password@rpc.example/',
      ]);
    }
  });
});
