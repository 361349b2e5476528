import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeRecord } from '../../../src/domain/node-record.ts';
import type { Signed, SignedWire } from '../../../src/domain/signed.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { RecordPublisher } from '../../../src/network/peers/record-publisher.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { createTestIdentity, TEST_CONTENT } from '../../support/network.ts';
import { signNodeRecord } from '../../support/record-builder.ts';

/** The outlets of a publisher, and what went where. */
class Outlets {
  readonly clock = new ManualClock();
  readonly contacts = { size: 0 };
  readonly gossiped: SignedWire[] = [];
  readonly put: SignedWire[] = [];
  readonly provided: (readonly string[])[] = [];
  readonly publisher: RecordPublisher;
  #running: Promise<void> = Promise.resolve();

  constructor(identity: Identity) {
    let issued = 0;
    const issue = (content: typeof TEST_CONTENT): Promise<Signed<NodeRecord>> => {
      issued += 1;
      return signNodeRecord(identity, this.clock.nowMs() + issued, content);
    };
    this.publisher = new RecordPublisher(
      {
        ownRecord: { issue, raiseSequence: () => undefined },
        clock: this.clock,
        ownAddresses: () => [],
        inBackground: (task) => {
          this.#running = this.#running.then(task);
        },
      },
      { recordTtlMs: 600_000 },
    );
  }

  async start(): Promise<void> {
    const { contacts } = this;
    const directory = {
      putRecord: async (_peer: unknown, wire: SignedWire) => void this.put.push(wire),
      provide: async (classes: readonly string[]) => void this.provided.push(classes),
    };
    const gossip = { publish: async (wire: SignedWire) => void this.gossiped.push(wire) };
    await this.publisher.start({ gossip, directory, contacts, signal: new AbortController().signal });
  }

  async addContact(): Promise<void> {
    this.contacts.size += 1;
    this.publisher.noteContact();
    await this.settle();
  }

  async settle(): Promise<void> {
    await this.#running;
  }
}

describe('the own record', () => {
  let outlets: Outlets;
  beforeEach(async () => {
    outlets = new Outlets(await createTestIdentity());
    await outlets.start();
  });

  it('goes to the DHT as soon as that has somebody, and once', async () => {
    await outlets.publisher.update(TEST_CONTENT);
    await outlets.settle();
    expect([outlets.gossiped.length, outlets.put.length]).toEqual([1, 0]);
    await outlets.addContact();
    await outlets.addContact();
    expect(outlets.put).toEqual(outlets.gossiped);
    expect(outlets.provided).toEqual([TEST_CONTENT.capabilities]);
  });

  it('goes to the DHT in its newest form', async () => {
    await outlets.publisher.update(TEST_CONTENT);
    await outlets.publisher.update({ ...TEST_CONTENT, role: { provides: false, requests: true } });
    await outlets.addContact();
    expect(outlets.put).toEqual(outlets.gossiped.slice(1));
    expect(outlets.provided).toEqual([[]]);
  });

  it('goes to the DHT at once where it can, and nowhere after the end', async () => {
    outlets.contacts.size = 1;
    await outlets.publisher.update(TEST_CONTENT);
    await outlets.settle();
    expect(outlets.put).toHaveLength(1);
    outlets.contacts.size = 0;
    await outlets.publisher.update(TEST_CONTENT);
    outlets.publisher.stop();
    await outlets.addContact();
    expect(outlets.put).toHaveLength(1);
  });
});
