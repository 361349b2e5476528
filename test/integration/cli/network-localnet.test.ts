import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection, PublicKey } from '@solana/web3.js';
import { expect, it } from 'vitest';
import { computeLocalProgramAddress } from '../../../src/domain/chain.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { LiteLocalChain } from '../../../src/localnet/lite-local-chain.ts';
import { TOKEN_PROGRAM } from '../../../src/localnet/svm/program-ids.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { runLine } from '../../support/cli-harness.ts';

const PROGRAM = new URL('../../../programs/artifacts/proof_anchor.so', import.meta.url);
/** Before the bytes of a program: state, slot, upgrade authority (solana-loader-v3-interface). */
const PROGRAM_DATA_HEADER_BYTES = 45;
const modules = { clock: new SystemClock(), random: new SystemRandom(), logger: new NoopLogger() };

it('network create binds to a local chain that has the program, and refuses one that has not', async ({ signal }) => {
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-localnet-'));
  const run = (line: string) =>
    runLine(line.split(' '), { workingDirectory: folder, environment: { FOGPROOF_HOME: join(folder, 'home') } });
  try {
    const address = computeLocalProgramAddress('proof-anchor');
    const program = { name: 'proof-anchor', address, bytes: await readFile(PROGRAM) };
    await using chain = new LiteLocalChain(modules, { directory: null, port: 0, programs: [program] });
    await using bare = new LiteLocalChain(modules, { directory: null, port: 0 });
    await Promise.all([chain.start({ signal }), bare.start({ signal })]);
    const refused = await run(`network create lab --rpc-url ${bare.status().url}`);
    expect(refused.stderr).toContain(`CLI_NO_PROGRAM: there is no program at ${address}`);
    const { exitCode, stdout, stderr } = await run(
      `network create lab --preset local --rpc-url ${chain.status().url} --json`,
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      chain: { genesis: chain.status().genesis, programs: { proofAnchor: address } },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('network create asks the program what only proof-anchor knows, and refuses another', async ({ signal }) => {
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-localnet-'));
  const run = (line: string) =>
    runLine(line.split(' '), { workingDirectory: folder, environment: { FOGPROOF_HOME: join(folder, 'home') } });
  try {
    const [ours, other] = [computeLocalProgramAddress('proof-anchor'), computeLocalProgramAddress('other')];
    await using chain = new LiteLocalChain(modules, {
      directory: null,
      port: 0,
      programs: [
        { name: 'proof-anchor', address: ours, bytes: await readFile(PROGRAM) },
        { name: 'other', address: other, bytes: await readTokenProgram(signal) },
      ],
    });
    await chain.start({ signal });
    const { url } = chain.status();
    const refused = await run(`network create lab --preset local --rpc-url ${url} --proof-anchor ${other}`);
    expect(refused.exitCode).toBe(5);
    expect(refused.stderr).toContain(`CLI_OTHER_PROGRAM: the program at ${other} is not proof-anchor`);
    const taken = await run(`network create lab --preset local --rpc-url ${url} --proof-anchor ${ours}`);
    expect({ exitCode: taken.exitCode, stderr: taken.stderr }).toEqual({ exitCode: 0, stderr: '' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** SPL Token as the machine has it, to be put where nobody knows it. */
async function readTokenProgram(signal: AbortSignal): Promise<Uint8Array> {
  await using chain = new LiteLocalChain(modules, { directory: null, port: 0 });
  await chain.start({ signal });
  const connection = new Connection(chain.status().url);
  const program = await connection.getAccountInfo(new PublicKey(TOKEN_PROGRAM));
  // The upgradeable loader keeps a program's bytes in another account, whose address is the last 32 bytes of its own.
  const kept = program && (await connection.getAccountInfo(new PublicKey(program.data.subarray(4))));
  if (kept === null) throw new TypeError('a local chain has no SPL Token');
  return new Uint8Array(kept.data.subarray(PROGRAM_DATA_HEADER_BYTES));
}
