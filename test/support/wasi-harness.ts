import type { SnapshotState } from '../../src/domain/snapshot.ts';
import { GuestMemory } from '../../src/wasm/runtime/guest-memory.ts';
import { prepareProgram } from '../../src/wasm/runtime/prepare-program.ts';
import { type LogStream, ProgramContext, type ProgramTask } from '../../src/wasm/runtime/program-context.ts';
import { WASI_ABI } from '../../src/wasm/runtime/wasi/wasi-abi.ts';
import type { CapturedState } from '../../src/wasm/stepping/interface.ts';
import { assembleWat } from './wat.ts';

const CREATE_AND_TRUNCATE = 1 | 8;
const EMPTY_PROGRAM = '(module (memory (export "memory") 1) (func (export "_start")))';

/** A checkpoint of files, copied out of the program. */
export interface TakenFiles extends Pick<CapturedState, 'step' | 'fuel' | 'place' | 'ordinal'> {
  readonly stateRoot: Uint8Array;
  readonly state: SnapshotState;
  readonly pieces: readonly Uint8Array[];
}

function copyCheckpoint(captured: CapturedState): TakenFiles {
  const { step, fuel, place, ordinal, state, stateRoot } = captured;
  const pieces = Array.from({ length: captured.pieces.length / 32 }, (_, at) => captured.readPiece(at).slice());
  return { step, fuel, place, ordinal, state: structuredClone(state), stateRoot: stateRoot.slice(), pieces };
}

const ALL_RIGHTS = (1n << 29n) - 1n;
const PATH_AT = 1024;
const BUFFER_AT = 4096;
export const RESULT_AT = 64;

/** Calls WASI functions directly over a memory of its own. */
export class WasiHarness {
  readonly logs: string[] = [];
  readonly checkpoints: TakenFiles[] = [];
  /** The round at whose checkpoint the program is halted. */
  haltAt: number | null = null;
  readonly data: DataView;
  private readonly bytes: Uint8Array;
  private readonly program: ReturnType<typeof WASI_ABI.create>;
  private readonly fuel = { value: 0n };

  constructor(task: Partial<ProgramTask> = {}) {
    const memory = { buffer: new ArrayBuffer(1 << 20), grow: () => 0 };
    this.bytes = new Uint8Array(memory.buffer);
    this.data = new DataView(memory.buffer);
    const whole = {
      arguments: [],
      environment: [],
      seed: new Uint8Array(32),
      inputs: [],
      fuel: 1e9,
      outputBytes: 1e6,
      logBytes: 1e6,
      checkpoints: null,
      resume: null,
    };
    const context = new ProgramContext(
      { ...whole, ...task },
      {
        log: (stream: LogStream, text: Uint8Array) =>
          this.logs.push(`${stream}: ${Buffer.from(text).toString('utf8')}`),
        metric: () => {},
        tick: () => {},
        checkpoint: (captured) => {
          this.checkpoints.push(copyCheckpoint(captured));
          return captured.place !== 'start' && captured.step === this.haltAt ? 'halt' : 'continue';
        },
      },
    );
    this.program = WASI_ABI.create(context);
    context.attach(new GuestMemory(memory), this.fuel);
    this.program.begin();
  }

  /** Runs `_start`, of which the harness is the body. */
  start(body: () => void): void {
    const { instrumented } = prepareProgram(assembleWat(EMPTY_PROGRAM), { abi: 'wasi', maxPages: 1 });
    this.program.run({ exports: { _start: body }, instrumented });
  }

  /** Writes a whole file under its path, as `fopen`, `fwrite` and `fclose` do. */
  save(path: string, text: string): void {
    const fd = this.open(path, CREATE_AND_TRUNCATE);
    if (fd < 0 || this.write(fd, text) !== Buffer.byteLength(text)) throw new TypeError(`no room for ${path}`);
    this.call('fd_close', fd);
  }

  call(name: string, ...operands: readonly (number | bigint)[]): number {
    const call = this.program.functions[name] as ((...values: readonly (number | bigint)[]) => number) | undefined;
    if (call === undefined) throw new TypeError(`no function ${name}`);
    return call(...operands);
  }

  get fuelLeft(): number {
    return Number(this.fuel.value);
  }

  path(text: string): readonly [pointer: number, length: number] {
    const encoded = Buffer.from(text, 'utf8');
    this.bytes.set(encoded, PATH_AT);
    return [PATH_AT, encoded.length];
  }

  /** The descriptor, or a negative errno. */
  open(
    path: string,
    flags = 0,
    options: { readonly fd?: number; readonly rights?: bigint; readonly fdflags?: number } = {},
  ): number {
    const { fd = 3, rights = ALL_RIGHTS, fdflags = 0 } = options;
    const errno = this.call('path_open', fd, 0, ...this.path(path), flags, rights, rights, fdflags, RESULT_AT);
    return errno === 0 ? this.data.getUint32(RESULT_AT, true) : -errno;
  }

  /** Bytes written, or a negative errno. */
  write(fd: number, text: string): number {
    const encoded = Buffer.from(text, 'utf8');
    this.bytes.set(encoded, BUFFER_AT);
    this.data.setUint32(0, BUFFER_AT, true);
    this.data.setUint32(4, encoded.length, true);
    const errno = this.call('fd_write', fd, 0, 1, RESULT_AT);
    return errno === 0 ? this.data.getUint32(RESULT_AT, true) : -errno;
  }

  read(fd: number, length: number): string | number {
    this.data.setUint32(0, BUFFER_AT, true);
    this.data.setUint32(4, length, true);
    const errno = this.call('fd_read', fd, 0, 1, RESULT_AT);
    if (errno !== 0) return -errno;
    return Buffer.from(this.bytes.subarray(BUFFER_AT, BUFFER_AT + this.data.getUint32(RESULT_AT, true))).toString(
      'utf8',
    );
  }

  text(pointer: number, length: number): string {
    return Buffer.from(this.bytes.subarray(pointer, pointer + length)).toString('utf8');
  }

  flush(): void {
    this.program.flush();
  }

  outputs(): Record<string, string> {
    return Object.fromEntries(
      this.program.outputs().map((file) => [file.path, Buffer.from(file.bytes).toString('utf8')]),
    );
  }
}
