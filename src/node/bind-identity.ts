import type { PeerKey } from '../domain/ids.ts';
import { STRING_CODEC } from '../storage/codecs.ts';
import type { Database } from '../storage/interface.ts';
import { NodeError } from './errors.ts';

const IDENTITY_KEY = 'identity';

/**
 * Notes in the database whose it is, the first time. What it holds was signed and promised under that identity: under
 * another one leases, receipts and keys of blobs would be those of a stranger.
 * @throws NodeError NODE_FOREIGN_DATABASE
 */
export async function bindIdentity(database: Database, peer: PeerKey, home: string): Promise<void> {
  const meta = database.repository('meta', STRING_CODEC);
  const owner = await meta.get(IDENTITY_KEY);
  if (owner === undefined) return await database.write([meta.putOperation(IDENTITY_KEY, peer)], { durable: true });
  if (owner !== peer) throw new NodeError({ code: 'NODE_FOREIGN_DATABASE', home, owner, peer });
}
