import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { ProgramBuildError } from './errors.ts';

/**
 * Debian's own compiler (packages rustc-web, cargo-web, rust-web-src) and the LLVM that it is built with: no other knows
 * the sources of `core` and the bitcode. What rustup installs is not looked at.
 */
export interface Toolchain {
  readonly cargo: string;
  readonly rustc: string;
  readonly llc: string;
  readonly llvmAr: string;
  readonly versions: ToolchainVersions;
}

/** Two artefacts are comparable only if all of these are equal. */
export interface ToolchainVersions {
  readonly rustc: string;
  readonly cargo: string;
  readonly llvm: string;
  /** RELINKER_VERSION of scripts/programs. */
  readonly relinker: number;
}

/** Raised with every change of scripts/programs that changes what it writes. */
export const RELINKER_VERSION = 1;

const FOLDER = '/usr/bin';

export function findToolchain(folder = FOLDER): Toolchain {
  const rustc = join(folder, 'rustc');
  const cargo = join(folder, 'cargo');
  const missing = [rustc, cargo].filter((path) => !canRead(path));
  if (missing.length > 0) throw new ProgramBuildError({ code: 'PROGRAMS_TOOLCHAIN_MISSING', missing });
  const verbose = run(rustc, ['-vV']);
  const llvm = /^LLVM version: ((\d+)\S*)$/m.exec(verbose);
  const [, llvmVersion = '', llvmMajor = ''] = llvm ?? [];
  const llc = join(folder, `llc-${llvmMajor}`);
  const llvmAr = join(folder, `llvm-ar-${llvmMajor}`);
  const sources = join(run(rustc, ['--print', 'sysroot']).trim(), 'lib/rustlib/src/rust/library/core/src/lib.rs');
  const missingToo = [llc, llvmAr, sources].filter((path) => !canRead(path));
  if (missingToo.length > 0) throw new ProgramBuildError({ code: 'PROGRAMS_TOOLCHAIN_MISSING', missing: missingToo });
  const llcVersion = /LLVM version (\S+)/.exec(run(llc, ['--version']))?.[1];
  if (llcVersion !== llvmVersion) {
    const missing = [`${llc} of version ${llvmVersion}, that of rustc (it is ${llcVersion ?? 'unknown'})`];
    throw new ProgramBuildError({ code: 'PROGRAMS_TOOLCHAIN_MISSING', missing });
  }
  const versions = {
    rustc: readVersion(verbose),
    cargo: readVersion(run(cargo, ['-V'])),
    llvm: llvmVersion,
    relinker: RELINKER_VERSION,
  };
  return { cargo, rustc, llc, llvmAr, versions };
}

export function describeVersions({ rustc, cargo, llvm, relinker }: ToolchainVersions): string {
  return `rustc ${rustc}, cargo ${cargo}, LLVM ${llvm}, relinker ${relinker}`;
}

/** `rustc 1.96.0 (ac68faa20 2026-05-25) (built from …)` without the name and what comes after the commit. */
function readVersion(text: string): string {
  return /^\w+ (\S+(?: \([0-9a-f]+ [0-9-]+\))?)/.exec(text)?.[1] ?? 'unknown';
}

function canRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new ProgramBuildError(
    { code: 'PROGRAMS_TOOLCHAIN_MISSING', missing: [`${command} that runs`] },
    { cause: error },
  );
}
