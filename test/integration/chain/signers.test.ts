import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ed25519 } from '@noble/curves/ed25519.js';
import { Keypair } from '@solana/web3.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ExternalSigner } from '../../../src/chain/signers/external-signer.ts';
import { encodeKeypairFile, openKeypairFile } from '../../../src/chain/signers/keypair-file.ts';
import { decodeBase58 } from '../../../src/domain/chain.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-signers-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const signal = (): AbortSignal => AbortSignal.timeout(8_000);
const MESSAGE = new Uint8Array(100).fill(9);

describe('keypair file', () => {
  test('one that the Solana tools made signs with the same key', async () => {
    const keypair = Keypair.generate();
    const path = join(folder, 'id.json');
    await writeFile(path, JSON.stringify([...keypair.secretKey]), { mode: 0o600 });
    const { signer, remarks } = await openKeypairFile(path);
    expect(remarks).toEqual([]);
    expect(signer.address).toBe(keypair.publicKey.toBase58());
    const signature = await signer.sign(MESSAGE);
    expect(ed25519.verify(signature, MESSAGE, keypair.publicKey.toBytes())).toBe(true);
    expect(encodeKeypairFile(keypair.secretKey.slice(0, 32))).toBe(JSON.stringify([...keypair.secretKey]));
  });

  test('one that others can read is opened, with a remark', async () => {
    const path = join(folder, 'id.json');
    await writeFile(path, encodeKeypairFile(new Uint8Array(32).fill(1)));
    await chmod(path, 0o644);
    expect((await openKeypairFile(path)).remarks).toEqual([expect.stringContaining(`chmod 600 ${path}`)]);
  });

  test.each([
    ['is not there', undefined],
    ['is empty', ''],
    ['is no JSON', '[1, 2'],
    ['has 63 numbers', JSON.stringify(Array.from({ length: 63 }, () => 1))],
    ['has a number above 255', JSON.stringify([256, ...Array.from({ length: 63 }, () => 1)])],
    ['has another public half', JSON.stringify([...new Uint8Array(32).fill(1), ...new Uint8Array(32).fill(2)])],
    ['is too large', ' '.repeat(5_000)],
  ])('one that %s is refused with the next step, and without its content', async (_, content) => {
    const path = join(folder, 'id.json');
    if (content !== undefined) await writeFile(path, content, { mode: 0o600 });
    await expect(openKeypairFile(path)).rejects.toMatchObject({
      code: 'CHAIN_BAD_KEYPAIR_FILE',
      hint: expect.stringContaining('solana-keygen'),
    });
  });

  test('one that is not there is said to be so', async () => {
    await expect(openKeypairFile(join(folder, 'absent.json'))).rejects.toMatchObject({
      message: expect.stringMatching(/absent\.json .*: there is no such file$/),
    });
  });
});

describe('external program', () => {
  const seed = new Uint8Array(32).fill(8);
  const publicKey = ed25519.getPublicKey(seed);

  /** A program that signs; `change` is JavaScript in which `output` may be altered before it is printed. */
  async function writeSigner(change = ''): Promise<readonly string[]> {
    const path = join(folder, 'signer.mjs');
    const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]).toString('base64');
    await writeFile(
      path,
      `import { createPrivateKey, sign } from 'node:crypto';
       import { readFileSync } from 'node:fs';
       const verb = process.argv[2];
       const key = createPrivateKey({ key: Buffer.from('${pkcs8}', 'base64'), format: 'der', type: 'pkcs8' });
       let output = '';
       if (verb === 'address') output = '${Keypair.fromSeed(seed).publicKey.toBase58()}';
       if (verb === 'sign') output = sign(null, Buffer.from(readFileSync(0, 'utf8').trim(), 'base64'), key).toString('base64');
       ${change}
       console.log(output);`,
    );
    return [process.execPath, path];
  }

  test('is asked for its address and signs', async () => {
    const signer = await ExternalSigner.open({ command: await writeSigner() }, { signal: signal() });
    expect(decodeBase58(signer.address)).toEqual(publicKey);
    const signature = await signer.sign(MESSAGE, { signal: signal() });
    expect(ed25519.verify(signature, MESSAGE, publicKey)).toBe(true);
    expect(signer.description).toContain('external program');
    expect(signer.description).not.toContain('signer.mjs');
  });

  test('may print base58', async () => {
    const change = `if (verb === 'sign') {
      const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
      let value = BigInt('0x' + Buffer.from(output, 'base64').toString('hex'));
      output = '';
      for (; value > 0n; value /= 58n) output = digits[Number(value % 58n)] + output;
    }`;
    const signer = await ExternalSigner.open({ command: await writeSigner(change) }, { signal: signal() });
    const signature = await signer.sign(MESSAGE, { signal: signal() });
    expect(ed25519.verify(signature, MESSAGE, publicKey)).toBe(true);
  });

  test('does not see our own secrets', async () => {
    process.env['FOGPROOF_PASSPHRASE'] = 'a secret of ours';
    try {
      const change = `if (process.env.FOGPROOF_PASSPHRASE) process.exit(7);`;
      await ExternalSigner.open({ command: await writeSigner(change) }, { signal: signal() });
    } finally {
      delete process.env['FOGPROOF_PASSPHRASE'];
    }
  });

  test.each([
    [
      'signs something else',
      `if (verb === 'sign') output = Buffer.alloc(64, 1).toString('base64');`,
      'no signature of',
    ],
    ['prints nothing', `if (verb === 'sign') output = '';`, 'no signature of'],
    ['prints garbage', `if (verb === 'sign') output = 'no thanks';`, 'no signature of'],
    [
      'prints without end',
      `while (verb === 'sign') await new Promise((r) => process.stdout.write('x', r));`,
      'prints more than',
    ],
    ['fails', `if (verb === 'sign') process.exit(3);`, 'exits with code 3'],
    ['hangs', `if (verb === 'sign') await new Promise((resolve) => setTimeout(resolve, 60_000));`, 'no answer within'],
  ])('that %s is not believed', async (_, change, reason) => {
    const command = await writeSigner(change);
    const signer = await ExternalSigner.open({ command, timeoutMs: 3_000 }, { signal: signal() });
    await expect(signer.sign(MESSAGE, { signal: signal() })).rejects.toMatchObject({
      message: expect.stringContaining(reason),
      code: 'CHAIN_SIGNER_FAILED',
      retryable: true,
      hint: expect.stringContaining('chain.signerCommand'),
    });
  });

  test('that is not there, or has no address', async () => {
    await expect(
      ExternalSigner.open({ command: [join(folder, 'nothing')] }, { signal: signal() }),
    ).rejects.toMatchObject({ code: 'CHAIN_SIGNER_FAILED' });
    await expect(
      ExternalSigner.open({ command: await writeSigner(`output = 'nobody';`) }, { signal: signal() }),
    ).rejects.toMatchObject({ code: 'CHAIN_SIGNER_FAILED' });
  });

  test('is ended when nobody waits any more', async () => {
    const command = await writeSigner(`await new Promise((resolve) => setTimeout(resolve, 60_000));`);
    const controller = new AbortController();
    const asked = ExternalSigner.open({ command }, { signal: controller.signal });
    controller.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
  });
});
