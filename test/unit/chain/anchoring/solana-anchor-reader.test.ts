import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnchorReading } from '../../../../src/bundle/interface.ts';
import { computeLogAddress } from '../../../../src/chain/anchoring/anchor-log.ts';
import { SolanaAnchorReader } from '../../../../src/chain/anchoring/solana-anchor-reader.ts';
import {
  encodeAppend,
  encodeCloseLog,
  encodeCreateLog,
  encodeSetDelegate,
} from '../../../../src/chain/generated/proof-anchor.ts';
import type { Anchor } from '../../../../src/domain/anchor.ts';
import { BlockHash, decodeBase58, encodeBase58 } from '../../../../src/domain/chain.ts';
import {
  type AnchoringRig,
  createRig,
  NEVER,
  receiptLeaf,
  receiptLeaves,
  STRANGER,
  WALLET,
} from '../../../support/anchoring-rig.ts';
import { GENESIS, MemoryChain, PROGRAM } from '../../../support/memory-chain.ts';
import { MemoryChainReader } from '../../../support/memory-chain-client.ts';

const LOG = computeLogAddress(PROGRAM, WALLET);
const MAINNET = BlockHash('5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d');
let rig: AnchoringRig;
let anchor: Anchor;

async function anchorBatch(name: string): Promise<Anchor> {
  await rig.service.add([receiptLeaf(name), ...receiptLeaves(3)]);
  const view = await rig.service.flush();
  await rig.service.wait(view?.batch ?? -1, { signal: NEVER });
  const proof = await rig.service.proof(receiptLeaf(name).digest);
  if (proof === undefined) throw new Error('it is not anchored');
  return proof;
}

beforeEach(async () => {
  rig = await createRig();
  anchor = await anchorBatch('ours');
});
afterEach(async () => await rig.service.stop());

async function read(
  claim: Anchor,
  readers: readonly MemoryChainReader[] = [new MemoryChainReader(rig.chain)],
): Promise<AnchorReading> {
  const endpoints = readers.map((reader, index) => ({ url: `http://endpoint-${index}`, reader }));
  return await new SolanaAnchorReader({ openEndpoints: () => endpoints }).readAnchor(claim, { signal: NEVER });
}

function verdictOf({ checks }: AnchorReading): string {
  const codes = checks.flatMap(({ verdict }) => (verdict.kind === 'invalid' ? [verdict.code] : []));
  if (codes.length > 0) return codes.join(' ');
  return checks.some(({ verdict }) => verdict.kind === 'unchecked') ? 'unchecked' : 'valid';
}

function words({ checks }: AnchorReading): string {
  return checks
    .map(
      ({ name, verdict }) =>
        `${name}: ${'reason' in verdict ? verdict.reason : 'missing' in verdict ? verdict.missing : 'valid'}`,
    )
    .join('\n');
}

const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte));

describe('an anchor that is on its chain', () => {
  it('is found, each claim on its own', async () => {
    const reading = await read(anchor);
    expect(verdictOf(reading)).toBe('valid');
    expect(reading.checks).toHaveLength(5);
    expect(reading.chain).toContain('which is no public cluster');
    expect(reading.askedEndpoints).toEqual(['http://endpoint-0']);
    expect(reading.blockTimeMs).toBe(rig.chain.timeOf(anchor.slot));
    expect(words(reading)).toContain('by its owner');
  });

  it('is found by all of several endpoints', async () => {
    expect(
      verdictOf(
        await read(
          anchor,
          [1, 2, 3].map(() => new MemoryChainReader(rig.chain)),
        ),
      ),
    ).toBe('valid');
  });

  it('is found although its log was closed, and although it was made anew, and that is said', async () => {
    const generation = BigInt(anchor.generation);
    const accounts = { owner: WALLET, log: LOG, destination: WALLET };
    rig.chain.execute([encodeCloseLog(PROGRAM, accounts, { generation })], WALLET);
    rig.chain.finalize();
    const closed = await read(anchor);
    expect(verdictOf(closed)).toBe('valid');
    expect(words(closed)).toContain('it was closed since');
    rig.chain.execute([encodeCreateLog(PROGRAM, { payer: WALLET, owner: WALLET, log: LOG })], WALLET);
    rig.chain.finalize();
    const anew = await read(anchor);
    expect(verdictOf(anew)).toBe('valid');
    expect(words(anew)).toContain('closed and made anew');
  });

  it('is found where a delegate wrote it, and the delegate is named', async () => {
    const log = rig.chain.logs.get(LOG);
    rig.chain.balances.set(STRANGER, 1_000_000n);
    rig.chain.execute([encodeSetDelegate(PROGRAM, { owner: WALLET, log: LOG }, { delegate: STRANGER })], WALLET);
    const batchRoot = new Uint8Array(32).fill(7);
    const args = { generation: BigInt(log?.generation ?? 0), expectedSize: 1n, batchRoot, batchSize: 9n };
    const done = rig.chain.execute([encodeAppend(PROGRAM, { authority: STRANGER, log: LOG }, args)], STRANGER);
    rig.chain.finalize();
    const transaction = decodeBase58(done.signature);
    const reading = await read({ ...anchor, batchRoot, batchSize: 9, entry: 1, transaction, slot: done.slot });
    expect(verdictOf(reading)).toBe('valid');
    expect(words(reading)).toContain(`by ${STRANGER}, a delegate of its owner`);
  });

  it('is found in the log where the endpoint has no old transactions, and that is said', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.firstSlot = anchor.slot + 1;
    const reading = await read(anchor, [reader]);
    expect(verdictOf(reading)).toBe('valid');
    expect(words(reading)).toContain('does not have transaction');
    expect(reading.blockTimeMs).toBe(rig.chain.timeOf(anchor.slot));
  });

  it('is told with the name of a public cluster', async () => {
    const chain = new MemoryChain(MAINNET);
    const reader = new MemoryChainReader(chain);
    const reading = await read({ ...anchor, genesis: decodeBase58(MAINNET) }, [reader]);
    expect(reading.chain).toBe('Solana mainnet-beta');
  });
});

describe('an anchor that claims what is not so', () => {
  const wrong: readonly (readonly [string, (claim: Anchor) => Partial<Anchor>, string])[] = [
    ['another root', ({ batchRoot }) => ({ batchRoot: flip(batchRoot) }), 'OTHER_ROOT OTHER_ROOT'],
    ['another batch size', ({ batchSize }) => ({ batchSize: batchSize + 1 }), 'OTHER_ROOT OTHER_ROOT'],
    ['another entry', ({ entry }) => ({ entry: entry + 1 }), 'NOT_APPENDED NO_ENTRY'],
    ['a later generation', ({ generation }) => ({ generation: generation + 1 }), 'NOT_APPENDED OTHER_GENERATION'],
    ['an earlier generation', ({ generation }) => ({ generation: generation - 1 }), 'NOT_APPENDED'],
    ['another slot', ({ slot }) => ({ slot: slot - 1 }), 'OTHER_SLOT OTHER_SLOT'],
    ['another program', ({ program }) => ({ program: flip(program) }), 'NO_PROGRAM NOT_APPENDED BAD_LOG'],
    ['another log', ({ log }) => ({ log: flip(log) }), 'NOT_APPENDED'],
    ['another owner', ({ owner }) => ({ owner: flip(owner) }), 'BAD_LOG'],
    ['a transaction that never was', ({ transaction }) => ({ transaction: flip(transaction) }), 'OTHER_TRANSACTION'],
  ];
  it.each(wrong)('is invalid with %s', async (_name, change, codes) => {
    expect(verdictOf(await read({ ...anchor, ...change(anchor) }))).toBe(codes);
  });

  it('is unchecked on another chain, and says which', async () => {
    const other = new MemoryChain(BlockHash(encodeBase58(new Uint8Array(32).fill(8))));
    const reading = await read(anchor, [new MemoryChainReader(other, GENESIS)]);
    expect(verdictOf(reading)).toBe('unchecked');
    expect(words(reading)).toContain(other.genesis);
  });

  it('is invalid if its transaction failed', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.alter = (transaction) => ({
      ...transaction,
      failure: { name: 'InstructionError', instruction: 0, customCode: 6010, detail: 'SizeMismatch' },
    });
    expect(verdictOf(await read(anchor, [reader]))).toBe('TRANSACTION_FAILED');
  });

  it('is invalid if whoever is named as its writer did not sign, whatever the program takes', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.alter = (transaction) => ({
      ...transaction,
      instructions: transaction.instructions.map((instruction) => ({
        ...instruction,
        accounts: instruction.accounts.map((account) => ({ ...account, isSigner: false })),
      })),
    });
    expect(verdictOf(await read(anchor, [reader]))).toBe('NOT_APPENDED');
  });

  it('is invalid if its transaction wrote to another log', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.alter = (transaction) => ({
      ...transaction,
      instructions: transaction.instructions.map((instruction) => ({
        ...instruction,
        accounts: instruction.accounts.map((account) => ({ ...account, address: WALLET })),
      })),
    });
    expect(verdictOf(await read(anchor, [reader]))).toBe('NOT_APPENDED');
  });

  it('is invalid if the log contradicts it, with or without its transaction', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.alterAccount = (account) => {
      if (account.address !== LOG) return account;
      const data = account.data.slice();
      data.fill(3, 1408, 1440);
      return { ...account, data };
    };
    expect(verdictOf(await read(anchor, [reader]))).toBe('OTHER_ROOT');
    reader.firstSlot = anchor.slot + 1;
    expect(verdictOf(await read(anchor, [reader]))).toBe('OTHER_ROOT');
  });

  it('is invalid if the log is not the program’s', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.alterAccount = (account) => (account.address === LOG ? { ...account, owner: STRANGER } : account);
    expect(verdictOf(await read(anchor, [reader]))).toBe('BAD_LOG');
    reader.alterAccount = (account) =>
      account.address === LOG ? { ...account, data: account.data.slice(1) } : account;
    expect(verdictOf(await read(anchor, [reader]))).toBe('BAD_LOG');
  });

  it('is invalid if the program is not deployed, or is no program', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.alterAccount = (account) => (account.address === PROGRAM ? undefined : account);
    expect(verdictOf(await read(anchor, [reader]))).toBe('NO_PROGRAM');
    reader.alterAccount = (account) => (account.address === PROGRAM ? { ...account, owner: STRANGER } : account);
    expect(verdictOf(await read(anchor, [reader]))).toBe('NO_PROGRAM');
  });

  it('is invalid if endpoints contradict each other, and both are named', async () => {
    const liar = new MemoryChainReader(rig.chain);
    liar.alter = (transaction) => ({ ...transaction, slot: transaction.slot + 7 });
    const reading = await read(anchor, [new MemoryChainReader(rig.chain), liar]);
    expect(verdictOf(reading)).toContain('ENDPOINTS_DISAGREE');
    expect(words(reading)).toContain('http://endpoint-0');
    expect(words(reading)).toContain('http://endpoint-1');
  });
});

describe('an anchor of which an endpoint cannot tell', () => {
  it('is unchecked while its transaction is not final', async () => {
    const reader = new MemoryChainReader(rig.chain);
    rig.chain.finalSlot = anchor.slot - 1;
    const reading = await read(anchor, [reader]);
    expect(verdictOf(reading)).toBe('unchecked');
    expect(words(reading)).toContain('not final yet');
  });

  it('is unchecked if the endpoint does not answer, also beside one that does', async () => {
    const dead = new MemoryChainReader(rig.chain);
    dead.isReachable = false;
    expect(verdictOf(await read(anchor, [dead]))).toBe('unchecked');
    const both = await read(anchor, [new MemoryChainReader(rig.chain), dead]);
    expect(verdictOf(both)).toBe('unchecked');
    expect(words(both)).toContain('http://endpoint-1');
  });

  it('is unchecked if neither the transaction nor the log is there any more', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.firstSlot = anchor.slot + 1;
    rig.chain.logs.delete(LOG);
    expect(verdictOf(await read(anchor, [reader]))).toBe('unchecked');
  });

  it('is unchecked without its transaction if the entry is older than the log shows', async () => {
    for (let each = 0; each < 64; each++) await anchorBatch(`later ${each}`);
    const reader = new MemoryChainReader(rig.chain);
    expect(verdictOf(await read(anchor, [reader]))).toBe('valid');
    reader.firstSlot = anchor.slot + 1;
    expect(verdictOf(await read(anchor, [reader]))).toBe('unchecked');
  });

  it('is unchecked whatever an endpoint does, and only an abort throws', async () => {
    const reader = new MemoryChainReader(rig.chain);
    reader.alter = () => {
      throw new TypeError('garbage');
    };
    expect(verdictOf(await read(anchor, [reader]))).toBe('unchecked');
    const asked = new SolanaAnchorReader({ openEndpoints: () => [{ url: 'x', reader }] });
    await expect(asked.readAnchor(anchor, { signal: AbortSignal.abort() })).rejects.toThrow();
  });
});

it('a reader of anchors asks a few chains, however many the anchors name', async () => {
  const opened: BlockHash[] = [];
  const reader = new SolanaAnchorReader({
    openEndpoints: (genesis) => {
      opened.push(genesis);
      return [];
    },
  });
  for (let each = 0; each < 40; each++) {
    await reader.readAnchor({ ...anchor, genesis: new Uint8Array(32).fill(each) }, { signal: NEVER });
  }
  expect(opened).toHaveLength(16);
});
