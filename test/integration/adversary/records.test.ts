import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { UnixMs } from '../../../src/domain/ids.ts';
import type { NodeRecord } from '../../../src/domain/node-record.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { joinRogues, RogueProvider, runJob, startHonestMesh } from '../../support/adversary.ts';
import { createTestIdentity, startTestNode, until } from '../../support/network.ts';
import { signNodeRecord } from '../../support/record-builder.ts';

type Forgery = (victim: NodeRecord, rogue: Identity) => Promise<Awaited<ReturnType<typeof signNodeRecord>>>;

const DAY_MS = 86_400_000;
const forgeries: readonly (readonly [name: string, code: string, forge: Forgery])[] = [
  [
    'signed by somebody else',
    'NETWORK_RECORD_WRONG_SIGNER',
    (victim, rogue) => signNodeRecord(rogue, Date.now(), { ...victim, sequence: victim.sequence + 1 }),
  ],
  [
    'of another network',
    'NETWORK_RECORD_OTHER_NETWORK',
    (_, rogue) => signNodeRecord(rogue, Date.now(), { network: 'else' }),
  ],
  ['long expired', 'NETWORK_RECORD_EXPIRED', (_, rogue) => signNodeRecord(rogue, Date.now() - DAY_MS)],
  ['from the future', 'NETWORK_RECORD_NOT_YET', (_, rogue) => signNodeRecord(rogue, Date.now() + DAY_MS)],
  [
    'that lives for ever',
    'NETWORK_RECORD_BAD_LIFETIME',
    (_, rogue) => signNodeRecord(rogue, Date.now(), { expiresAtMs: UnixMs(8.64e15) }),
  ],
  [
    'with the address of somebody else',
    'NETWORK_RECORD_BAD_ADDRESS',
    (victim, rogue) => signNodeRecord(rogue, Date.now(), { addresses: [`/ip4/127.0.0.1/tcp/1/p2p/${victim.peer}`] }),
  ],
  [
    'with a VRF key that gives everybody the same output',
    'NETWORK_RECORD_BAD_VRF_KEY',
    (_, rogue) => signNodeRecord(rogue, Date.now(), { vrfPublicKey: Uint8Array.of(1, ...new Uint8Array(31)) }),
  ],
];

it('on a production network no record leads a node to services of its own machine, but its operator may', async () => {
  await using stack = new AsyncDisposableStack();
  let visits = 0;
  const service = createServer((socket) => {
    visits += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  stack.defer(() => void service.close());
  const trap = `/ip4/127.0.0.1/tcp/${(service.address() as AddressInfo).port}`;
  const options = { preset: 'production', listen: ['/ip4/0.0.0.0/tcp/0'] } as const;
  const node = stack.use(await startTestNode({ options }));
  const stranger = await createTestIdentity();
  const { wire } = await signNodeRecord(stranger, Date.now(), { addresses: [trap] });
  stack.use(await RogueProvider.start(node.address(), { records: [wire] }));
  await until(node, () => node.network.peers.get(stranger.peer)?.record?.signer === stranger.peer);
  const ask = node.network.request(stranger.peer, 'records', { op: 'sample', limit: 1 });
  await expect(ask).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
  expect(visits).toBe(0);
  await expect(node.network.connect(trap)).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
  expect(visits).toBe(1);
});

it('node records that are forged or stale change nothing, and are counted', async () => {
  await using stack = new AsyncDisposableStack();
  const mesh = await startHonestMesh(stack, 1);
  const { requester } = mesh;
  const [victim] = requester.network.peers.providers();
  if (victim === undefined) throw new TypeError('no provider');
  const stranger = await createTestIdentity();
  const records = [];
  for (const [, , forge] of forgeries) records.push((await forge(victim.value, stranger)).wire);
  await joinRogues(stack, mesh, [{ records, refuseOffer: () => ({ code: 'DRAINING', detail: 'a rogue' }) }]);
  for (const [name, code] of forgeries) {
    expect(requester.metrics.read('fogproof_network_records_total', { code }), name).toBeGreaterThan(0);
  }
  expect(requester.network.peers.get(stranger.peer)?.record ?? null).toBeNull();
  expect(requester.network.peers.get(victim.value.peer)?.record?.id).toBe(victim.id);
  expect(await runJob(requester)).toMatchObject({ state: 'completed', attempts: [{ provider: victim.value.peer }] });
});
