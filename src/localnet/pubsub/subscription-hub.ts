import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_PER_SOCKET } from '../constants.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { RpcFault } from '../rpc/faults.ts';
import { stringifyJson } from '../rpc/json.ts';
import { type JsonRpcRequest, methodNotFound } from '../rpc/json-rpc.ts';
import type { Subscription } from './interface.ts';
import { SUBSCRIPTION_KINDS } from './kinds.ts';

export interface HubModules {
  readonly ledger: Ledger;
  readonly logger: Logger;
}

interface Entry {
  readonly subscription: Subscription;
  readonly kind: string;
  /** Notifications from before the client was told the number; null once it was. */
  early: string[] | null;
  /** It ended by itself; kept until its early notifications were sent. */
  isOver: boolean;
}

/** All subscriptions of all connections, fed by the ledger. */
export class SubscriptionHub implements Disposable {
  readonly #modules: HubModules;
  readonly #sessions = new Set<SubscriptionSession>();
  readonly #listening: Disposable;
  #lastId = 0;
  #count = 0;

  constructor(modules: HubModules) {
    this.#modules = modules;
    this.#listening = modules.ledger.listen({
      onTransaction: (transaction) => this.#tell(({ onTransaction }) => onTransaction?.(transaction)),
      onSlot: (slot) => this.#tell(({ onSlot }) => onSlot?.(slot)),
      onCommitment: (commitment, slot) => this.#tell(({ onCommitment }) => onCommitment?.(commitment, slot)),
    });
  }

  /** Subscriptions of all connections. */
  get size(): number {
    return this.#count;
  }

  /** One for each connection; `send` must not throw. */
  open(send: (text: string) => void): SubscriptionSession {
    const session = new SubscriptionSession(this.#modules, {
      send,
      nextId: () => (this.#lastId += 1),
      count: (by) => {
        this.#count += by;
        return this.#count;
      },
      onClose: () => this.#sessions.delete(session),
    });
    this.#sessions.add(session);
    return session;
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }

  #tell(visit: (subscription: Subscription) => void): void {
    for (const session of this.#sessions) session.tell(visit);
  }
}

interface SessionPorts {
  readonly send: (text: string) => void;
  readonly nextId: () => number;
  readonly count: (by: number) => number;
  readonly onClose: () => void;
}

/** The subscriptions of one connection. */
export class SubscriptionSession implements Disposable {
  readonly #modules: HubModules;
  readonly #ports: SessionPorts;
  readonly #entries = new Map<number, Entry>();

  constructor(modules: HubModules, ports: SessionPorts) {
    this.#modules = modules;
    this.#ports = ports;
  }

  /** `xSubscribe` gives a number, which is also put into `opened`; `xUnsubscribe` takes it. @throws RpcFault */
  async call({ method, params }: JsonRpcRequest, opened: number[]): Promise<unknown> {
    const [, name = '', verb] = /^([a-zA-Z]+)(Subscribe|Unsubscribe)$/.exec(method) ?? [];
    const kind = SUBSCRIPTION_KINDS.get(name);
    if (kind === undefined) throw methodNotFound();
    if (verb === 'Unsubscribe') return this.#unsubscribe(params, name);
    if (this.#entries.size >= MAX_SUBSCRIPTIONS_PER_SOCKET || this.#ports.count(0) >= MAX_SUBSCRIPTIONS) {
      throw new RpcFault('internal', 'Internal Error: Subscription refused. Node subscription limit reached');
    }
    const id = this.#ports.nextId();
    const subscription = kind.create(params, this.#modules.ledger, {
      emit: (result) => this.#emit(id, name, result),
      end: () => this.#end(id),
    });
    this.#entries.set(id, { subscription, kind: name, early: [], isOver: false });
    this.#ports.count(1);
    opened.push(id);
    return id;
  }

  /** The answers with these numbers were sent: what happened since may follow. */
  release(opened: readonly number[]): void {
    for (const id of opened) {
      const entry = this.#entries.get(id);
      if (entry === undefined || entry.early === null) continue;
      const { early, subscription } = entry;
      entry.early = null;
      for (const text of early) this.#ports.send(text);
      if (entry.isOver) this.#remove(id);
      else this.#guard(() => subscription.onReady?.());
    }
  }

  tell(visit: (subscription: Subscription) => void): void {
    for (const { subscription, isOver } of this.#entries.values()) {
      if (!isOver) this.#guard(() => visit(subscription));
    }
  }

  [Symbol.dispose](): void {
    this.#ports.count(-this.#entries.size);
    this.#entries.clear();
    this.#ports.onClose();
  }

  #unsubscribe(params: unknown, name: string): boolean {
    const id: unknown = Array.isArray(params) ? params[0] : undefined;
    if (typeof id !== 'number' || this.#entries.get(id)?.kind !== name) {
      throw new RpcFault('invalidParams', 'Invalid subscription id.');
    }
    this.#remove(id);
    return true;
  }

  #end(id: number): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined && entry.early !== null) entry.isOver = true;
    else this.#remove(id);
  }

  #remove(id: number): void {
    if (this.#entries.delete(id)) this.#ports.count(-1);
  }

  #emit(id: number, name: string, result: unknown): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const params = { result, subscription: id };
    const text = stringifyJson({ jsonrpc: '2.0', method: `${name}Notification`, params });
    if (entry.early === null) this.#ports.send(text);
    else entry.early.push(text);
  }

  /** What cannot be encoded as asked (base58 of a long account) must not stop the others. */
  #guard(visit: () => void): void {
    try {
      visit();
    } catch (error) {
      this.#modules.logger.debug({ reason: describeError(error) }, 'a notification could not be made');
    }
  }
}
