import { expect, it } from 'vitest';
import { PeerKey } from '../../../src/domain/ids.ts';
import { bindIdentity } from '../../../src/node/bind-identity.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { identityOf } from '../../support/requester-rig.ts';

it('a database is of the identity that it was first opened with', async () => {
  const [own, other] = await Promise.all([identityOf(1), identityOf(2)]);
  const database = new MemoryDatabase();
  const durable: unknown[] = [];
  database.onWrite = (_operations, options) => void durable.push(options.durable);
  await bindIdentity(database, own.peer, 'home');
  await bindIdentity(database, own.peer, 'home');
  expect(durable).toEqual([true]);
  await expect(bindIdentity(database, PeerKey(other.peer), 'home')).rejects.toMatchObject({
    code: 'NODE_FOREIGN_DATABASE',
    message: `the data in home is that of ${own.peer}, and the identity there is ${other.peer}`,
  });
});
