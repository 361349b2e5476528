import { MAX_OUTPUT_FILES, MAX_PATH_LENGTH, WASI_OUTPUT } from '../constants.ts';
import {
  chargeCalls,
  type HostAbi,
  type HostFunctions,
  type HostProgram,
  type ProgramInstance,
  parseSignature,
  parseSignatures,
} from '../host-functions.ts';
import type { ProgramContext, ProgramFile } from '../program-context.ts';
import { halt, ProgramHalt } from '../program-halt.ts';
import { createDescriptorCalls } from './descriptor-calls.ts';
import { createPathCalls } from './path-calls.ts';
import { createSystemCalls } from './system-calls.ts';
import { WasiState } from './wasi-state.ts';

/**
 * WASI preview 1 for command modules, all in memory: `/` holds the inputs, files under `/output/` are the outputs, clocks and
 * randomness follow from the job alone, and there are no sockets and no links.
 */
export const WASI_ABI: HostAbi = {
  importModule: 'wasi_snapshot_preview1',
  signatures: parseSignatures({
    args_get: 'ii:i',
    args_sizes_get: 'ii:i',
    environ_get: 'ii:i',
    environ_sizes_get: 'ii:i',
    clock_res_get: 'ii:i',
    clock_time_get: 'iIi:i',
    fd_advise: 'iIIi:i',
    fd_allocate: 'iII:i',
    fd_close: 'i:i',
    fd_datasync: 'i:i',
    fd_fdstat_get: 'ii:i',
    fd_fdstat_set_flags: 'ii:i',
    fd_fdstat_set_rights: 'iII:i',
    fd_filestat_get: 'ii:i',
    fd_filestat_set_size: 'iI:i',
    fd_filestat_set_times: 'iIIi:i',
    fd_pread: 'iiiIi:i',
    fd_prestat_get: 'ii:i',
    fd_prestat_dir_name: 'iii:i',
    fd_pwrite: 'iiiIi:i',
    fd_read: 'iiii:i',
    fd_readdir: 'iiiIi:i',
    fd_renumber: 'ii:i',
    fd_seek: 'iIii:i',
    fd_sync: 'i:i',
    fd_tell: 'ii:i',
    fd_write: 'iiii:i',
    path_create_directory: 'iii:i',
    path_filestat_get: 'iiiii:i',
    path_filestat_set_times: 'iiiiIIi:i',
    path_link: 'iiiiiii:i',
    path_open: 'iiiiiIIii:i',
    path_readlink: 'iiiiii:i',
    path_remove_directory: 'iii:i',
    path_rename: 'iiiiii:i',
    path_symlink: 'iiiii:i',
    path_unlink_file: 'iii:i',
    poll_oneoff: 'iiii:i',
    proc_exit: 'i:',
    proc_raise: 'i:i',
    random_get: 'ii:i',
    sched_yield: ':i',
    sock_accept: 'iii:i',
    sock_recv: 'iiiiii:i',
    sock_send: 'iiiii:i',
    sock_shutdown: 'ii:i',
  }),
  requiredExports: { _start: parseSignature(':') },
  create: (context) => new WasiProgram(context),
};

class WasiProgram implements HostProgram {
  readonly functions: HostFunctions;
  private readonly state: WasiState;

  constructor(context: ProgramContext) {
    this.state = new WasiState(context);
    this.functions = chargeCalls(context, {
      ...createDescriptorCalls(this.state),
      ...createPathCalls(this.state),
      ...createSystemCalls(this.state),
    });
  }

  begin(): void {
    this.state.rounds?.start();
  }

  run({ exports }: ProgramInstance): void {
    // Checked to be a function of this type before the module ran.
    const start = exports['_start'] as () => void;
    const exit = catchExit(start);
    this.assertOutputLimits();
    if (exit !== null && exit.outcome.kind !== 'completed') throw exit;
    this.flush();
    this.state.rounds?.end();
  }

  private assertOutputLimits(): void {
    const { outputBytes } = this.state.context.task;
    const outputs = this.outputs();
    const total = outputs.reduce((sum, file) => sum + file.bytes.length, 0);
    if (total > outputBytes) halt('OUTPUT_LIMIT', `more than ${outputBytes} bytes of output`);
    if (outputs.length > MAX_OUTPUT_FILES) halt('OUTPUT_LIMIT', `more than ${MAX_OUTPUT_FILES} output files`);
    const long = outputs.find((file) => file.path.length > MAX_PATH_LENGTH);
    if (long !== undefined) halt('OUTPUT_LIMIT', `the path of an output has more than ${MAX_PATH_LENGTH} characters`);
  }

  flush(): void {
    this.state.stdout.flush();
    this.state.stderr.flush();
  }

  outputs(): readonly ProgramFile[] {
    return this.state.files.list(WASI_OUTPUT);
  }
}

/** How the program ended itself; null if `_start` returned. */
function catchExit(start: () => void): ProgramHalt | null {
  try {
    start();
    return null;
  } catch (error) {
    if (!(error instanceof ProgramHalt)) throw error;
    const { outcome } = error;
    if (outcome.kind === 'completed' || (outcome.kind === 'program-failed' && outcome.code === 'EXIT_CODE'))
      return error;
    throw error;
  }
}
