import type { CheckpointSchedule } from '../../src/domain/job.ts';
import type { SnapshotState } from '../../src/domain/snapshot.ts';
import { type PreparedProgram, prepareProgram } from '../../src/wasm/runtime/prepare-program.ts';
import type { ProgramTask } from '../../src/wasm/runtime/program-context.ts';
import { type ProgramResult, runProgram } from '../../src/wasm/runtime/run-program.ts';
import type { CapturedState, ResumeImage } from '../../src/wasm/stepping/interface.ts';
import { createSeededNumbers } from './stepping-modules.ts';

export type MemoryState = Extract<SnapshotState, { kind: 'memory' }>;

/** A checkpoint, copied out of the program. */
export interface TakenState {
  readonly step: number;
  readonly fuel: number;
  readonly place: CapturedState['place'];
  readonly stateRoot: string;
  readonly metricsHash: string;
  readonly ordinal: number;
  readonly state: MemoryState;
  /** Empty unless the run took pieces. */
  readonly pieces: readonly Uint8Array[];
  /** SHA-256 of each piece, as the program gave it. */
  readonly pieceDigests: string;
}

export interface SteppingRun {
  readonly result: ProgramResult;
  readonly states: readonly TakenState[];
  /** Logs and metrics with their ordinals. */
  readonly events: readonly string[];
  readonly metrics: readonly { readonly step: number; readonly name: string; readonly bits: string }[];
}

export interface SteppingOptions {
  readonly checkpoints?: CheckpointSchedule | null;
  readonly resume?: ResumeImage | null;
  readonly task?: Partial<ProgramTask>;
  /** Answers with `halt` at the checkpoint of this step that is not the start. */
  readonly haltAt?: number;
  readonly takesPieces?: boolean;
  readonly onCheckpoint?: () => void;
}

const HEX = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const EVERY_STEP: CheckpointSchedule = { kind: 'steps', every: 1 };

export function prepareStepping(bytes: Uint8Array, maxPages = 64): PreparedProgram {
  return prepareProgram(bytes, { abi: 'fogproof', maxPages });
}

/** Inputs and seed for the modules of `buildSteppingModule`. */
export function createSteppingTask(seed: number): Pick<ProgramTask, 'seed' | 'inputs'> {
  const below = createSeededNumbers(seed);
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => below(256));
  return {
    seed: bytes(32),
    inputs: [
      { path: '/a', bytes: bytes(100) },
      { path: '/b', bytes: bytes(33) },
    ],
  };
}

export function runStepping(prepared: PreparedProgram, options: SteppingOptions = {}): SteppingRun {
  const states: TakenState[] = [];
  const events: string[] = [];
  const metrics: { step: number; name: string; bits: string }[] = [];
  const { checkpoints = EVERY_STEP, resume = null, haltAt, takesPieces = false } = options;
  const task: ProgramTask = {
    arguments: [],
    environment: [],
    seed: new Uint8Array(32),
    inputs: [],
    fuel: 1e9,
    outputBytes: 1e7,
    logBytes: 1e7,
    ...options.task,
    checkpoints,
    resume,
  };
  const result = runProgram(prepared, task, {
    log: (_stream, text, ordinal) => events.push(`${ordinal} log ${HEX(text)}`),
    metric: (step, name, value, ordinal) => {
      events.push(`${ordinal} metric ${step} ${HEX(name)} ${value}`);
      metrics.push({ step, name: Buffer.from(name).toString('utf8'), bits: toBits(value) });
    },
    tick: () => {},
    checkpoint: (captured) => {
      options.onCheckpoint?.();
      states.push(copyState(captured, takesPieces));
      return captured.place !== 'start' && captured.step === haltAt ? 'halt' : 'continue';
    },
  });
  return { result, states, events, metrics };
}

/** Big-endian binary64; every NaN is the same. */
function toBits(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return Number.isNaN(value) ? '7ff8000000000000' : bytes.toString('hex');
}

function copyState(captured: CapturedState, takesPieces: boolean): TakenState {
  const { state } = captured;
  if (state.kind !== 'memory') throw new TypeError('not a state of memory');
  const count = takesPieces ? captured.pieces.length / 32 : 0;
  return {
    step: captured.step,
    fuel: captured.fuel,
    place: captured.place,
    stateRoot: HEX(captured.stateRoot),
    metricsHash: HEX(captured.metricsHash),
    ordinal: captured.ordinal,
    state: {
      kind: 'memory',
      host: state.host.slice(),
      globals: state.globals.slice(),
      pages: state.pages.slice(),
      output: state.output.slice(),
    },
    pieces: Array.from({ length: count }, (_, place) => captured.readPiece(place).slice()),
    pieceDigests: takesPieces ? HEX(captured.pieces) : '',
  };
}

export function toImage({ step, state, pieces }: TakenState): ResumeImage {
  return { step, state, pieces };
}

/** What has to be equal between runs that are the same: no pieces, and no place, since a resumed run begins anew. */
export function describeState({ step, fuel, stateRoot, metricsHash, ordinal }: TakenState): string {
  return `${step} ${fuel} ${stateRoot} ${metricsHash} ${ordinal}`;
}
