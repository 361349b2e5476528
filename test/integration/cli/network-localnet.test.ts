import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { computeLocalProgramAddress } from '../../../src/domain/chain.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { LiteLocalChain } from '../../../src/localnet/lite-local-chain.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { runLine } from '../../support/cli-harness.ts';

const PROGRAM = new URL('../../../programs/artifacts/proof_anchor.so', import.meta.url);
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
