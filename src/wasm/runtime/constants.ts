/** Fuel of every call into the host: about what its JavaScript costs, in instructions. */
export const HOST_CALL_FUEL = 200;
/** Fuel of one call of `fogproof_step`. */
export const STEP_FUEL = 64;
/** Bytes that a host function copies for one unit of fuel. */
export const COPY_BYTES_PER_FUEL = 8;
/** Fuel for each byte that leaves the sandbox while the program runs. */
export const LOG_FUEL_PER_BYTE = 4;
/** Fuel for each random byte: SHA-256 runs at about that. */
export const RANDOM_FUEL_PER_BYTE = 8;
/** Fuel for each byte of a path that is looked up. */
export const PATH_FUEL_PER_BYTE = 16;

/** Longest name of a metric in bytes (domain/messages.ts bounds the event's name by as many characters). */
export const MAX_METRIC_NAME_BYTES = 128;
/** Bytes that each log event counts for besides its text: without it empty events would be free and endless. */
export const LOG_OVERHEAD_BYTES = 16;
/** Fuel of each event that leaves the sandbox: node and requester handle, store and send it, 2 µs and more. */
export const EVENT_FUEL = 2000;
/** Bytes that a metric counts for against the job's log limit, besides its name: u64 step, u32 length, f64 value. */
export const METRIC_OVERHEAD_BYTES = 20;
/** Longest text of one log event; longer writes are split (domain/messages.ts bounds an event by 65,536 characters). */
export const MAX_LOG_EVENT_BYTES = 16_384;
/** Most output files, as many as a result may list (domain/receipt.ts). */
export const MAX_OUTPUT_FILES = 256;
/** Longest output path in characters (domain/job.ts, jobPathSchema). */
export const MAX_PATH_LENGTH = 512;

/** The single output file of the `fogproof` ABI. */
export const FOGPROOF_OUTPUT = '/output';
/** Folder whose files are the outputs of the `wasi` ABI. */
export const WASI_OUTPUT = '/output';
/** Folder whose files are the state of a WASI program that reports training rounds (docs/stepping.md section 7). */
export const WASI_CHECKPOINT = '/checkpoint';
/** Closing it reports the round that it holds. */
export const ROUND_FILE = '/checkpoint/ROUND';
/** Most files under it, as many as a snapshot may list (domain/snapshot.ts). */
export const MAX_CHECKPOINT_FILES = 256;
/** Bytes that the files of a WASI program may take besides its outputs. */
export const WASI_SCRATCH_BYTES = 64 * 1024 * 1024;
/** What a WASI clock shows first: 2020-01-01T00:00:00Z in ns. Each look at it takes 1 ms. */
export const WASI_EPOCH_NS = 1_577_836_800_000_000_000n;
export const WASI_TICK_NS = 1_000_000n;
/** Open descriptors of one WASI program. */
export const MAX_DESCRIPTORS = 1024;
/** Files and folders of one WASI program. */
export const MAX_NODES = 65_536;
/** Folders inside one another. */
export const MAX_FOLDER_DEPTH = 64;
/** First argument of a WASI program: its name, which is the same everywhere. */
export const WASI_PROGRAM_NAME = 'program';
