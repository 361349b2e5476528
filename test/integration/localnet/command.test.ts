import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection, Keypair, PublicKey } from '@solana/web3.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/framework/run-cli.ts';
import { readAccountFile } from '../../../src/cli/localnet/read-account-file.ts';
import { readPrograms } from '../../../src/cli/localnet/read-programs.ts';
import { computeLocalProgramAddress } from '../../../src/domain/chain.ts';
import type { LocalChainStatus } from '../../../src/localnet/interface.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fogproof-localnet-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface Running extends AsyncDisposable {
  /** The first line of the output. */
  readonly first: Promise<string>;
  readonly ended: Promise<number>;
  readonly output: () => string;
  readonly errors: () => string;
}

function start(...argv: string[]): Running {
  const stopping = new AbortController();
  const first = Promise.withResolvers<string>();
  let stdout = '';
  let stderr = '';
  const onOutput = (text: string): void => {
    stdout += text;
    if (stdout.includes('\n')) first.resolve(stdout);
  };
  const ended = runCli(
    ['localnet', '--port', '0', '--slot-ms', '20', '--home', directory, ...argv],
    {
      stdout: { write: onOutput },
      stderr: { write: (text) => void (stderr += text) },
      environment: {},
      workingDirectory: directory,
      signal: stopping.signal,
      readSecret: async () => '',
    },
    { version: '0.0.0' },
  );
  void ended.then(() => first.resolve(stdout));
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  return { first: first.promise, ended, output: () => stdout, errors: () => stderr, [Symbol.asyncDispose]: stop };
}

const statusOf = async ({ first }: Running): Promise<LocalChainStatus> => JSON.parse(await first) as LocalChainStatus;

describe('fogproof localnet', () => {
  it('says where it is and what it is not, has our programs, and stops in order', async () => {
    const running = start();
    const text = await running.first;
    expect(text).toContain('a local development chain: no cluster, tokens without value');
    await running[Symbol.asyncDispose]();
    expect(await running.ended).toBe(0);

    await using again = start('--json');
    const status = await statusOf(again);
    expect(status).toMatchObject({ isPredictable: true, directory: join(directory, 'localnet') });
    const connection = new Connection(status.url, 'confirmed');
    expect(await connection.getGenesisHash()).toBe(status.genesis);
    for (const { name, address } of status.programs) {
      expect(address).toBe(computeLocalProgramAddress(name));
      expect(await connection.getAccountInfo(new PublicKey(address))).toMatchObject({ executable: true });
    }
    expect(running.output()).toContain(status.genesis);
  });

  it('refuses a folder in use, and begins anew with --reset', async () => {
    const running = start('--json');
    const { genesis } = await statusOf(running);
    const second = start('--json');
    expect(await second.ended).toBe(5);
    expect(second.errors()).toContain('LOCALNET_IN_USE');
    expect(await start('--reset').ended).toBe(5);
    await running[Symbol.asyncDispose]();
    await using third = start('--reset', '--json');
    expect((await statusOf(third)).genesis).not.toBe(genesis);
  });

  it('says after --reset that networks must be made again, and how', async () => {
    await using running = start('--reset');
    await running.first;
    const [, url = ''] = /RPC +(http:\S+)/.exec(running.output()) ?? [];
    expect(url).not.toBe('');
    expect(running.errors()).toContain(`must be made again: fogproof network create ID --rpc-url ${url} --replace`);
    await using plain = start('--home', join(directory, 'other'));
    await plain.first;
    expect(plain.errors()).not.toContain('made again');
  });

  it('makes no folder, and throws no chain away, where it cannot listen', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const port = String((blocker.address() as AddressInfo).port);
    try {
      const home = join(directory, 'new');
      const taken = start('--home', home, '--port', port);
      expect(await taken.ended).toBe(5);
      expect(taken.errors()).toMatch(/LOCALNET_PORT_TAKEN[^]*--port/);
      const elsewhere = start('--home', home, '--host', '192.0.2.1');
      expect(await elsewhere.ended).toBe(5);
      expect(elsewhere.errors()).toContain('LOCALNET_BAD_ADDRESS');
      expect(await readdir(directory)).toEqual([]);

      const first = start('--json');
      const { genesis } = await statusOf(first);
      await first[Symbol.asyncDispose]();
      expect(await start('--reset', '--port', port).ended).toBe(5);
      await using again = start('--json');
      expect((await statusOf(again)).genesis).toBe(genesis);
    } finally {
      blocker.close();
    }
  });

  it.each([
    ['--port 22.5', '--port: expected a whole number from 0 to 65534'],
    ['--port 65535', '--port: expected a whole number from 0 to 65534'],
    ['--port many', '--port: expected a whole number from 0 to 65534'],
    ['--slot-ms 0.5', '--slot-ms: expected a whole number from 5 to 60000'],
    ['--allow-host http://x/', '--allow-host: expected a host name'],
    ['--allow-host x:8899', '--allow-host: expected a host name'],
    ['--allow-host x/y', '--allow-host: expected a host name'],
  ])('refuses %s in words', async (flags, message) => {
    const refused = start(...flags.split(' '));
    expect(await refused.ended).toBe(2);
    expect(refused.errors()).toContain(message);
    expect(await readdir(directory)).toEqual([]);
  });

  it('gives a new chain the accounts of files', async () => {
    const pubkey = Keypair.generate().publicKey.toBase58();
    const owner = Keypair.generate().publicKey.toBase58();
    const account = {
      lamports: 5_000_000,
      data: ['AQID', 'base64'],
      owner,
      executable: false,
      space: 3,
    };
    // A number that JavaScript cannot hold exactly, as Solana's tools write it.
    const text = JSON.stringify({ pubkey, account }).replace('"space"', '"rentEpoch":18446744073709551615,"space"');
    await writeFile(join(directory, 'account.json'), text);
    await using running = start('--json', '--account', 'account.json');
    const { url } = await statusOf(running);
    const found = await new Connection(url, 'confirmed').getAccountInfo(new PublicKey(pubkey));
    expect(found).toMatchObject({ lamports: 5_000_000, owner: new PublicKey(owner), data: Buffer.of(1, 2, 3) });
  });

  it.each([
    ['is not there', undefined],
    ['is no JSON', '{'],
    ['has no address', JSON.stringify({ account: {} })],
    [
      'has negative lamports',
      JSON.stringify({
        pubkey: PublicKey.default.toBase58(),
        account: { lamports: -1, data: ['', 'base64'], owner: PublicKey.default.toBase58(), executable: false },
      }),
    ],
  ])('names a file of an account that %s', async (_, content) => {
    const path = join(directory, 'bad.json');
    if (content !== undefined) await writeFile(path, content);
    await expect(readAccountFile(path)).rejects.toMatchObject({ code: 'CLI_BAD_ACCOUNT_FILE' });
  });
});

describe('artefacts', () => {
  const bytes = Buffer.from('not even an ELF file');
  const sha256 = createHash('sha256').update(bytes).digest('hex');

  async function write(manifest: unknown, file?: Buffer): Promise<string> {
    const folder = join(directory, 'artifacts');
    await mkdir(folder);
    await writeFile(join(folder, 'manifest.json'), typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
    if (file !== undefined) await writeFile(join(folder, 'a_program.so'), file);
    return folder;
  }

  it('get their address from their name', async () => {
    const folder = await write({ programs: { a_program: { file: 'a_program.so', sha256 } } }, bytes);
    expect(await readPrograms(folder)).toEqual([
      { name: 'a-program', address: computeLocalProgramAddress('a-program'), bytes: new Uint8Array(bytes) },
    ]);
  });

  it('are none where nothing was built', async () => {
    expect(await readPrograms(join(directory, 'nowhere'))).toEqual([]);
  });

  it.each([
    ['a manifest that is no JSON', '{', bytes],
    ['a program that is not there', { programs: { a_program: { file: 'a_program.so', sha256 } } }, undefined],
    [
      'a program that was changed',
      { programs: { a_program: { file: 'a_program.so', sha256 } } },
      Buffer.from('changed'),
    ],
    ['a path out of the folder', { programs: { a_program: { file: '../../../etc/passwd', sha256 } } }, bytes],
  ])('are refused with %s', async (_, manifest, file) => {
    await expect(readPrograms(await write(manifest, file))).rejects.toMatchObject({ code: 'CLI_BAD_ARTEFACT' });
  });
});
