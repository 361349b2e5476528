/** A disk that can be filled: a small tmpfs where this process may mount one, else a limit on the size of files. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemErrorCode } from '../../src/lib/system-error.ts';

const BALLAST = 'ballast';
const PIECE_BYTES = 64 * 1024;

export type SmallDiskKind = 'tmpfs' | 'file size limit';

export class SmallDisk implements AsyncDisposable {
  readonly kind: SmallDiskKind;
  /** Data folder for one daemon. */
  readonly home: string;
  readonly #mount: string;
  readonly #onExit = (): void => this.#removeNow();

  private constructor(mount: string, kind: SmallDiskKind) {
    this.#mount = mount;
    this.kind = kind;
    this.home = join(mount, 'home');
    process.on('exit', this.#onExit);
  }

  static async open(options: { readonly sizeBytes: number }): Promise<SmallDisk> {
    const mount = await mkdtemp(join(tmpdir(), 'fogproof-chaos-disk-'));
    const isMounted = run('mount', ['-t', 'tmpfs', '-o', `size=${options.sizeBytes}`, 'fogproof-chaos', mount]);
    const disk = new SmallDisk(mount, isMounted ? 'tmpfs' : 'file size limit');
    await mkdir(disk.home, { recursive: true });
    return disk;
  }

  /** Nothing more can be written by this process and its data folder. @returns whether that could be brought about */
  fill(pid: number): boolean {
    if (this.kind === 'file size limit') return run('prlimit', ['--pid', String(pid), '--fsize=4096:unlimited']);
    const file = openSync(join(this.#mount, BALLAST), 'a');
    try {
      for (let size = PIECE_BYTES; size >= 1; size = Math.floor(size / 16)) writeUntilFull(file, size);
    } finally {
      closeSync(file);
    }
    return true;
  }

  free(pid: number | undefined): void {
    if (this.kind === 'tmpfs') rmSync(join(this.#mount, BALLAST), { force: true });
    else if (pid !== undefined) run('prlimit', ['--pid', String(pid), '--fsize=unlimited:unlimited']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#onExit);
    this.#unmount();
    await rm(this.#mount, { recursive: true, force: true, maxRetries: 5 });
  }

  #unmount(): void {
    // Lazily: a process that is being killed may still have files open.
    if (this.kind === 'tmpfs') run('umount', ['-l', this.#mount]);
  }

  #removeNow(): void {
    this.#unmount();
    rmSync(this.#mount, { recursive: true, force: true });
  }
}

function writeUntilFull(file: number, size: number): void {
  const piece = new Uint8Array(size);
  for (;;) {
    try {
      if (writeSync(file, piece) < size) return;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOSPC') return;
      throw error;
    }
  }
}

function run(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
