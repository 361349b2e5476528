/**
 * Classic BPF programs for seccomp (linux/filter.h, linux/seccomp.h): struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; } over
 * struct seccomp_data { u32 nr; u32 arch; u64 instruction_pointer; u64 args[6]; }, little-endian.
 */
import { SandboxError } from '../../errors.ts';

const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_OR_EQUAL = 0x35;
const JUMP_ANY_BIT = 0x45;
const AND = 0x54;
const RETURN = 0x06;

const OFFSET_NUMBER = 0;
const OFFSET_ARCHITECTURE = 4;
const OFFSET_ARGUMENTS = 16;
const MAX_INSTRUCTIONS = 4096;

const KILL_PROCESS = 0x8000_0000;
const ALLOW = 0x7fff_0000;
const ERRNO = 0x0005_0000;
const EPERM = 1;
const ENOSYS = 38;
/** System calls of the x32 ABI carry this bit; their numbers mean something else (seccomp(2), "Caveats"). */
const X32_BIT = 0x4000_0000;

export interface FilterRules {
  /** AUDIT_ARCH_ of the only architecture allowed. */
  readonly architecture: number;
  readonly hasX32: boolean;
  readonly allowed: readonly number[];
  /** Allowed if the low word of an argument is one of these values. */
  readonly ifArgument: readonly {
    readonly number: number;
    readonly argument: number;
    readonly values: readonly number[];
  }[];
  /** Allowed if the low word of an argument is one of these values once it is masked; other rules for the call follow. */
  readonly ifMasked?: readonly {
    readonly number: number;
    readonly argument: number;
    readonly mask: number;
    readonly values: readonly number[];
  }[];
  /** Allowed if the low word of an argument has one of these bits. */
  readonly ifBits: readonly { readonly number: number; readonly argument: number; readonly bits: number }[];
  /** Allowed if the low word of an argument has none of these bits. */
  readonly unlessBits: readonly { readonly number: number; readonly argument: number; readonly bits: number }[];
  /** Answered as if the kernel did not know them, so that libraries use an older call. */
  readonly unknown: readonly number[];
}

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
}

const load = (offset: number): Instruction => ({ code: LOAD_WORD, k: offset, jumpTrue: 0, jumpFalse: 0 });
const answer = (k: number): Instruction => ({ code: RETURN, k, jumpTrue: 0, jumpFalse: 0 });
/** Skips `otherwise` instructions if the test fails. */
const test = (code: number, k: number, otherwise: number): Instruction => ({
  code,
  k,
  jumpTrue: 0,
  jumpFalse: otherwise,
});

/** Default-deny: what no rule allows fails with EPERM; another architecture's calls kill the process. */
export function buildFilter(rules: FilterRules): Uint8Array {
  const program: Instruction[] = beginFilter(rules);
  for (const number of rules.allowed) program.push(test(JUMP_EQUAL, number, 1), answer(ALLOW));
  for (const number of rules.unknown) program.push(test(JUMP_EQUAL, number, 1), answer(ERRNO | ENOSYS));
  for (const { number, argument, mask, values } of rules.ifMasked ?? []) {
    const checks = values.flatMap((value) => [test(JUMP_EQUAL, value, 1), answer(ALLOW)]);
    program.push(test(JUMP_EQUAL, number, checks.length + 3), load(OFFSET_ARGUMENTS + argument * 8));
    program.push({ code: AND, k: mask, jumpTrue: 0, jumpFalse: 0 }, ...checks, load(OFFSET_NUMBER));
  }
  for (const { number, argument, values } of rules.ifArgument) {
    const checks = values.flatMap((value) => [test(JUMP_EQUAL, value, 1), answer(ALLOW)]);
    program.push(test(JUMP_EQUAL, number, checks.length + 2), load(OFFSET_ARGUMENTS + argument * 8), ...checks);
    program.push(answer(ERRNO | EPERM));
  }
  for (const { number, argument, bits } of rules.ifBits) {
    program.push(test(JUMP_EQUAL, number, 4), load(OFFSET_ARGUMENTS + argument * 8));
    program.push(test(JUMP_ANY_BIT, bits, 1), answer(ALLOW), answer(ERRNO | EPERM));
  }
  for (const { number, argument, bits } of rules.unlessBits) {
    program.push(test(JUMP_EQUAL, number, 4), load(OFFSET_ARGUMENTS + argument * 8));
    const jump = { code: JUMP_ANY_BIT, k: bits, jumpTrue: 1, jumpFalse: 0 };
    program.push(jump, answer(ALLOW), answer(ERRNO | EPERM));
  }
  program.push(answer(ERRNO | EPERM));
  return encode(program);
}

/** Allows every call of one architecture. */
export function buildOpenFilter(rules: Pick<FilterRules, 'architecture' | 'hasX32'>): Uint8Array {
  return encode([...beginFilter(rules), answer(ALLOW)]);
}

/** Leaves the number of the call to be looked at. */
function beginFilter({ architecture, hasX32 }: Pick<FilterRules, 'architecture' | 'hasX32'>): Instruction[] {
  return [
    load(OFFSET_ARCHITECTURE),
    { code: JUMP_EQUAL, k: architecture, jumpTrue: 1, jumpFalse: 0 },
    answer(KILL_PROCESS),
    load(OFFSET_NUMBER),
    ...(hasX32 ? [test(JUMP_GREATER_OR_EQUAL, X32_BIT, 1), answer(KILL_PROCESS)] : []),
  ];
}

function encode(program: readonly Instruction[]): Uint8Array {
  const isTooLong = program.length > MAX_INSTRUCTIONS || program.some((instruction) => instruction.jumpFalse > 255);
  if (isTooLong) throw new SandboxError({ code: 'SANDBOX_FILTER_TOO_LONG', instructions: program.length });
  const bytes = new Uint8Array(program.length * 8);
  const data = new DataView(bytes.buffer);
  program.forEach(({ code, k, jumpTrue, jumpFalse }, index) => {
    data.setUint16(index * 8, code, true);
    data.setUint8(index * 8 + 2, jumpTrue);
    data.setUint8(index * 8 + 3, jumpFalse);
    data.setUint32(index * 8 + 4, k >>> 0, true);
  });
  return bytes;
}
