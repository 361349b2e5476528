/** Native stack of a child in KiB: V8's limit stays 2 MiB below it. 256 bytes for each slot of wasm/constants.ts. */
export const CHILD_STACK_KIB = 66_560;
export const ENGINE_STACK_KIB = 64_512;
/** JavaScript heap of a child in MiB; modules, files and outputs are outside of it. */
export const CHILD_HEAP_MIB = 256;
/** Descriptors that a child may have open. */
export const CHILD_MAX_FILES = 64;
/** Processes and threads of a child: Node starts about ten threads. */
export const CHILD_MAX_TASKS = 32;
/** Memory of a child besides what jobs are given: Node's own 60 MiB, the heap, compiled code, inputs and outputs. */
export const CHILD_OVERHEAD_BYTES = 768 * 1024 * 1024;
/** Memory of a task with checkpoints besides its own: a copy of its pages, to find those that have changed. */
export const MAX_SHADOW_BYTES = 1024 * 1024 * 1024;

/** How often and how long a child's group is tried to be removed: half a second together; a kill takes a few ms. */
export const CGROUP_REMOVE_ATTEMPTS = 50;
export const CGROUP_REMOVE_WAIT_MS = 10;
/** Longest wait for a child to say that it is ready; a loaded machine takes a second. */
export const CHILD_START_TIMEOUT_MS = 20_000;
/** Modules that a child keeps compiled; the oldest goes first. */
export const CHILD_MAX_MODULES = 8;
/**
 * From this size on instrumented modules are kept: a new child takes 0.25 s of CPU and more to make one, and 0.02 s to take
 * it (docs/decisions/0001-instrumenter.md).
 */
export const MIN_CACHED_MODULE_BYTES = 1024 * 1024;
/** Above it each child instruments for itself: the node holds three copies for a moment. CPython has 25 MB. */
export const MAX_CACHED_MODULE_BYTES = 64 * 1024 * 1024;
/** Modules that are remembered as having come once. */
export const MAX_MISSED_MODULES = 256;
/** Longest time that instrumenting one module may take; 25 MB take 3 s. */
export const INSTRUMENT_TIMEOUT_MS = 30_000;
/** Compiled forms (ABI, memory limit) of the modules that a child keeps. */
export const CHILD_MAX_PROGRAMS = 16;

/** Largest frame from a child; outputs come in chunks. */
export const MAX_CHILD_FRAME_BYTES = 1024 * 1024;
/** Largest checkpoint: digests of 4 GiB of memory and as much output (4 MiB), globals (576 KiB), or 256 paths. */
export const MAX_CHECKPOINT_FRAME_BYTES = 5 * 1024 * 1024;
/** Frames of a child that wait for an earlier one to be dealt with; with more, its pipe is not read for a while. */
export const MAX_PARKED_BYTES = 1024 * 1024;
/** What a parked frame counts for besides its bytes. */
export const PARKED_FRAME_BYTES = 128;
/** Pieces of a state that are written to a child at a time. */
export const RESUME_BATCH_BYTES = 512 * 1024;
export const OUTPUT_CHUNK_BYTES = 256 * 1024;
/** What a child writes at a time. */
export const CHILD_BUFFER_BYTES = 64 * 1024;
/** Logs and metrics wait no longer than this in the child. */
export const CHILD_FLUSH_MS = 25;
/** How often a child reports progress; the contract of Executor asks for 250 ms. */
export const CHILD_PROGRESS_MS = 150;
/** How often the parent looks at a child's CPU time while it says nothing. */
export const HEARTBEAT_MS = 100;
/** Memory of a task from which on the child collects garbage before the next one. */
export const COLLECT_ABOVE_BYTES = 64 * 1024 * 1024;
/** What is kept of a child's stderr, for the reason of a crash. */
export const MAX_STDERR_BYTES = 4096;

/** Descriptors that a command may have open; those of its start, one for each input among them. */
export const COMMAND_MAX_FILES = 1024;
/** Files, folders and links that a command may make, in all of its folders together. */
export const COMMAND_MAX_SCRATCH_FILES = 65_536;
/** Memory of a command's group besides what its job is given: bubblewrap's own. */
export const COMMAND_OVERHEAD_BYTES = 4 * 1024 * 1024;
/** Processes of a command's group besides those of its job: bubblewrap's first process in it. */
export const COMMAND_OVERHEAD_TASKS = 1;
/** What the folder of outputs has room for besides `outputBytes`, which are counted exactly when they are collected. */
export const COMMAND_OUTPUT_SLACK_BYTES = 1024 * 1024;
/** How often the node looks at what a command uses, and says that it lives. */
export const COMMAND_BEAT_MS = 100;
/** Longest wait for a sandbox to be ready, without the time that its inputs take. */
export const COMMAND_START_TIMEOUT_MS = 20_000;
/** How often and how long the end of a sandbox's processes is waited for, once they were killed. */
export const COMMAND_END_ATTEMPTS = 400;
export const COMMAND_END_WAIT_MS = 5;
/** How long bubblewrap has to tell its first process before it is ended without it: it does so within a few ms. */
export const BUBBLEWRAP_PID_WAIT_MS = 2_000;
/** The user that programs see themselves as, and that they are outside where the node runs as root: nobody. */
export const COMMAND_USER = 65_534;

/** Descriptors of bubblewrap when it starts a command; those of inputs follow. */
export const COMMAND_STATUS_FD = 3;
export const COMMAND_SECCOMP_FD = 4;
export const COMMAND_REACHED_FD = 5;
export const COMMAND_HOLD_FD = 6;
export const COMMAND_FIRST_INPUT_FD = 7;

/** Descriptors of a child: requests, answers, and what bubblewrap is given. */
export const REQUEST_FD = 0;
export const ANSWER_FD = 3;
export const SECCOMP_FD = 4;
export const INFO_FD = 5;
