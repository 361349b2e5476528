/** Numbers on x86-64 (asm/unistd_64.h) and on arm64 (asm-generic/unistd.h); null where the call does not exist. */
export type Numbers = readonly [x64: number | null, arm64: number | null];

export interface Architecture {
  readonly column: 0 | 1;
  readonly audit: number;
}

/** linux/audit.h: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: { column: 0, audit: 0xc000_003e },
  arm64: { column: 1, audit: 0xc000_00b7 },
};

/** What is known of an architecture of Node's names; null if there is no table of calls for it. */
export function findArchitecture(name: string): Architecture | null {
  return ARCHITECTURES[name] ?? null;
}

/** The number of a call, or -1, which is no call, where the architecture has none. */
export function numberOf(numbers: Numbers, column: 0 | 1): number {
  return numbers[column] ?? -1;
}
