import { MAX_CHECKPOINTS } from '../../../domain/checkpoint.ts';
import type { Outcome } from '../../../domain/receipt.ts';
import { InternalError } from '../../../lib/errors.ts';
import { SandboxError } from '../../errors.ts';
import type { CheckpointOrder, ExecutionSink, StateCheckpoint } from '../../interface.ts';
import type { CheckpointAnswer } from '../../protocol/answers.ts';
import type { OrderRequest } from '../../protocol/requests.ts';
import { findStateFault, readHost, type SizedPieces, type StateLimits, sizePieces } from './state-check.ts';

/** Links of a chain, its start, and the end that comes however many there were. */
const MAX_EXCHANGES = MAX_CHECKPOINTS + 2;

/** What the receiver of checkpoints threw, apart from what the child did wrong. */
export class SinkRejection extends Error {
  override readonly name = 'SinkRejection';

  constructor(cause: unknown) {
    super('a checkpoint was not taken', { cause });
  }
}

export interface CheckpointExchangeModules {
  readonly sink: Pick<ExecutionSink, 'checkpoint'>;
  readonly sendOrder: (order: OrderRequest) => void;
}

export interface CheckpointExchangeOptions extends StateLimits {
  /** Steps done before this attempt. */
  readonly startStep: number;
  /** A program that completes has told its end. */
  readonly tellsEnd: boolean;
}

interface OrderInHand extends CheckpointOrder {
  readonly pieces: SizedPieces;
}

/**
 * The parent's side of a task's checkpoints: the child tells its state and is silent, is sent an order, gives the pieces
 * that were ordered and nothing else, and goes on. A child that does otherwise breaks the protocol.
 */
export class CheckpointExchange {
  private readonly modules: CheckpointExchangeModules;
  private readonly options: CheckpointExchangeOptions;
  private last: CheckpointAnswer | null = null;
  private count = 0;
  private isAsking = false;
  private order: OrderInHand | null = null;
  private received = 0;
  private isHalted = false;
  private isDone = false;
  private isStopped = false;

  constructor(modules: CheckpointExchangeModules, options: CheckpointExchangeOptions) {
    this.modules = modules;
    this.options = options;
  }

  /** The program waits for its order, or for its pieces to be taken. */
  get isWaiting(): boolean {
    return this.isAsking || this.order !== null;
  }

  /** Nothing is called from here on, whatever is still under way. */
  stop(): void {
    this.isStopped = true;
  }

  /** @throws SandboxError SANDBOX_PROTOCOL if bytes come from a child that waits for its order */
  assertNotAsking(): void {
    if (this.isAsking) refuse('an answer in place of waiting for an order');
  }

  /** @throws SandboxError SANDBOX_PROTOCOL if the child owes pieces, or its end */
  assertMayAnswer(): void {
    if (this.order !== null) refuse('an answer before the pieces that were ordered');
    if (this.isHalted) refuse('an answer of a program that was halted');
  }

  /** Resolves once the order is sent and, if it wants no piece, complete. @throws SandboxError, SinkRejection */
  async take(answer: CheckpointAnswer, ordinal: number): Promise<void> {
    this.assertMayAnswer();
    this.check(answer, ordinal);
    this.last = answer;
    this.isAsking = true;
    let sized: SizedPieces | null = null;
    const readPieces = (): SizedPieces => {
      sized ??= sizePieces(answer.state) ?? refuse('a piece of two sizes');
      return sized;
    };
    const order = await this.call(() => this.modules.sink.checkpoint(describe(answer, readPieces)));
    if (this.isStopped) return;
    assertOrder(order, readPieces);
    this.isAsking = false;
    this.modules.sendOrder({ next: order.then, wanted: order.wanted });
    this.received = 0;
    if (order.wanted.length === 0) return await this.complete(order);
    this.order = { ...order, pieces: readPieces() };
  }

  /** Resolves once it was received, and if it is the last one, all is complete. @throws SandboxError, SinkRejection */
  async takePiece(place: number, bytes: Uint8Array): Promise<void> {
    const { order } = this;
    if (order === null) return refuse('a piece that was not ordered');
    if (place !== order.wanted[this.received]) refuse('a piece out of turn');
    if (bytes.length !== order.pieces.sizes[place]) refuse('a piece has a wrong size');
    await this.call(() => order.receive(place, bytes));
    this.received += 1;
    if (this.received < order.wanted.length || this.isStopped) return;
    this.order = null;
    await this.complete(order);
  }

  /** @throws SandboxError SANDBOX_PROTOCOL if it cannot end so */
  assertEnd(outcome: Outcome): void {
    if (this.order !== null) refuse('an end before the pieces that were ordered');
    const isPaused = outcome.kind === 'attempt-failed' && outcome.code === 'PAUSED';
    if (isPaused && !this.isHalted) refuse('a pause that nobody ordered');
    if (this.isHalted && outcome.kind !== 'attempt-failed') refuse('a result of a program that was halted');
    if (outcome.kind === 'completed' && this.options.tellsEnd && !this.isDone) refuse('an end without its checkpoint');
  }

  private async complete(order: CheckpointOrder): Promise<void> {
    this.isHalted = order.then === 'halt';
    await this.call(() => order.complete());
  }

  private async call<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      throw new SinkRejection(error);
    }
  }

  private check(answer: CheckpointAnswer, ordinal: number): void {
    this.count += 1;
    if (this.count > MAX_EXCHANGES) refuse('too many checkpoints');
    const fault = this.findDisorder(answer) ?? findStateFault(answer.state, this.options);
    if (fault !== null) refuse(`a checkpoint is wrong: ${fault}`);
    if (answer.ordinal !== ordinal) refuse('a checkpoint is wrong: its count of logs and metrics');
    const host = readHost(answer.state);
    if (host !== null && (host.steps !== answer.step || host.fuel !== answer.fuel)) {
      refuse('a checkpoint is wrong: its state is of another step');
    }
    if (host !== null && !Buffer.from(host.metricsHash).equals(answer.metricsHash)) {
      refuse('a checkpoint is wrong: its metrics hash');
    }
    if (host !== null && answer.place !== 'start' && host.isDone !== (answer.place === 'end')) {
      refuse('a checkpoint is wrong: whether it is the end');
    }
    this.isDone = answer.place === 'end' || host?.isDone === true;
  }

  private findDisorder(answer: CheckpointAnswer): string | null {
    const { last } = this;
    if (this.isDone) return 'it comes after the end';
    if ((answer.place === 'start') !== (last === null)) return 'its place';
    if (answer.fuel > this.options.fuel) return 'more fuel than the job has';
    if (last === null) return answer.step === this.options.startStep ? null : 'it does not start where it should';
    if (answer.place === 'middle' && answer.step <= last.step) return 'its step';
    return answer.step < last.step || answer.fuel < last.fuel ? 'it goes back' : null;
  }
}

function refuse(reason: string): never {
  throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
}

function describe(answer: CheckpointAnswer, readPieces: () => SizedPieces): StateCheckpoint {
  return {
    step: answer.step,
    fuel: answer.fuel,
    place: answer.place,
    stateRoot: answer.stateRoot,
    metricsHash: answer.metricsHash,
    ordinal: answer.ordinal,
    state: answer.state,
    // Found only where somebody asks: most checkpoints are hashes and no snapshot.
    get pieces() {
      return readPieces().digests;
    },
  };
}

function assertOrder(order: CheckpointOrder, readPieces: () => SizedPieces): void {
  if (order.wanted.length === 0) return;
  const { sizes } = readPieces();
  let before = -1;
  for (const place of order.wanted) {
    if (!Number.isInteger(place) || place <= before || place >= sizes.length) {
      throw new SinkRejection(new InternalError('an order wants pieces that are not there, or not in order'));
    }
    before = place;
  }
}
