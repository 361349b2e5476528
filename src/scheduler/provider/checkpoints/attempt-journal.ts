import { z } from 'zod';
import { CHECKPOINT } from '../../../domain/checkpoint.ts';
import { integerSchema, type LeaseId, unixMsSchema } from '../../../domain/ids.ts';
import { decodeObject } from '../../../domain/object-type.ts';
import { type SignedWire, signedWireSchema } from '../../../domain/signed.ts';
import { readSignedPayload } from '../../../proofs/signed-object.ts';
import { createCborCodec } from '../../../storage/codecs.ts';
import type { Database, Repository, WriteOperation } from '../../../storage/interface.ts';
import type { RecalledCheckpoint } from '../attempts/event-log.ts';
import { ATTEMPT_ORIGIN_CODEC, ATTEMPT_SIGN_CODEC, type AttemptOrigin, type AttemptSign } from './attempt-origin.ts';
import type { KnownLink, KnownLinks } from './known-links.ts';

/** Digits of a link's index in its key; MAX_CHECKPOINTS has five. */
const INDEX_DIGITS = 5;
/** Rows deleted at a time. */
const DELETE_BATCH = 1_024;
/** Links of an ended attempt that are told again. */
const MAX_RECALLED_LINKS = 1_024;

const linkSchema = z.strictObject({
  index: integerSchema(),
  /** Number of the event that tells of it. */
  sequence: integerSchema(1),
  atMs: unixMsSchema,
  wire: signedWireSchema,
});
export type JournalledLink = z.output<typeof linkSchema>;
export const JOURNALLED_LINK_CODEC = createCborCodec<JournalledLink>(linkSchema);

/**
 * What must outlive the process of attempts that make checkpoints: origin, signs of life, signed links. Kept as long as
 * the record of their lease, so that whoever follows one late still gets its newest links.
 */
export class AttemptJournal {
  readonly #database: Database;
  readonly #origins: Repository<AttemptOrigin>;
  readonly #signs: Repository<AttemptSign>;
  readonly #links: Repository<JournalledLink>;
  /** Leases with an origin on disk. */
  readonly #known = new Set<LeaseId>();

  constructor(database: Database) {
    this.#database = database;
    this.#origins = database.repository('attempt-origins', ATTEMPT_ORIGIN_CODEC);
    this.#signs = database.repository('attempt-signs', ATTEMPT_SIGN_CODEC);
    this.#links = database.repository('checkpoints', JOURNALLED_LINK_CODEC);
  }

  /** Called once, before anything else. */
  async load(): Promise<void> {
    // One that is damaged is there too: its attempt cannot be gone on with, and it goes with its lease.
    const onDamaged = (lease: string): unknown => this.#known.add(lease as LeaseId);
    for await (const [lease] of this.#origins.entries({}, { onDamaged })) this.#known.add(lease as LeaseId);
  }

  get leases(): ReadonlySet<LeaseId> {
    return this.#known;
  }

  /** To be written with the note that the program runs. */
  beginOperations(lease: LeaseId, origin: AttemptOrigin, sign: AttemptSign): readonly WriteOperation[] {
    this.#known.add(lease);
    return [this.#origins.putOperation(lease, origin), this.signOperation(lease, sign)];
  }

  signOperation(lease: LeaseId, sign: AttemptSign): WriteOperation {
    return this.#signs.putOperation(lease, sign);
  }

  linkOperation(lease: LeaseId, link: JournalledLink): WriteOperation {
    return this.#links.putOperation(keyOf(lease, link.index), link);
  }

  async write(operations: readonly WriteOperation[], options: { readonly durable: boolean }): Promise<void> {
    await this.#database.write(operations, options);
  }

  async readOrigin(
    lease: LeaseId,
  ): Promise<{ readonly origin: AttemptOrigin; readonly sign: AttemptSign } | undefined> {
    const origin = await this.#origins.get(lease);
    const sign = await this.#signs.get(lease);
    return origin === undefined || sign === undefined ? undefined : { origin, sign };
  }

  async readSign(lease: LeaseId): Promise<AttemptSign | undefined> {
    return this.#known.has(lease) ? await this.#signs.get(lease) : undefined;
  }

  /** True if a link was journalled since the attempt was begun, or taken up for the last time. */
  async hasAdvanced(lease: LeaseId): Promise<boolean> {
    const sign = await this.readSign(lease);
    return sign !== undefined && (await this.#links.has(keyOf(lease, sign.linksBefore)));
  }

  async readLink(lease: LeaseId, index: number): Promise<SignedWire | undefined> {
    return (await this.#links.get(keyOf(lease, index)))?.wire;
  }

  /** The links that were signed, in order. What stands there was verified before it was written. */
  async readLinks(lease: LeaseId): Promise<KnownLinks> {
    const links: KnownLink[] = [];
    for await (const row of this.#rowsOf(lease)) links.push(describeLink(row));
    return links;
  }

  /**
   * The newest links of an attempt that has ended, as its events note them. Older ones are in the chain of its receipt:
   * whoever asks again and again must not have a long chain read each time.
   */
  async recall(lease: LeaseId): Promise<readonly RecalledCheckpoint[]> {
    if (!this.#known.has(lease)) return [];
    const noted: RecalledCheckpoint[] = [];
    const newest = { ...rangeOf(lease), reverse: true, limit: MAX_RECALLED_LINKS };
    for await (const [, { index, sequence, atMs }] of this.#links.entries(newest)) {
      noted.push({ sequence, atMs, recall: index });
    }
    return noted.reverse();
  }

  async *#rowsOf(lease: LeaseId): AsyncGenerator<JournalledLink> {
    let index = 0;
    for await (const [key, row] of this.#links.entries(rangeOf(lease))) {
      if (key !== keyOf(lease, index)) return;
      index += 1;
      yield row;
    }
  }

  /** The origin goes last, so that what is left half done is found again. */
  async forget(leases: Iterable<LeaseId>): Promise<void> {
    for (const lease of leases) {
      if (this.#known.has(lease)) await this.#forget(lease);
    }
  }

  async #forget(lease: LeaseId): Promise<void> {
    for (;;) {
      const operations: WriteOperation[] = [];
      for await (const [key] of this.#links.entries({ ...rangeOf(lease), limit: DELETE_BATCH })) {
        operations.push(this.#links.deleteOperation(key));
      }
      if (operations.length === 0) break;
      await this.#database.write(operations);
    }
    await this.#database.write([this.#signs.deleteOperation(lease), this.#origins.deleteOperation(lease)]);
    this.#known.delete(lease);
  }
}

/** Copies the hashes, which else would hold the whole payload. */
function describeLink({ wire, sequence }: JournalledLink): KnownLink {
  const { step, stateRoot, metricsHash, atMs, head, snapshot } = decodeObject(CHECKPOINT, readSignedPayload(wire));
  return {
    step,
    stateRoot: stateRoot.slice(),
    metricsHash: metricsHash.slice(),
    atMs,
    head: head.slice(),
    snapshot,
    sequence,
  };
}

function keyOf(lease: LeaseId, index: number): string {
  return `${lease}/${index.toString().padStart(INDEX_DIGITS, '0')}`;
}

/** '0' follows '/' in the order of keys. */
function rangeOf(lease: LeaseId): { readonly gt: string; readonly lt: string } {
  return { gt: `${lease}/`, lt: `${lease}0` };
}
