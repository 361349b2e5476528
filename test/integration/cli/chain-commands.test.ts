import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseKeypairFile } from '../../../src/chain/signers/keypair-file.ts';
import { KeypairSigner } from '../../../src/chain/signers/keypair-signer.ts';
import { NodeError } from '../../../src/node/errors.ts';
import type { ChainControl } from '../../../src/rpc/interface.ts';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import { METHOD_SCHEMAS } from '../../../src/rpc/schema/table.ts';
import { runLine } from '../../support/cli-harness.ts';
import { createFakeModules, exampleResult } from '../../support/fake-rpc-modules.ts';
import { createTemporaryFolder, startServer } from '../../support/rpc-harness.ts';

const LOCAL = { ...exampleResult('wallet.show'), cluster: { genesis: 'x' as never, name: null } };

/** A daemon whose chain is given by the test. */
async function createDaemon(chain: Partial<ChainControl> = {}) {
  const fakes = createFakeModules();
  const server = await startServer(
    createMethodTable(createFakeModules({ chain: { ...fakes.chain, ...chain } }), { version: '0' }),
  );
  return {
    run: (line: string, options: Parameters<typeof runLine>[1] = {}) =>
      runLine([...line.split(' '), '--socket', server.path], options),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe('a network without a chain', () => {
  it.each(['wallet', 'wallet airdrop', 'anchor list', 'anchor flush'])(
    'is said by %s, with what to do',
    async (line) => {
      const refuse = () => Promise.reject(new NodeError({ code: 'NODE_NO_CHAIN', network: 'lab' }));
      await using daemon = await createDaemon({
        wallet: refuse,
        airdrop: refuse,
        listAnchors: refuse,
        flushAnchors: refuse,
      });
      const { exitCode, stdout, stderr } = await daemon.run(line);
      expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: '' });
      expect(stderr).toMatch(/NODE_NO_CHAIN.*'lab'[^]*fogproof localnet[^]*network create/);
    },
  );

  it('has no daemon either: exit code 4', async () => {
    const { exitCode, stderr } = await runLine(['wallet', '--socket', '/nonexistent/node.sock']);
    expect(exitCode).toBe(4);
    expect(stderr).toContain('fogproof node start');
  });
});

describe('wallet', () => {
  it('show prints the address, and JSON as the socket gives it', async () => {
    await using daemon = await createDaemon();
    const example = METHOD_SCHEMAS['wallet.show'].example.result;
    expect((await daemon.run('wallet show')).stdout).toContain('1.999955 SOL');
    expect(JSON.parse((await daemon.run('wallet --json')).stdout)).toEqual(example);
  });

  it('airdrop asks for lamports, exactly, and says how long it took', async () => {
    const asked: bigint[] = [];
    await using daemon = await createDaemon({
      wallet: async () => LOCAL,
      airdrop: async (lamports) => {
        asked.push(lamports);
        return { ...exampleResult('wallet.airdrop'), lamports };
      },
    });
    const { exitCode, stdout } = await daemon.run('wallet airdrop 0.000000001');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/received +0\.000000001 SOL, after [\d.]+ m?s/);
    expect(JSON.parse((await daemon.run('wallet airdrop --json')).stdout)).toMatchObject({
      asked: '1000000000',
      lamports: '1000000000',
      tookMs: expect.any(Number),
    });
    expect(asked).toEqual([1n, 1_000_000_000n]);
  });

  it('airdrop refuses mainnet, and what is no amount, before anything is asked', async () => {
    let asked = 0;
    await using daemon = await createDaemon({
      airdrop: async () => {
        asked += 1;
        return exampleResult('wallet.airdrop');
      },
    });
    const mainnet = await daemon.run('wallet airdrop');
    expect(mainnet.exitCode).toBe(2);
    expect(mainnet.stderr).toMatch(/mainnet gives nothing for free[^]*wallet show/);
    for (const amount of ['0', '1,5', 'much', '0.0000000001', '99999999999']) {
      const { exitCode, stderr } = await daemon.run(`wallet airdrop ${amount}`);
      expect({ amount, exitCode }).toEqual({ amount, exitCode: 2 });
      expect(stderr).toContain('no amount of SOL');
    }
    expect(asked).toBe(0);
  });
});

describe('wallet export', () => {
  async function createHome() {
    const folder = await createTemporaryFolder();
    const environment = { FOGPROOF_HOME: join(folder.path, 'home') };
    const run = (line: string, more: Record<string, string> = {}) =>
      runLine(line.split(' '), { workingDirectory: folder.path, environment: { ...environment, ...more } });
    await run('init --plain --no-backup');
    return { path: folder.path, run, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
  }

  it('writes what the Solana CLI reads, for this user alone, and warns', async () => {
    await using home = await createHome();
    const { exitCode, stdout, stderr } = await home.run('wallet export --output wallet.json --json');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const { path, address } = JSON.parse(stdout) as { path: string; address: string };
    expect(path).toBe(join(home.path, 'wallet.json'));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const text = await readFile(path, 'utf8');
    expect(JSON.parse(text)).toHaveLength(64);
    expect(new KeypairSigner({ seed: parseKeypairFile(text, path), description: '' }).address).toBe(address);
    expect(stdout).not.toContain(text.slice(1, 40));
    const again = await home.run('wallet export --output second.json');
    expect(again.stderr).toContain('WARNING: the file is the wallet');
    expect(await readFile(join(home.path, 'second.json'), 'utf8')).toBe(text);
  });

  it('never writes over anything, and leaves nothing where it cannot write', async () => {
    await using home = await createHome();
    await writeFile(join(home.path, 'taken'), 'precious');
    await symlink('/nonexistent/elsewhere', join(home.path, 'link'));
    for (const name of ['taken', 'link', 'home']) {
      const { exitCode, stderr } = await home.run(`wallet export --output ${name}`);
      expect({ name, exitCode }).toEqual({ name, exitCode: 5 });
      expect(stderr).toContain('CLI_EXPORT_EXISTS');
    }
    expect(await readFile(join(home.path, 'taken'), 'utf8')).toBe('precious');
    expect((await home.run('wallet export --output none/wallet.json')).stderr).toContain('CLI_EXPORT_UNWRITABLE');
    expect((await home.run('wallet export')).exitCode).toBe(2);
  });

  it('exports no other key than the one derived from the identity', async () => {
    await using home = await createHome();
    for (const variable of [
      { FOGPROOF_CHAIN_KEYPAIR_FILE: 'mine.json' },
      { FOGPROOF_CHAIN_SIGNER_COMMAND: 'hsm --slot 1' },
    ]) {
      const { exitCode, stderr } = await home.run('wallet export --output wallet.json', variable);
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/FOGPROOF_CHAIN_(KEYPAIR_FILE=none|SIGNER_COMMAND='\[\]')/);
    }
    const { exitCode } = await home.run('wallet export --output wallet.json', {
      FOGPROOF_CHAIN_KEYPAIR_FILE: 'none',
      FOGPROOF_CHAIN_SIGNER_COMMAND: '[]',
    });
    expect(exitCode).toBe(0);
  });

  it('needs an identity that may be opened', async () => {
    await using home = await createHome();
    await chmod(join(home.path, 'home', 'identity.json'), 0o644);
    expect((await home.run('wallet export --output wallet.json')).stderr).toContain('IDENTITY_EXPOSED');
    const empty = join(home.path, 'empty');
    await mkdir(empty);
    const { stderr } = await home.run('wallet export --output wallet.json', { FOGPROOF_HOME: empty });
    expect(stderr).toContain('IDENTITY_MISSING');
    await expect(stat(join(home.path, 'wallet.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('node start', () => {
  it('takes endpoints as flags, and refuses what is none before anything runs', async () => {
    await using folder = await createTemporaryFolder();
    const environment = { FOGPROOF_HOME: join(folder.path, 'home') };
    const line = ['node', 'start', '--rpc-url', 'https://rpc.example', '--rpc-url', 'nonsense'];
    const { exitCode, stderr } = await runLine(line, { environment });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/CONFIG_INVALID: the setting 'chain\.rpcUrls\.1' \(flag chain\.rpcUrls\)/);
    expect(await readdir(folder.path)).toEqual([]);
  });
});

describe('anchor', () => {
  it('list asks for no more than wanted', async () => {
    const limits: number[] = [];
    await using daemon = await createDaemon({
      listAnchors: async (limit) => {
        limits.push(limit);
        return exampleResult('anchor.list').anchors;
      },
    });
    expect((await daemon.run('anchor')).stdout).toContain('finalized');
    const { stdout } = await daemon.run('anchor list -n 3 --json');
    expect(JSON.parse(stdout)).toEqual(METHOD_SCHEMAS['anchor.list'].example.result);
    expect(limits).toEqual([20, 3]);
  });

  it('flush waits, shows where it is on a terminal, then what it cost', async () => {
    const sealed = Promise.withResolvers<void>();
    await using daemon = await createDaemon({
      flushAnchors: async () => {
        await sealed.promise;
        return exampleResult('anchor.flush').anchor;
      },
    });
    const written: string[] = [];
    const { exitCode, stdout } = await daemon.run('anchor flush', {
      isTTY: true,
      onWrite: (text) => {
        written.push(text);
        if (text.includes('batch 7, 812 receipts: finalized')) sealed.resolve();
      },
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/compute units +3100/);
    expect(stdout).toMatch(/fee +5000 lamports/);
  });

  it('flush says that nothing waits', async () => {
    await using daemon = await createDaemon({ flushAnchors: async () => null });
    expect((await daemon.run('anchor flush')).stdout).toBe('nothing waits to be anchored\n');
    expect(JSON.parse((await daemon.run('anchor flush --json')).stdout)).toEqual({ anchor: null });
  });
});
