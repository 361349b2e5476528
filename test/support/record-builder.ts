import { UnixMs } from '../../src/domain/ids.ts';
import { NODE_RECORD, type NodeRecord } from '../../src/domain/node-record.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { Identity } from '../../src/identity/interface.ts';
import { signObject } from '../../src/proofs/signed-object.ts';
import { TEST_CONTENT } from './network.ts';

export function buildNodeRecord(identity: Identity, nowMs: number, changes: Partial<NodeRecord> = {}): NodeRecord {
  return {
    type: 'fogproof/node-record@1',
    network: 'test',
    peer: identity.peer,
    vrfPublicKey: identity.vrfPublicKey,
    sequence: nowMs,
    issuedAtMs: UnixMs(nowMs),
    expiresAtMs: UnixMs(nowMs + 600_000),
    instance: new Uint8Array(16),
    addresses: ['/ip4/192.0.2.1/tcp/4717'],
    software: 'fogproof/test',
    ...TEST_CONTENT,
    ...changes,
  };
}

export function signNodeRecord(
  identity: Identity,
  nowMs: number,
  changes: Partial<NodeRecord> = {},
): Promise<Signed<NodeRecord>> {
  return signObject(NODE_RECORD, buildNodeRecord(identity, nowMs, changes), identity);
}
