import { describe, expect, it } from 'vitest';
import { PROOF_ANCHOR_ERROR_CODES as CODES, decodeAppended } from '../../../src/chain/generated/proof-anchor.ts';
import { encodeLogEntry } from '../../../src/domain/anchor.ts';
import { computeLeafHash, computeNodeHash } from '../../../src/proofs/merkle.ts';
import {
  ACCEPTED,
  buildLogTree,
  digestOf,
  LogRig,
  refused,
  withAccount,
  withAccounts,
  withLength,
} from '../../support/log-rig.ts';
import { addressOf, SYSTEM_PROGRAM } from '../../support/program-chain.ts';

const [AUTHORITY, LOG] = [0, 1];
const SIZE_OFFSET = 88;
const FRONTIER_OFFSET = 128;
const MAX_ENTRIES = 2n ** 40n - 1n;

describe('append', () => {
  it('adds an entry: size, head, ring and event', () => {
    const rig = LogRig.created();
    const slot = rig.chain.advance(5n, 1_700_000_123n);
    const { logs } = rig.anchor({ batchRoot: digestOf('a'), batchSize: 7 });
    const log = rig.state();
    expect(log.size).toBe(1n);
    expect(log.head).toEqual(buildLogTree(rig.entries).root);
    expect(log.ring[0]).toEqual({ batchRoot: digestOf('a'), batchSize: 7n, slot, unixTime: 1_700_000_123n });
    const data = logs.find((line) => line.startsWith('Program data: '))?.slice(14) ?? '';
    expect(decodeAppended(Buffer.from(data, 'base64'))).toEqual({
      log: rig.log,
      authority: addressOf(rig.owner),
      generation: log.generation,
      entry: 0n,
      batchRoot: digestOf('a'),
      batchSize: 7n,
      head: log.head,
    });
  });

  it('keeps the head of RFC 6962 over hundreds of entries, and the last 64 in the ring', () => {
    const rig = LogRig.created();
    for (let size = 1; size <= 300; size += 1) {
      rig.chain.advance();
      rig.anchor({ batchRoot: digestOf(`root ${size}`), batchSize: size });
      expect(rig.state().head, `head of ${size} entries`).toEqual(buildLogTree(rig.entries).root);
    }
    const { ring, size } = rig.state();
    expect(size).toBe(300n);
    for (let entry = 300 - 64; entry < 300; entry += 1) {
      expect(ring[entry % 64]).toMatchObject({
        batchRoot: digestOf(`root ${entry + 1}`),
        batchSize: BigInt(entry + 1),
      });
    }
  });

  it('takes several entries in one transaction', () => {
    const rig = LogRig.created();
    const { generation } = rig.state();
    const instructions = [0n, 1n, 2n].map((expectedSize) => rig.append({ generation, expectedSize }));
    expect(rig.send(instructions, rig.owner).error).toBeNull();
    expect(rig.state().size).toBe(3n);
  });

  it('never appends a replay: the expected size is another now', () => {
    const rig = LogRig.created();
    const instruction = rig.append();
    expect(rig.attempt(instruction, rig.owner)).toEqual(ACCEPTED);
    expect(rig.attempt(instruction, rig.owner)).toEqual(refused(CODES.SizeMismatch));
    expect(rig.attempt(rig.append({ expectedSize: 2n }), rig.owner)).toEqual(refused(CODES.SizeMismatch));
    expect(rig.send([rig.append(), rig.append()], rig.owner).error).toBe(CODES.SizeMismatch);
    expect(rig.state().size).toBe(1n);
  });

  it('refuses another generation', () => {
    const rig = LogRig.created();
    const { generation } = rig.state();
    for (const other of [0n, generation - 1n, generation + 1n, 2n ** 64n - 1n]) {
      expect(rig.attempt(rig.append({ generation: other }), rig.owner)).toEqual(refused(CODES.WrongGeneration));
    }
  });

  it('is for the owner and the delegate alone', () => {
    const rig = LogRig.created();
    expect(rig.attempt(rig.append({}, rig.delegate), rig.delegate)).toEqual(refused(CODES.NotAuthorised));
    expect(rig.attempt(rig.setDelegate(addressOf(rig.delegate)), rig.owner)).toEqual(ACCEPTED);
    expect(rig.attempt(rig.append({}, rig.delegate), rig.delegate)).toEqual(ACCEPTED);
    expect(rig.attempt(rig.append(), rig.owner)).toEqual(ACCEPTED);
    expect(rig.attempt(rig.append({}, rig.stranger), rig.stranger)).toEqual(refused(CODES.NotAuthorised));
  });

  it('refuses without the signature of the authority', () => {
    const rig = LogRig.created();
    const unsigned = withAccount(rig.append(), AUTHORITY, { isSigner: false });
    expect(rig.attempt(unsigned, rig.stranger)).toEqual(refused(CODES.MissingSignature));
  });

  it('has no delegate while none is set, even if the address of zeros could sign', () => {
    const rig = LogRig.created();
    rig.chain.withoutSignatureChecks();
    const nobody = withAccount(rig.append(), AUTHORITY, { address: SYSTEM_PROGRAM });
    expect(rig.attempt(nobody, rig.stranger)).toEqual(refused(CODES.NotAuthorised));
  });

  it('refuses a log that is read-only', () => {
    const rig = LogRig.created();
    const readOnly = withAccount(rig.append(), LOG, { isWritable: false });
    expect(rig.attempt(readOnly, rig.owner)).toEqual(refused(CODES.NotWritable));
  });

  it('refuses the log of somebody else', () => {
    const rig = LogRig.created();
    expect(rig.send([rig.createLog(rig.stranger)], rig.stranger).error).toBeNull();
    const theirs = withAccount(rig.append(), LOG, { address: rig.logOf(rig.stranger) });
    expect(rig.send([theirs], rig.owner).error).toBe(CODES.NotAuthorised);
  });

  it('takes 1 to 2^32 leaves', () => {
    const rig = LogRig.created();
    expect(rig.attempt(rig.append({ batchSize: 0n }), rig.owner)).toEqual(refused(CODES.EmptyBatch));
    expect(rig.attempt(rig.append({ batchSize: 2n ** 32n + 1n }), rig.owner)).toEqual(refused(CODES.EmptyBatch));
    expect(rig.attempt(rig.append({ batchSize: 2n ** 64n - 1n }), rig.owner)).toEqual(refused(CODES.EmptyBatch));
    expect(rig.attempt(rig.append({ batchSize: 1n }), rig.owner)).toEqual(ACCEPTED);
    expect(rig.attempt(rig.append({ batchSize: 2n ** 32n }), rig.owner)).toEqual(ACCEPTED);
  });

  it('is full after 2^40 - 1 entries', () => {
    const rig = LogRig.created();
    const subtrees = Array.from({ length: 40 }, (_, level) => digestOf(`subtree ${level}`));
    rig.forge((data) => {
      new DataView(data.buffer).setBigUint64(SIZE_OFFSET, MAX_ENTRIES - 1n, true);
      subtrees.forEach((subtree, level) => data.set(subtree, FRONTIER_OFFSET + 32 * level));
    });
    expect(rig.attempt(rig.append(), rig.owner)).toEqual(ACCEPTED);
    const { head, size } = rig.state();
    const leaf = computeLeafHash(encodeLogEntry({ batchRoot: digestOf('root'), batchSize: 1 }));
    expect(size).toBe(MAX_ENTRIES);
    expect(head).toEqual(subtrees.slice(1).reduce((right, left) => computeNodeHash(left, right), leaf));
    expect(rig.attempt(rig.append(), rig.owner)).toEqual(refused(CODES.LogFull));
  });

  it('refuses a missing account and data of another length', () => {
    const rig = LogRig.created();
    for (const count of [0, 1]) {
      expect(rig.attempt(withAccounts(rig.append(), count), rig.owner)).toEqual(refused(CODES.NotEnoughAccounts));
    }
    for (const change of [-56, -1, 1, 300]) {
      expect(rig.attempt(withLength(rig.append(), change), rig.owner)).toEqual(refused(CODES.InvalidInstruction));
    }
  });

  it('does not look at accounts beyond those that it knows', () => {
    const rig = LogRig.created();
    const instruction = rig.append();
    const surplus = [rig.chain.program, SYSTEM_PROGRAM, rig.log, addressOf(rig.stranger), addressOf(rig.delegate)].map(
      (address) => ({ address, isSigner: false, isWritable: false }),
    );
    const more = { ...instruction, accounts: [...instruction.accounts, ...surplus] };
    expect(rig.attempt(more, rig.owner)).toEqual(ACCEPTED);
  });
});
