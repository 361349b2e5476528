/**
 * A peer of the network that keeps no rule: random and mutated frames on every protocol.
 * Usage: rogue.ts SEED ADDRESS DURATION_MS
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeCanonical } from '../../src/lib/canonical-cbor.ts';
import { createRawCid } from '../../src/lib/cid.ts';
import { encodeFrame, FRAME_KINDS } from '../../src/network/reqresp/frame-codec.ts';
import { PROTOCOL_NAMES, protocolId } from '../../src/network/reqresp/protocols.ts';
import { RawHost } from '../../test/support/adversary.ts';
import { seededRandom } from '../crash-anchoring/leaves.ts';

const NETWORK = 'chaos';
const KINDS = Object.values(FRAME_KINDS);
const STREAMS_AT_ONCE = 4;
const PAUSE_MS = 5;

export type Draw = (below: number) => number;

const bytes = (draw: Draw, most: number): Uint8Array => new Uint8Array(draw(most)).map(() => draw(256));
const cid = (draw: Draw) => createRawCid(new Uint8Array(32).map(() => draw(256)));

/** Something like a request of any protocol, wrong in what it says. */
function createBody(draw: Draw): Uint8Array {
  const id = cid(draw);
  const bodies = [
    { op: 'ask', subject: id, terms: bytes(draw, 64), attempts: draw(5) },
    { op: 'give', offer: { payload: bytes(draw, 300), signature: bytes(draw, 80) } },
    { op: 'lease', jobs: bytes(draw, 200), leases: [id], inlineBlobs: [] },
    { op: 'attach', leases: [{ lease: id, fromSequence: draw(100) }] },
    { op: 'cancel', leases: [id], reason: 'rogue' },
    { op: 'pause', leases: [id, id], reason: 'rogue' },
    { op: 'close', leases: [id] },
    { op: 'read', blob: id, offset: draw(1_000_000), maxBytes: 1 + draw(100_000) },
    { op: 'stat', blob: id },
    { op: 'leaves', blob: id, first: draw(1_000), count: 1 + draw(16) },
    { op: 'items', snapshot: id, items: [draw(100), draw(100)] },
    { op: 'get', peers: ['12D3KooW'] },
    { op: 'sample', limit: 1 + draw(64) },
    bytes(draw, 500),
    null,
  ];
  return encodeCanonical(bodies[draw(bodies.length)]);
}

/** What it sends at once: a right frame, one with some bytes changed, one cut short, one with a false length, or noise. */
export function createNoise(draw: Draw): Uint8Array {
  const frame = encodeFrame(KINDS[draw(KINDS.length)] ?? 0, draw(2 ** 16), createBody(draw));
  switch (draw(5)) {
    case 0:
      return frame;
    case 1:
      for (let turn = 0; turn <= draw(4); turn += 1) frame[draw(frame.length)] = draw(256);
      return frame;
    case 2:
      return frame.subarray(0, draw(frame.length));
    case 3:
      return Uint8Array.from([draw(256), draw(256), draw(256), draw(256), ...frame]);
    default:
      return bytes(draw, 4_096);
  }
}

async function attack(host: RawHost, draw: Draw): Promise<void> {
  const protocol = PROTOCOL_NAMES[draw(PROTOCOL_NAMES.length)] ?? 'job';
  const stream = await host.connection.newStream(protocolId(NETWORK, protocol), {
    signal: AbortSignal.timeout(2_000),
  });
  for (let turn = 0; turn <= draw(6); turn += 1) stream.send(createNoise(draw));
  if (draw(2) === 0) stream.abort(new Error('rogue'));
  else await stream.close({ signal: AbortSignal.timeout(500) });
}

async function main(): Promise<void> {
  const [seed = '0', address = '', durationMs = '0'] = process.argv.slice(2);
  const draw = seededRandom(Number(seed));
  const endMs = performance.now() + Number(durationMs);
  while (performance.now() < endMs) {
    try {
      await using host = await RawHost.dial(address);
      while (performance.now() < endMs && host.connection.status === 'open') {
        await Promise.allSettled(Array.from({ length: STREAMS_AT_ONCE }, () => attack(host, draw)));
        await sleep(PAUSE_MS);
      }
    } catch {
      // Refused or dropped, as a rogue has to expect: it comes again.
      await sleep(100);
    }
  }
}

if (import.meta.main) await main();
