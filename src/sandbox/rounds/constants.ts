/** Where a program with training rounds and its node speak to each other; a file system of its own (docs/training.md). */
export const CONTROL_FOLDER = '/fogproof';
/** The program appends a line of JSON for what it measures. */
export const METRICS_NAME = 'metrics.jsonl';
/** The node writes the highest round that it has dealt with: what waits for it may go on. */
export const TAKEN_NAME = 'taken';
/** It is there once the program is to come to a checkpoint soon, since it will be halted there. */
export const PAUSE_NAME = 'pause';
/** In the folder of checkpoint files: the number of the round that they are of. */
export const ROUND_NAME = 'ROUND';

/** How often the node looks for a report: a program that waits for its node waits half of that on average. */
export const ROUNDS_POLL_MS = 20;
/** Looks at a round whose files go on changing before it is left without a checkpoint: a second. */
export const MAX_TORN_LOOKS = 50;
/** Folders, files and other entries under /checkpoint that are looked at: more are refused. */
export const MAX_CHECKPOINT_ENTRIES = 1024;
/** Most bytes of metrics that are read at a time: the rest waits for the next look. */
export const METRICS_READ_BYTES = 256 * 1024;
/** Bytes of metrics that count for one byte of log, besides what is told of them: reading them is work of the node. */
export const READ_BYTES_PER_LOG_BYTE = 16;
/** Longest line of metrics; a longer one is told as a log line that is cut off. */
export const MAX_METRICS_LINE_BYTES = 16 * 1024;
/** Room for metrics in /fogproof, for each byte that the job may log: a line takes twice what it counts for. */
export const METRICS_BYTES_PER_LOG_BYTE = 4;
/** Room in /fogproof besides. */
export const CONTROL_SLACK_BYTES = 256 * 1024;
/** Largest /fogproof. */
export const MAX_CONTROL_BYTES = 256 * 1024 * 1024;
/** Pieces of one state that are hashed at a time, by threads of the node. */
export const PIECES_AT_ONCE = 2;
