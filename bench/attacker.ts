/**
 * Attacks one daemon until it is killed, with a new identity whenever it is cut off.
 * Usage: attacker.ts KIND NETWORK ADDRESS
 *   flood  announcements that are garbage, validly signed pubsub messages, as fast as they are taken
 *   noise  frames of every request protocol, right, changed, cut short or random
 *   hold   opens streams of every protocol and neither writes nor reads
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createNoise } from '../scripts/chaos/rogue.ts';
import { seededRandom } from '../scripts/crash-anchoring/leaves.ts';
import { SystemRandom } from '../src/lib/random.ts';
import { topicId } from '../src/network/gossip/topics.ts';
import { PROTOCOL_NAMES, protocolId } from '../src/network/reqresp/protocols.ts';
import { RawHost } from '../test/support/adversary.ts';
import { RawGossip } from '../test/support/gossip-attacker.ts';

const MESSAGE_BYTES = 1_024;
const MESSAGES_AT_ONCE = 16;
const HELD_STREAMS = 64;
const AGAIN_MS = 100;

const random = new SystemRandom();
const draw = seededRandom(7);

interface Target {
  readonly network: string;
  readonly address: string;
}

const KINDS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  flood: async ({ network, address }) => {
    await using peer = await RawGossip.dial({ address });
    const topic = topicId(network, 'jobs/cpu');
    for (;;) {
      const messages = await Promise.all(
        Array.from({ length: MESSAGES_AT_ONCE }, () => peer.signMessage({ topic, data: random.bytes(MESSAGE_BYTES) })),
      );
      peer.send({ messages });
      if (peer.stream.status !== 'open') return;
      await sleep(1);
    }
  },
  noise: async ({ network, address }) => {
    await using host = await RawHost.dial(address);
    while (host.connection.status === 'open') {
      const protocol = PROTOCOL_NAMES[draw(PROTOCOL_NAMES.length)] ?? 'job';
      const stream = await host.connection.newStream(protocolId(network, protocol));
      for (let turn = 0; turn <= draw(6); turn += 1) stream.send(createNoise(draw));
      stream.abort(new Error('done'));
      await sleep(1);
    }
  },
  hold: async ({ network, address }) => {
    await using host = await RawHost.dial(address);
    for (let index = 0; index < HELD_STREAMS; index += 1) {
      const protocol = PROTOCOL_NAMES[index % PROTOCOL_NAMES.length] ?? 'job';
      await host.connection.newStream(protocolId(network, protocol));
    }
    while (host.connection.status === 'open') await sleep(AGAIN_MS);
  },
};

const [kind = '', network = '', address = ''] = process.argv.slice(2);
const attack = KINDS[kind];
if (attack === undefined) throw new RangeError(`no kind ${kind}: expected ${Object.keys(KINDS).join(', ')}`);
for (;;) {
  // Refused or cut off, as an attacker has to expect.
  await attack({ network, address }).catch(() => undefined);
  await sleep(AGAIN_MS);
}
