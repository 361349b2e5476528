import { WASI_PROGRAM_NAME } from '../constants.ts';
import type { HostFunctions } from '../host-functions.ts';
import { createFailure, halt, ProgramHalt } from '../program-halt.ts';
import { CLOCK_ABSOLUTE, ERRNO, EVENT_BYTES, EVENT_TYPE, SUBSCRIPTION_BYTES } from './wasi-constants.ts';
import type { WasiState } from './wasi-state.ts';

const UTF8 = new TextEncoder();
const NUL = Uint8Array.of(0);

/** Strings as WASI passes them: an array of pointers and a buffer, each string ended by a zero byte. */
class StringList {
  private readonly state: WasiState;
  private readonly strings: readonly Uint8Array[];

  constructor(state: WasiState, strings: readonly string[]) {
    this.state = state;
    this.strings = strings.map((text) => UTF8.encode(text));
  }

  sizes(countPointer: number, bytesPointer: number): number {
    const { memory } = this.state.context;
    memory.writeU32(countPointer, this.strings.length);
    memory.writeU32(
      bytesPointer,
      this.strings.reduce((sum, bytes) => sum + bytes.length + 1, 0),
    );
    return ERRNO.success;
  }

  write(pointers: number, buffer: number): number {
    const { memory } = this.state.context;
    let at = buffer >>> 0;
    for (const [index, bytes] of this.strings.entries()) {
      this.state.context.chargeCopy(bytes.length);
      memory.writeU32((pointers >>> 0) + index * 4, at);
      memory.write(at, bytes);
      memory.write(at + bytes.length, NUL);
      at += bytes.length + 1;
    }
    return ERRNO.success;
  }
}

interface Subscription {
  readonly userData: bigint;
  readonly type: number;
  /** When it fires, for a clock. */
  readonly timeNs: bigint;
}

class Poll {
  private readonly state: WasiState;

  constructor(state: WasiState) {
    this.state = state;
  }

  /** Files are always ready; else the earliest clock fires at once, and time jumps to it. */
  run(input: number, output: number, count: number, result: number): number {
    if (count >>> 0 === 0) return ERRNO.inval;
    this.state.context.charge((count >>> 0) * SUBSCRIPTION_BYTES);
    const now = this.state.readClock();
    const subscriptions: Subscription[] = [];
    for (let index = 0; index < count >>> 0; index++) {
      subscriptions.push(this.read((input >>> 0) + index * SUBSCRIPTION_BYTES, now));
    }
    const ready = this.chooseReady(subscriptions);
    for (const [index, event] of ready.entries()) this.write((output >>> 0) + index * EVENT_BYTES, event);
    this.state.context.memory.writeU32(result, ready.length);
    return ERRNO.success;
  }

  private chooseReady(subscriptions: readonly Subscription[]): readonly Subscription[] {
    const others = subscriptions.filter((entry) => entry.type !== EVENT_TYPE.clock);
    if (others.length > 0) return others;
    const earliest = subscriptions.reduce((a, b) => (b.timeNs < a.timeNs ? b : a));
    this.state.advanceClockTo(earliest.timeNs);
    return subscriptions.filter((entry) => entry.timeNs <= earliest.timeNs);
  }

  private read(at: number, now: bigint): Subscription {
    const { memory } = this.state.context;
    const timeout = memory.readU64(at + 24);
    const isAbsolute = (memory.readU16(at + 40) & CLOCK_ABSOLUTE) !== 0;
    return { userData: memory.readU64(at), type: memory.readU8(at + 8), timeNs: isAbsolute ? timeout : now + timeout };
  }

  private write(at: number, event: Subscription): void {
    const { memory } = this.state.context;
    memory.view(at, EVENT_BYTES).fill(0);
    memory.writeU64(at, event.userData);
    memory.writeU8(at + 10, event.type);
    if (event.type !== EVENT_TYPE.clock) memory.writeU64(at + 16, 1n);
  }
}

function exit(code: number): never {
  if (code === 0) throw new ProgramHalt({ kind: 'completed' });
  throw new ProgramHalt(createFailure('EXIT_CODE', String(code >>> 0)));
}

/** Arguments, environment, clocks, randomness, waiting, exit; no sockets. */
export function createSystemCalls(state: WasiState): HostFunctions {
  const { context } = state;
  const programArguments = new StringList(state, [WASI_PROGRAM_NAME, ...context.task.arguments]);
  const environment = new StringList(
    state,
    context.task.environment.map(([name, value]) => `${name}=${value}`),
  );
  const poll = new Poll(state);
  const noSockets = (): number => ERRNO.nosys;
  return {
    args_get: (pointers: number, buffer: number) => programArguments.write(pointers, buffer),
    args_sizes_get: (count: number, bytes: number) => programArguments.sizes(count, bytes),
    environ_get: (pointers: number, buffer: number) => environment.write(pointers, buffer),
    environ_sizes_get: (count: number, bytes: number) => environment.sizes(count, bytes),
    clock_res_get: (id: number, result: number) => {
      if (id >>> 0 > 3) return ERRNO.inval;
      context.memory.writeU64(result, 1_000_000n);
      return ERRNO.success;
    },
    clock_time_get: (id: number, _precision: bigint, result: number) => {
      if (id >>> 0 > 3) return ERRNO.inval;
      context.memory.writeU64(result, state.readClock());
      return ERRNO.success;
    },
    poll_oneoff: (input: number, output: number, count: number, result: number) =>
      poll.run(input, output, count, result),
    proc_exit: (code: number) => exit(code),
    proc_raise: (signal: number) => halt('TRAP', `the program raised signal ${signal >>> 0}`),
    random_get: (pointer: number, length: number) => {
      context.fillRandom(context.memory.view(pointer, length));
      return ERRNO.success;
    },
    sched_yield: () => ERRNO.success,
    sock_accept: noSockets,
    sock_recv: noSockets,
    sock_send: noSockets,
    sock_shutdown: noSockets,
  };
}
