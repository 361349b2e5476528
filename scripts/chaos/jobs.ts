/** The jobs of a run of faults: small, of every kind, and with the same result whenever they are run. */
import type { BlobId, PeerKey } from '../../src/domain/ids.ts';
import { UnixMs } from '../../src/domain/ids.ts';
import type { JobDraft } from '../../src/scheduler/interface.ts';
import { steppingWat } from '../../test/support/program.ts';
import { assembleWat } from '../../test/support/wat.ts';

/** How its owner treats a job while it runs. */
export type Treatment = 'leave' | 'pause' | 'cancel';

export interface JobKind {
  readonly name: string;
  readonly module: ModuleName;
  /** Jobs of one submit; more than one go together (job.submitMany). */
  readonly count: number;
  /** They go as a batch that has a name (batch.open, batch.submit). */
  readonly hasPlaces: boolean;
  readonly replicas: number;
  readonly quorum: number;
  readonly everySteps: number | null;
  readonly hasBlob: boolean;
  /** Its input is sealed, and goes to a provider that has shown evidence of the simulated hardware. */
  readonly isConfidential: boolean;
  /** Its provider is rated once it has ended. */
  readonly isRated: boolean;
  /** While it lives its requester makes a blob public. */
  readonly sharesBlob: boolean;
  /** Its snapshots are held by a third node. */
  readonly hasHolder: boolean;
  readonly treatment: Treatment;
  readonly retries: number;
  /** Ends at its deadline, this long after it was drafted, ms; null has a result long before it. */
  readonly endsAfterMs: number | null;
}

const PLAIN: Omit<JobKind, 'name' | 'module'> = {
  count: 1,
  hasPlaces: false,
  replicas: 1,
  quorum: 1,
  everySteps: null,
  hasBlob: false,
  isConfidential: false,
  isRated: false,
  sharesBlob: false,
  hasHolder: false,
  treatment: 'leave',
  retries: 32,
  endsAfterMs: null,
};

export const JOB_KINDS: readonly JobKind[] = [
  { ...PLAIN, name: 'single', module: 'quick', isRated: true },
  { ...PLAIN, name: 'replicas', module: 'quick', replicas: 3, quorum: 2 },
  { ...PLAIN, name: 'batch', module: 'quick', count: 8 },
  { ...PLAIN, name: 'stepping', module: 'stepper', everySteps: 4 },
  { ...PLAIN, name: 'stepping replicas', module: 'stepper', everySteps: 4, replicas: 2, quorum: 2 },
  { ...PLAIN, name: 'paused', module: 'stepper', everySteps: 4, treatment: 'pause' },
  { ...PLAIN, name: 'cancelled', module: 'stepper', everySteps: 4, treatment: 'cancel' },
  { ...PLAIN, name: 'failing', module: 'failing' },
  { ...PLAIN, name: 'blob', module: 'reader', hasBlob: true },
  { ...PLAIN, name: 'held by a third', module: 'stepper', everySteps: 4, hasHolder: true },
  { ...PLAIN, name: 'without retries', module: 'stepper', retries: 0 },
  { ...PLAIN, name: 'endless', module: 'endless', endsAfterMs: 5_000 },
  { ...PLAIN, name: 'batch with places', module: 'quick', count: 6, hasPlaces: true },
  { ...PLAIN, name: 'confidential', module: 'opener', isConfidential: true },
  { ...PLAIN, name: 'beside a public blob', module: 'quick', sharesBlob: true },
];

/** Larger than what rides with a message or is kept in the database, bytes. */
export const BLOB_BYTES = 3 * 1024 * 1024;
/** Of the input of a confidential job. */
export const SECRET_BYTES = 2_048;
const STEPS = 24;
/** Turns of the inner loop of a step: some 15 ms. */
const TURNS = 6_000_000;
const DEADLINE_MS = 2 * 3_600_000;

const WORK = `(local $i i32) (local $x i32)
  (global.set $n (i32.add (global.get $n) (i32.const 1)))
  (local.set $x (i32.add (global.get $x) (global.get $n)))
  (loop $l
    (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
    (i32.store (i32.add (i32.const 1024) (i32.and (local.get $x) (i32.const 0xfffc))) (local.get $x))
    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const TURNS))))
  (global.set $x (local.get $x))
  (call $log (i32.const 0) (i32.const 5))
  (call $metric (i32.const 6) (i32.const 5) (f64.convert_i32_u (local.get $x)))`;
const REST = '(global $n (mut i32) (i32.const 0)) (global $x (mut i32) (i32.const 7))';

function worker(options: { readonly steps: number; readonly turns: number; readonly last?: string }): Uint8Array {
  const last = options.last ?? '(call $output_write (i32.const 1024) (i32.const 4096)) (i32.const 1)';
  const wat = steppingWat({
    rest: REST,
    step: `${WORK.replace('TURNS', String(options.turns))}
      (if (result i32) (i32.eq (global.get $n) (i32.const ${options.steps})) (then ${last}) (else (i32.const 0)))`,
  });
  return assembleWat(wat.replace('"memory") 1)', '"memory") 2)'));
}

/** Copies its input, byte for byte, into its output, and marks that it was there. */
function reader(): Uint8Array {
  const pages = Math.ceil(BLOB_BYTES / 65_536) + 1;
  const wat = steppingWat({
    step: `(drop (call $input_read (i32.const 0) (i32.const 65536) (i32.const 0) (i32.const ${BLOB_BYTES})))
      (i32.store (i32.const 65536) (i32.xor (i32.load (i32.const 65536)) (i32.const -1)))
      (call $output_write (i32.const 65536) (i32.const ${BLOB_BYTES}))
      (i32.const 1)`,
  });
  return assembleWat(wat.replace('"memory") 1)', `"memory") ${pages})`));
}

/** Where the opener puts its input: behind what a step writes to. */
const INPUT_AT = 0x20000;

/** Works one step like the others, prints, and gives its small input back with the first word inverted. */
function opener(): Uint8Array {
  const last = `(drop (call $input_read (i32.const 0) (i32.const ${INPUT_AT}) (i32.const 0) (i32.const ${SECRET_BYTES})))
    (i32.store (i32.const ${INPUT_AT}) (i32.xor (i32.load (i32.const ${INPUT_AT})) (i32.const -1)))
    (call $output_write (i32.const ${INPUT_AT}) (i32.const ${SECRET_BYTES}))
    (i32.const 1)`;
  const wat = steppingWat({ rest: REST, step: `${WORK.replace('TURNS', '1000')} ${last}` });
  return assembleWat(wat.replace('"memory") 1)', '"memory") 3)'));
}

export type ModuleName = 'quick' | 'stepper' | 'failing' | 'reader' | 'endless' | 'opener';
/** Modules, the large input of all, and that of confidential jobs. */
export type FileName = ModuleName | 'input' | 'secret';

export function buildModules(): Readonly<Record<ModuleName, Uint8Array>> {
  return {
    quick: worker({ steps: 1, turns: 1_000 }),
    stepper: worker({ steps: STEPS, turns: TURNS }),
    failing: worker({ steps: 3, turns: 1_000, last: 'unreachable' }),
    reader: reader(),
    opener: opener(),
    endless: worker({ steps: 2 ** 30, turns: 20 * TURNS }),
  };
}

export interface StoredBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

export function draftJob(
  kind: JobKind,
  given: {
    readonly module: StoredBlob;
    readonly input: StoredBlob | null;
    readonly holder: PeerKey;
    /** Of confidential jobs, JSON. */
    readonly policy: string;
    readonly replicasLastMs: number;
    readonly nowMs: number;
  },
): JobDraft {
  const { module, input, holder } = given;
  const lastsMs = kind.endsAfterMs ?? (kind.replicas > 1 ? given.replicasLastMs : DEADLINE_MS);
  return {
    name: kind.name,
    deadlineMs: UnixMs(given.nowMs + lastsMs),
    capabilityClass: kind.isConfidential ? 'tee' : 'cpu',
    workload: {
      kind: 'wasm',
      module: module.blob,
      moduleSizeBytes: module.sizeBytes,
      abi: 'fogproof',
      arguments: [],
      environment: {},
      seed: new Uint8Array(32).fill(7),
    },
    inputs: input === null ? [] : [{ path: '/input', ...input }],
    resources: {
      memoryBytes: 8 * 1024 * 1024,
      fuel: 10_000_000_000_000,
      wallTimeMs: 600_000,
      outputBytes: 4 * 1024 * 1024,
      logBytes: 65_536,
    },
    isolation: 'process',
    replication: { replicas: kind.replicas, quorum: kind.quorum, diversity: 'peer' },
    retries: kind.retries,
    market: 'direct',
    priceCeiling: '0',
    ...(kind.isConfidential ? { confidential: { policy: given.policy } } : {}),
    ...(kind.everySteps === null
      ? {}
      : {
          checkpoints: {
            schedule: { kind: 'steps' as const, every: kind.everySteps },
            holder: kind.hasHolder ? holder : null,
            sealed: kind.hasHolder,
          },
        }),
  };
}
