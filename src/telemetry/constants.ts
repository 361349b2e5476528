/** Size at which the log file is moved aside, in bytes. */
export const LOG_FILE_MAX_BYTES = 16 * 1024 * 1024;

/** Log files kept besides the one being written: `node.log.1` is the newest. */
export const LOG_FILES_KEPT = 4;

/** Depth to which fields of a log line are followed; deeper ones are cut. */
export const MAX_FIELD_DEPTH = 6;

/** Longest string and list kept in a log line, so that a peer cannot fill the disk through one field. */
export const MAX_FIELD_LENGTH = 2000;
export const MAX_FIELD_ITEMS = 100;

/** Upper bounds of histograms of durations, in seconds: from a round trip on one machine to a long job. */
export const DURATION_BUCKETS: readonly number[] = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600,
];
