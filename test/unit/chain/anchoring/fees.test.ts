import { afterEach, expect, it } from 'vitest';
import { computeLogAddress } from '../../../../src/chain/anchoring/anchor-log.ts';
import { type AnchoringRig, createRig, NEVER, receiptLeaf, WALLET } from '../../../support/anchoring-rig.ts';
import { PROGRAM } from '../../../support/memory-chain.ts';

const LOG = computeLogAddress(PROGRAM, WALLET);
const MINUTES_A_DAY = 1_440;
const SIZE_OFFSET = 88;

let rig: AnchoringRig;

afterEach(async () => await rig.service.stop());

async function passDay(): Promise<number> {
  const before = rig.chain.transactions.length;
  for (let minute = 0; minute < MINUTES_A_DAY; minute += 1) await rig.clock.advance(60_000);
  return rig.chain.transactions.length - before;
}

it('transactions that fail on the chain, each for a fee, become rare, and end with their cause', async () => {
  rig = await createRig();
  await rig.service.add([receiptLeaf('first')]);
  await rig.service.wait((await rig.service.flush())?.batch ?? -1, { signal: NEVER });
  // An endpoint that lies about the log, and about what simulations give: each append is for another wrong place.
  let lie = 1_000n;
  rig.journal.hasPreflight = false;
  rig.reader.alterAccount = (account) => {
    if (account.address !== LOG) return account;
    const data = account.data.slice();
    new DataView(data.buffer).setBigUint64(SIZE_OFFSET, lie++, true);
    return { ...account, data };
  };
  await rig.service.add([receiptLeaf('second')]);
  await rig.service.flush();
  await passDay();
  const paid = await passDay();
  expect(paid).toBeGreaterThan(0);
  expect(paid).toBeLessThan(150);
  expect(rig.service.status().problem?.code).toBe('ANCHORING_TRANSACTION_FAILED');
  rig.reader.alterAccount = (account) => account;
  await passDay();
  expect(await rig.service.proof(receiptLeaf('second').digest)).toMatchObject({ entry: 1 });
  expect(rig.chain.logs.get(LOG)?.entries).toHaveLength(2);
});
