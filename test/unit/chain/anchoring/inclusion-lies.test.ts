import { afterEach, beforeEach, expect, it } from 'vitest';
import { computeLogAddress } from '../../../../src/chain/anchoring/anchor-log.ts';
import { InclusionCheck } from '../../../../src/chain/anchoring/inclusion-check.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import { type AnchoringRig, createRig, NEVER, receiptLeaf, WALLET } from '../../../support/anchoring-rig.ts';
import { PROGRAM } from '../../../support/memory-chain.ts';
import { MemorySender } from '../../../support/memory-chain-client.ts';

const SIZE_OFFSET = 88;

let rig: AnchoringRig;

beforeEach(async () => {
  rig = await createRig();
});
afterEach(async () => await rig.service.stop());

it.each([2n ** 33n, 2n ** 53n - 1n])('a log that is said to have %d entries takes no memory for them', async (size) => {
  const { service: anchoring, database, reader, journal } = rig;
  await anchoring.add([receiptLeaf('ours')]);
  await anchoring.wait((await anchoring.flush())?.batch ?? -1, { signal: NEVER });
  reader.alterAccount = (account) => {
    if (account.address !== computeLogAddress(PROGRAM, WALLET)) return account;
    const data = account.data.slice();
    new DataView(data.buffer).setBigUint64(SIZE_OFFSET, size, true);
    return { ...account, data };
  };
  const random = new SystemRandom();
  const check = new InclusionCheck({ anchoring, database, reader, sender: new MemorySender(journal), random });
  await expect(check.run(receiptLeaf('ours').digest, { signal: NEVER })).rejects.toMatchObject({
    code: 'ANCHORING_ENTRIES_MISSING',
    info: { entry: 0, missing: Number(size) - 1 },
  });
});
