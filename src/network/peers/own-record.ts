import { UnixMs } from '../../domain/ids.ts';
import { NODE_RECORD, type NodeRecord } from '../../domain/node-record.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import type { Identity } from '../../identity/interface.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import { signObject } from '../../proofs/signed-object.ts';
import type { Database, Repository } from '../../storage/interface.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_ADDRESSES } from '../constants.ts';
import type { NodeRecordContent } from '../interface.ts';
import { createInstance } from './instance.ts';
import { openRecord, RECORD_WIRE_CODEC } from './record-wire.ts';

export interface OwnRecordModules {
  readonly identity: Identity;
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface OwnRecordOptions {
  readonly networkId: string;
  readonly recordTtlMs: number;
  readonly software: string;
}

/** Builds and signs the own node record; its sequence never goes back, over restarts and set-back clocks. */
export class OwnRecord {
  readonly #modules: OwnRecordModules;
  readonly #options: OwnRecordOptions;
  readonly #repository: Repository<SignedWire>;
  /** Random for this start; it begins with the start's time, so that of two daemons the later one is known. */
  readonly instance: Uint8Array;
  readonly startedAtMs: number;
  #sequence = 0;
  #current: Signed<NodeRecord> | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(modules: OwnRecordModules, options: OwnRecordOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#repository = modules.database.repository('node-records', RECORD_WIRE_CODEC);
    this.startedAtMs = modules.clock.nowMs();
    this.instance = createInstance(this.startedAtMs, modules.random);
  }

  get current(): Signed<NodeRecord> | null {
    return this.#current;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** Finds the sequence that this identity reached before. */
  async load(): Promise<void> {
    const { identity, logger } = this.#modules;
    const wire = await this.#repository.get(identity.peer);
    if (wire === undefined) return;
    const opened = await openRecord(wire, identity.peer);
    if (opened.kind === 'opened') this.#sequence = opened.record.value.sequence;
    else logger.warn({ code: opened.code }, 'the stored own record cannot be read; its sequence starts from the clock');
  }

  /** A sequence of this identity was seen elsewhere: later records go above it. */
  raiseSequence(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  /** Signs a new record with a raised sequence, stored before it is told to anybody. One at a time. */
  issue(content: NodeRecordContent, addresses: readonly string[]): Promise<Signed<NodeRecord>> {
    const issued = this.#queue.then(() => this.#issueNow(content, addresses));
    this.#queue = issued.catch((error: unknown) => {
      this.#modules.logger.debug({ reason: describeError(error) }, 'an own record could not be issued');
    });
    return issued;
  }

  async #issueNow(content: NodeRecordContent, addresses: readonly string[]): Promise<Signed<NodeRecord>> {
    const { identity, clock } = this.#modules;
    const nowMs = clock.nowMs();
    const sequence = Math.max(this.#sequence + 1, nowMs);
    const record: NodeRecord = {
      type: NODE_RECORD.type as NodeRecord['type'],
      network: this.#options.networkId,
      peer: identity.peer,
      vrfPublicKey: identity.vrfPublicKey,
      sequence,
      issuedAtMs: UnixMs(nowMs),
      expiresAtMs: UnixMs(nowMs + this.#options.recordTtlMs),
      instance: this.instance,
      addresses: addresses.slice(0, MAX_ADDRESSES),
      software: this.#options.software,
      role: content.role,
      claims: content.claims,
      capabilities: content.capabilities,
      executors: content.executors,
      pricesPerHour: content.pricesPerHour,
    };
    const signed = await signObject(NODE_RECORD, record, identity);
    await this.#repository.put(identity.peer, signed.wire, { durable: true });
    this.#sequence = sequence;
    this.#current = signed;
    return signed;
  }
}
