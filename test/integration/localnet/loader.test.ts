import { readFile } from 'node:fs/promises';
import {
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  SystemProgram,
  sendAndConfirmTransaction,
  Transaction,
  TransactionInstruction,
} from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPrograms } from '../../../src/cli/localnet/read-programs.ts';
import { SolanaAddress } from '../../../src/domain/chain.ts';
import type { GenesisProgram } from '../../../src/localnet/interface.ts';
import {
  BUFFER_HEADER_BYTES,
  closeProgram,
  type DeployAccounts,
  deployWithMaxDataLen,
  findProgramData,
  initializeBuffer,
  PROGRAM_BYTES,
  setAuthority,
  UPGRADEABLE_LOADER_ID,
  upgrade,
  writeBuffer,
} from '../../support/loader-instructions.ts';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';

/** As much as fits a transaction beside the rest. */
const CHUNK_BYTES = 900;

let net: TestLocalnet;
let payer: Keypair;
let elf: Uint8Array;
let ours: readonly GenesisProgram[];

beforeAll(async () => {
  ours = await readPrograms();
  elf = ours[0]?.bytes ?? new Uint8Array(await readFile('programs/artifacts/proof_anchor.so'));
  net = await startLocalnet({ programs: ours });
  payer = await net.fund(1000 * LAMPORTS_PER_SOL);
});
afterAll(() => net[Symbol.asyncDispose]());

const send = (transaction: Transaction, ...signers: Keypair[]) =>
  sendAndConfirmTransaction(net.connection, transaction, [payer, ...signers]);

async function upload(bytes: Uint8Array, authority: PublicKey): Promise<Keypair> {
  const buffer = Keypair.generate();
  const space = BUFFER_HEADER_BYTES + bytes.length;
  const lamports = await net.connection.getMinimumBalanceForRentExemption(space);
  const create = SystemProgram.createAccount({
    fromPubkey: payer.publicKey,
    newAccountPubkey: buffer.publicKey,
    lamports,
    space,
    programId: UPGRADEABLE_LOADER_ID,
  });
  await send(new Transaction().add(create, initializeBuffer(buffer.publicKey, authority)), buffer);
  const offsets = Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES) }, (_, index) => index * CHUNK_BYTES);
  await Promise.all(
    offsets.map((offset) =>
      send(
        new Transaction().add(
          writeBuffer(buffer.publicKey, authority, { offset, bytes: bytes.subarray(offset, offset + CHUNK_BYTES) }),
        ),
      ),
    ),
  );
  return buffer;
}

async function deploy(bytes: Uint8Array): Promise<DeployAccounts> {
  const program = Keypair.generate();
  const buffer = await upload(bytes, payer.publicKey);
  const accounts = {
    payer: payer.publicKey,
    program: program.publicKey,
    buffer: buffer.publicKey,
    authority: payer.publicKey,
  };
  const create = SystemProgram.createAccount({
    fromPubkey: payer.publicKey,
    newAccountPubkey: program.publicKey,
    lamports: await net.connection.getMinimumBalanceForRentExemption(PROGRAM_BYTES),
    space: PROGRAM_BYTES,
    programId: UPGRADEABLE_LOADER_ID,
  });
  await send(new Transaction().add(create, deployWithMaxDataLen(accounts, bytes.length * 2)), program);
  return accounts;
}

/** What a program makes of data that it does not know. */
async function call(program: PublicKey): Promise<unknown> {
  const { blockhash } = await net.connection.getLatestBlockhash();
  const transaction = new Transaction({ recentBlockhash: blockhash, feePayer: payer.publicKey });
  transaction.add(new TransactionInstruction({ programId: program, keys: [], data: Buffer.of(1, 2, 3) }));
  const { value } = await net.connection.simulateTransaction(transaction);
  return value.err;
}

/** InvalidInstruction of proof-anchor. */
const REFUSED_BY_PROGRAM = { InstructionError: [0, { Custom: 6_000 }] };

describe('the upgradeable loader', () => {
  it('deploys, upgrades, hands over and closes, with ordinary transactions', async () => {
    const accounts = await deploy(elf);
    expect(await call(accounts.program)).toEqual(REFUSED_BY_PROGRAM);
    const info = await net.connection.getParsedAccountInfo(accounts.program);
    const programData = findProgramData(accounts.program);
    expect(info.value).toMatchObject({
      executable: true,
      data: { parsed: { type: 'program', info: { programData: programData.toBase58() } } },
    });
    expect(await net.connection.getAccountInfo(accounts.buffer)).toBeNull();

    const buffer = await upload(elf, payer.publicKey);
    await send(new Transaction().add(upgrade({ ...accounts, buffer: buffer.publicKey })));
    expect(await call(accounts.program)).toEqual(REFUSED_BY_PROGRAM);

    const heir = await net.fund();
    await send(new Transaction().add(setAuthority(programData, payer.publicKey, heir.publicKey)));
    const refused = new Transaction().add(setAuthority(programData, payer.publicKey, payer.publicKey));
    await expect(send(refused)).rejects.toThrow('Incorrect authority provided');

    await send(new Transaction().add(closeProgram({ ...accounts, authority: heir.publicKey })), heir);
    expect(await net.connection.getAccountInfo(programData)).toBeNull();
    expect(await call(accounts.program)).toEqual({ InstructionError: [0, 'UnsupportedProgramId'] });
  });

  it('refuses what is no program, and the chain goes on', async () => {
    const buffer = await upload(new Uint8Array(2_000).fill(7), payer.publicKey);
    const program = Keypair.generate();
    const accounts = {
      payer: payer.publicKey,
      program: program.publicKey,
      buffer: buffer.publicKey,
      authority: payer.publicKey,
    };
    const create = SystemProgram.createAccount({
      fromPubkey: payer.publicKey,
      newAccountPubkey: program.publicKey,
      lamports: await net.connection.getMinimumBalanceForRentExemption(PROGRAM_BYTES),
      space: PROGRAM_BYTES,
      programId: UPGRADEABLE_LOADER_ID,
    });
    const deployment = new Transaction().add(create, deployWithMaxDataLen(accounts, 2_000));
    await expect(send(deployment, program)).rejects.toThrow('invalid account data for instruction');
    expect(await net.connection.getAccountInfo(program.publicKey)).toBeNull();
    expect(await net.connection.getAccountInfo(buffer.publicKey)).not.toBeNull();
  });
});

describe('programs of the chain itself', () => {
  it('are deployed from the first slot, and nobody can change them', async () => {
    for (const { address } of ours) {
      const program = new PublicKey(address);
      expect(await call(program)).toEqual(REFUSED_BY_PROGRAM);
      const data = await net.connection.getParsedAccountInfo(findProgramData(program));
      expect(data.value?.data).toMatchObject({
        program: 'bpf-upgradeable-loader',
        parsed: { type: 'programData', info: { authority: null } },
      });
      const buffer = await upload(elf, payer.publicKey);
      const attack = upgrade({ payer: payer.publicKey, program, buffer: buffer.publicKey, authority: payer.publicKey });
      await expect(send(new Transaction().add(attack))).rejects.toThrow('Account is immutable');
    }
  });

  it('must be programs', async () => {
    const bad = {
      name: 'bad',
      address: SolanaAddress(Keypair.generate().publicKey.toBase58()),
      bytes: new Uint8Array(500).fill(1),
    };
    await expect(startLocalnet({ programs: [bad] })).rejects.toMatchObject({ code: 'LOCALNET_BAD_PROGRAM' });
  });
});
