import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
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
  value: { executable: true, lamports: 1, owner: 'x', data: ['', 'base64'] },
};
const LOCAL: Answers = { getGenesisHash: LOCAL_GENESIS, getAccountInfo: PROGRAM_IS_THERE };

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
    expect(endpoint.requests.map(({ method }) => method)).toEqual(['getGenesisHash', 'getAccountInfo']);
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
      { ...LOCAL, getAccountInfo: { value: { executable: false } } },
      {},
      /CLI_NO_PROGRAM/,
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
  ])('refuses %s before anything is asked', async (flags, reason) => {
    const { exitCode, stderr } = await run(`network create lab ${flags}`);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(reason);
    expect(await readdir(folder)).toEqual([]);
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
