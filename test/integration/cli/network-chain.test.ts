import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeInvite, encodeInvite } from '../../../src/config/invite.ts';
import { computeLocalProgramAddress } from '../../../src/domain/chain.ts';
import type { NetworkDefinition } from '../../../src/domain/network-definition.ts';
import { runLine } from '../../support/cli-harness.ts';

const LOCAL_GENESIS = '9uvUJ1FwKVbcHhsLCZ9nXbcA8DhwX9Y8zBBmNLtbT2kW';
const DEVNET_GENESIS = 'EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG';
const PROGRAM = '7YttLkHDoNj9wyDur5pM1ejNaAvT9X4eqaYcHQqtj2G5';

/** What an endpoint answers to each method; a string is sent as it is. */
type Answers = Readonly<Record<string, unknown>>;

interface Endpoint {
  readonly url: string;
  readonly requests: {
    readonly method: string;
    readonly params: readonly unknown[];
    readonly authorization: unknown;
  }[];
}

const PROGRAM_IS_THERE = {
  context: { slot: 1 },
  value: { executable: true, lamports: 1, owner: 'BPFLoaderUpgradeab1e11111111111111111111111', data: ['', 'base64'] },
};
const simulated = (err: unknown) => ({ context: { slot: 1 }, value: { err, logs: [], unitsConsumed: 1 } });
const instructionError = (error: unknown) => simulated({ InstructionError: [0, error] });
const LOCAL: Answers = {
  getGenesisHash: LOCAL_GENESIS,
  getAccountInfo: PROGRAM_IS_THERE,
  getSlotLeader: PROGRAM,
  simulateTransaction: instructionError({ Custom: 6001 }),
};

let folder: string;
const servers: Server[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-network-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true, force: true });
});

async function startEndpoint(answers: Answers, options: { raw?: string; status?: number } = {}): Promise<Endpoint> {
  const requests: { method: string; params: readonly unknown[]; authorization: unknown }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { id, method, params } = JSON.parse(body) as { id: number; method: string; params: unknown[] };
      requests.push({ method, params, authorization: request.headers.authorization });
      response.writeHead(options.status ?? 200, { 'content-type': 'application/json' });
      response.end(options.raw ?? JSON.stringify({ jsonrpc: '2.0', id, result: answers[method] }));
    });
  });
  server.listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const run = (line: string) =>
  runLine(line.split(' '), { workingDirectory: folder, environment: { FOGPROOF_HOME: join(folder, 'home') } });

const readNetwork = async (name: string): Promise<NetworkDefinition> =>
  JSON.parse(await readFile(join(folder, `${name}.network.json`), 'utf8')) as NetworkDefinition;

describe('network create --rpc-url', () => {
  it('binds the network to the genesis of a local chain, with the program where localnet has it', async () => {
    const endpoint = await startEndpoint(LOCAL);
    const { exitCode, stdout, stderr } = await run(
      `network create lab --preset local --rpc-url ${endpoint.url} --json`,
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const proofAnchor = computeLocalProgramAddress('proof-anchor');
    const chain = { kind: 'solana', genesis: LOCAL_GENESIS, rpcUrls: [endpoint.url], programs: { proofAnchor } };
    expect((await readNetwork('lab')).chain).toEqual(chain);
    const { invite } = JSON.parse(stdout) as { invite: string };
    expect(decodeInvite(invite).chain).toEqual(chain);
    expect(endpoint.requests.map(({ method }) => method)).toEqual([
      'getGenesisHash',
      'getAccountInfo',
      'getSlotLeader',
      'simulateTransaction',
    ]);
    expect(endpoint.requests[1]?.params[0]).toBe(proofAnchor);
    const joined = await run(`network join ${invite} --home ${folder}/other`);
    expect(joined.exitCode).toBe(0);
    expect((await run('network list')).stdout).toMatch(/lab +local +local/);
  });

  it('takes several endpoints of one chain, each once, and says who can reach them', async () => {
    const [one, two] = [await startEndpoint(LOCAL), await startEndpoint(LOCAL)];
    const urls = [one.url, two.url, one.url].map((url) => `--rpc-url ${url}`).join(' ');
    const { stdout, stderr } = await run(`network create lab ${urls}`);
    expect((await readNetwork('lab')).chain).toMatchObject({ rpcUrls: [one.url, two.url] });
    expect(stdout).toMatch(/chain +a chain of its own \(genesis 9uvUJ/);
    expect(stderr).toContain('asked on this machine only');
  });

  it('needs the address of the program on a public cluster', async () => {
    const endpoint = await startEndpoint({ ...LOCAL, getGenesisHash: DEVNET_GENESIS });
    const without = await run(`network create lab --rpc-url ${endpoint.url}`);
    expect(without.exitCode).toBe(2);
    expect(without.stderr).toMatch(/on devnet .*must be named[^]*--proof-anchor ADDRESS/);
    const { exitCode } = await run(`network create lab --rpc-url ${endpoint.url} --proof-anchor ${PROGRAM}`);
    expect(exitCode).toBe(0);
    expect((await readNetwork('lab')).chain).toMatchObject({ programs: { proofAnchor: PROGRAM } });
  });

  it('sends the credentials in an address, warns of them, and shows them nowhere', async () => {
    const endpoint = await startEndpoint(LOCAL);
    const secret = endpoint.url
      .replace('http://', 'http://me:hunter2secret@')
      .concat('/v2/abcdefabcdefabcdef?key=qwertyuiop');
    const { exitCode, stdout, stderr } = await run(`network create lab --preset local --rpc-url ${secret}`);
    expect(exitCode).toBe(0);
    expect(endpoint.requests[0]?.authorization).toBe(`Basic ${Buffer.from('me:hunter2secret').toString('base64')}`);
    expect(stderr).toContain('whoever gets the file or the invite has it');
    const shown = stdout.replace(/fogproof1\S+/, '') + stderr;
    for (const part of ['hunter2secret', 'abcdefabcdef', 'qwertyuiop']) expect(shown).not.toContain(part);
  });

  const wrong: readonly (readonly [string, Answers, { raw?: string; status?: number }, RegExp])[] = [
    ['no genesis', { getGenesisHash: null }, {}, /CLI_RPC_FAILED.*getGenesisHash/],
    ['a genesis that is none', { getGenesisHash: 'nonsense' }, {}, /CLI_RPC_FAILED.*32 bytes in base58/],
    ['no JSON', LOCAL, { raw: '<html>' }, /CLI_RPC_FAILED/],
    ['HTTP 500', LOCAL, { status: 500 }, /CLI_RPC_FAILED.*HTTP 500/],
    ['too much', LOCAL, { raw: 'x'.repeat(100_000) }, /CLI_RPC_FAILED.*more than 16384 bytes/],
    ['no program', { ...LOCAL, getAccountInfo: { value: null } }, {}, /CLI_NO_PROGRAM[^]*fogproof localnet/],
    [
      'an account that is no program',
      { ...LOCAL, getAccountInfo: { value: { executable: false, owner: PROGRAM } } },
      {},
      /CLI_NO_PROGRAM/,
    ],
    [
      'a program that is built in',
      {
        ...LOCAL,
        getAccountInfo: { value: { executable: true, owner: 'NativeLoader1111111111111111111111111111111' } },
      },
      {},
      /CLI_OTHER_PROGRAM.*built into the validator/,
    ],
    ['success to what fails', { ...LOCAL, simulateTransaction: simulated(null) }, {}, /CLI_OTHER_PROGRAM.*it succeeds/],
    [
      'an error of another program',
      { ...LOCAL, simulateTransaction: instructionError({ Custom: 12 }) },
      {},
      /CLI_OTHER_PROGRAM.*"Custom":12[^]*--proof-anchor/,
    ],
    [
      'a refusal of the machine',
      { ...LOCAL, simulateTransaction: instructionError('InvalidInstructionData') },
      {},
      /CLI_OTHER_PROGRAM/,
    ],
    [
      'no program to run',
      { ...LOCAL, simulateTransaction: simulated('InvalidProgramForExecution') },
      {},
      /CLI_OTHER_PROGRAM/,
    ],
    ['an account of another form', { ...LOCAL, getAccountInfo: [] }, {}, /CLI_RPC_FAILED.*getAccountInfo/],
  ];
  it.each(wrong)('makes nothing when the endpoint answers with %s', async (_, answers, options, expected) => {
    const endpoint = await startEndpoint(answers, options);
    const { exitCode, stdout, stderr } = await run(`network create lab --rpc-url ${endpoint.url}`);
    expect(stderr).toMatch(expected);
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: '' });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['no leader', { getSlotLeader: null }, 'getSlotLeader'],
    ['no simulation', { simulateTransaction: undefined }, 'simulateTransaction'],
    ['a payer without SOL', { simulateTransaction: simulated('AccountNotFound') }, 'AccountNotFound'],
  ])('says that the program could not be tried where there is %s, and goes on', async (_, answers, reason) => {
    const endpoint = await startEndpoint({ ...LOCAL, ...answers });
    const { exitCode, stderr } = await run(`network create lab --preset local --rpc-url ${endpoint.url}`);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('could not be tried');
    expect(stderr).toContain(reason);
  });

  it('makes nothing when endpoints are on different chains, or one does not answer', async () => {
    const [one, two] = [await startEndpoint(LOCAL), await startEndpoint({ ...LOCAL, getGenesisHash: DEVNET_GENESIS })];
    const apart = await run(`network create lab --rpc-url ${one.url} --rpc-url ${two.url} --proof-anchor ${PROGRAM}`);
    expect(apart.exitCode).toBe(5);
    expect(apart.stderr).toMatch(/CLI_RPC_DISAGREE.*9uvUJ.*EtWTR/);
    servers.at(-1)?.close();
    const gone = await run(`network create lab --rpc-url ${one.url} --rpc-url ${two.url}`);
    expect(gone.exitCode).toBe(5);
    expect(gone.stderr).toMatch(/CLI_RPC_FAILED.*ECONNREFUSED[^]*fogproof localnet/);
    expect(gone.stderr).toContain(two.url);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['--rpc-url nonsense', '--rpc-url: expected the address'],
    ['--rpc-url ftp://127.0.0.1', '--rpc-url: expected the address'],
    ['--rpc-url http://127.0.0.1:1 --proof-anchor x', '--proof-anchor: expected a Solana address'],
    [`--proof-anchor ${PROGRAM}`, 'Name it with --rpc-url'],
    ['--rpc-url http://127.0.0.1:1 --proof-anchor TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA', 'is SPL Token'],
    ['--rpc-url http://127.0.0.1:1 --proof-anchor 11111111111111111111111111111111', 'is the system program'],
  ])('refuses %s before anything is asked', async (flags, reason) => {
    const { exitCode, stderr } = await run(`network create lab ${flags}`);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(reason);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('network create --replace', () => {
  const OTHER_GENESIS = '7YttLkHDoNj9wyDur5pM1ejNaAvT9X4eqaYcHQqtj2G5';

  it('is needed for a chain that was begun anew, named by the error, and says what it replaced', async () => {
    const old = await startEndpoint(LOCAL);
    await run(`network create lab --rpc-url ${old.url}`);
    const stored = join(folder, 'home', 'networks', 'lab.json');
    const renewed = await startEndpoint({ ...LOCAL, getGenesisHash: OTHER_GENESIS });
    const line = `network create lab --rpc-url ${renewed.url}`;
    expect((await run(line)).stderr).toMatch(/lab\.network\.json exists already[^]*--replace/);
    const refused = await run(`${line} --output other.json`);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toMatch(/CONFIG_NETWORK_EXISTS[^]*--replace/);
    expect(refused.stderr).not.toContain('asked on this machine only');
    expect((await readNetwork('lab')).chain).toMatchObject({ genesis: LOCAL_GENESIS });

    const { exitCode, stdout, stderr } = await run(`${line} --replace`);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`${stored} (genesis ${LOCAL_GENESIS})`);
    expect(stdout).toContain(`${join(folder, 'lab.network.json')} (genesis ${LOCAL_GENESIS})`);
    expect(stderr).toContain('network join FILE --replace');
    expect((await readNetwork('lab')).chain).toMatchObject({ genesis: OTHER_GENESIS });
    expect(JSON.parse(await readFile(stored, 'utf8'))).toMatchObject({ chain: { genesis: OTHER_GENESIS } });
    const fresh = JSON.parse((await run('network create new --preset local --replace --json')).stdout) as object;
    expect(fresh).toMatchObject({ replaced: [] });
  });

  it('lets others join the new one in place of the old', async () => {
    await run('network create lab --preset local --output old.json');
    await run('network create lab --preset local --lease 4s --no-join --output new.json');
    const refused = await run('network join new.json');
    expect(refused.stderr).toMatch(/CONFIG_NETWORK_EXISTS[^]*network join/);
    const { exitCode, stdout } = await run('network join new.json --replace');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/joined lab[^]*replaced .*lab\.json \(no chain\)/);
  });

  it('never writes over another file, and leaves the data folder alone with --no-join', async () => {
    await run('network create lab --preset local');
    const stored = join(folder, 'home', 'networks', 'lab.json');
    const before = await readFile(stored, 'utf8');
    await writeFile(join(folder, 'notes.txt'), 'precious');
    await run('network create other --preset local --no-join --output other.json');
    for (const name of ['notes.txt', 'other.json']) {
      const { exitCode, stderr } = await run(`network create lab --preset local --replace --output ${name}`);
      expect({ name, exitCode }).toEqual({ name, exitCode: 2 });
      expect(stderr).toContain("does not define the network 'lab'");
    }
    expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('precious');
    await run('network create lab --preset local --lease 4s --no-join --replace');
    expect(await readFile(stored, 'utf8')).toBe(before);
    expect((await readNetwork('lab')).parameters).toMatchObject({ leaseDurationMs: 4000 });
  });
});

describe('networks made before there was a chain', () => {
  it('are read as they were', async () => {
    await run('network create old --preset local');
    const network = await readNetwork('old');
    expect(network.chain).toEqual({ kind: 'none' });
    expect(decodeInvite(encodeInvite(network))).toEqual(network);
  });
});
