import { ProgramBuildError } from './errors.ts';
import { CALL_KINDS, encodeInstruction, INSTRUCTION_BYTES, OPCODES } from './instructions.ts';
import { MEMORY_FUNCTIONS } from './memory-functions.ts';
import {
  type ObjectFile,
  type ObjectRelocation,
  type ObjectSection,
  type ObjectSymbol,
  RELOCATION_KINDS,
} from './object-file.ts';
import { findSyscallHash } from './syscalls.ts';

/** Virtual addresses of SBPF v3 (SIMD-0189). */
export const READ_ONLY_ADDRESS = 0n;
export const CODE_ADDRESS = 0x1_0000_0000n;

/**
 * Nothing of the program lies at address 0: to Rust and LLVM a reference is never null, so `Some(&first_constant)` would
 * be `None`.
 */
const NULL_GUARD_BYTES = 16;

/** What the loader maps: read-only data at 0, code at 2^32. */
export interface LinkedProgram {
  readonly readOnly: Uint8Array;
  readonly code: Uint8Array;
  /** Offset of `entrypoint` in the code. */
  readonly entryOffset: number;
}

/** Where a call or an address leads: into a section, or to a function that this module brings along. */
type Target =
  | { readonly kind: 'section'; readonly section: ObjectSection; readonly value: number }
  | { readonly kind: 'memory'; readonly name: string };

interface Layout {
  readonly offsets: ReadonlyMap<ObjectSection, number>;
  readonly memoryOffsets: ReadonlyMap<string, number>;
  readonly readOnlySize: number;
  readonly codeSize: number;
}

/**
 * Lays out what the entry point can reach and carries out its relocations, so that the loader has none to do: calls
 * between functions are relative, syscalls are hashes of their names, addresses are absolute.
 */
export function relink(object: ObjectFile): LinkedProgram {
  const entry = object.symbols.find((symbol) => symbol.name === 'entrypoint' && symbol.section !== undefined);
  const entrySection = entry?.section === undefined ? undefined : object.sections[entry.section];
  if (entry === undefined || entrySection?.role !== 'code') {
    throw new ProgramBuildError({ code: 'PROGRAMS_NO_ENTRYPOINT' });
  }
  const resolver = new Resolver(object);
  const reached = findReachable(entrySection, resolver);
  const layout = layOut(reached);
  const program = {
    readOnly: new Uint8Array(layout.readOnlySize),
    code: new Uint8Array(layout.codeSize),
    entryOffset: offsetOf(layout, entrySection) + entry.value,
  };
  for (const [name, offset] of layout.memoryOffsets) program.code.set(encodeMemoryFunction(name), offset);
  for (const section of reached.sections) {
    const segment = section.role === 'code' ? program.code : program.readOnly;
    const offset = offsetOf(layout, section);
    segment.set(section.bytes, offset);
    const patch = new Patch({ section, segment, offset });
    for (const relocation of section.relocations) apply(relocation, { patch, resolver, layout });
  }
  return program;
}

interface Reached {
  readonly sections: readonly ObjectSection[];
  readonly memory: readonly string[];
}

/** In the object's order, so that equal objects give equal programs. */
function findReachable(entry: ObjectSection, resolver: Resolver): Reached {
  const sections = new Set<ObjectSection>([entry]);
  const memory = new Set<string>();
  for (const section of sections) {
    if (section.role === 'writable') {
      throw new ProgramBuildError({ code: 'PROGRAMS_WRITABLE_DATA', section: section.name });
    }
    for (const relocation of section.relocations) {
      const target = resolver.find(relocation, section);
      if (target?.kind === 'section') sections.add(target.section);
      if (target?.kind === 'memory') memory.add(target.name);
    }
  }
  return { sections: [...sections].sort((a, b) => a.index - b.index), memory: [...memory].sort() };
}

function layOut({ sections, memory }: Reached): Layout {
  const offsets = new Map<ObjectSection, number>();
  const memoryOffsets = new Map<string, number>();
  let codeSize = 0;
  let readOnlySize = NULL_GUARD_BYTES;
  for (const section of sections) {
    if (section.role === 'code') {
      offsets.set(section, codeSize);
      codeSize += align(section.bytes.length, INSTRUCTION_BYTES);
    } else {
      const offset = align(readOnlySize, section.alignment);
      offsets.set(section, offset);
      readOnlySize = offset + section.bytes.length;
    }
  }
  for (const name of memory) {
    memoryOffsets.set(name, codeSize);
    codeSize += encodeMemoryFunction(name).length;
  }
  const hasReadOnly = sections.some(({ role }) => role === 'read-only');
  return { offsets, memoryOffsets, codeSize, readOnlySize: hasReadOnly ? align(readOnlySize, 8) : 0 };
}

interface LinkContext {
  readonly patch: Patch;
  readonly resolver: Resolver;
  readonly layout: Layout;
}

function apply(relocation: ObjectRelocation, { patch, resolver, layout }: LinkContext): void {
  const target = resolver.find(relocation, patch.section);
  switch (relocation.kind) {
    case RELOCATION_KINDS.call:
      return target === undefined
        ? patch.callSyscall(relocation)
        : patch.callFunction(relocation, computeOffset(target, layout));
    case RELOCATION_KINDS.address:
      return patch.setAddress(relocation, computeAddress(requireTarget(target, relocation, patch.section), layout));
    case RELOCATION_KINDS.pointer:
      return patch.setPointer(relocation, computeAddress(requireTarget(target, relocation, patch.section), layout));
    default:
      throw badRelocation(patch.section, relocation, `its kind ${relocation.kind} is not known`);
  }
}

function requireTarget(target: Target | undefined, relocation: ObjectRelocation, section: ObjectSection): Target {
  if (target !== undefined) return target;
  throw badRelocation(section, relocation, `the address of the syscall ${relocation.symbol.name} is taken`);
}

function computeOffset(target: Target, layout: Layout): number {
  const offset = target.kind === 'memory' ? layout.memoryOffsets.get(target.name) : layout.offsets.get(target.section);
  if (offset === undefined) throw new ProgramBuildError({ code: 'PROGRAMS_OBJECT', reason: 'an unplaced target' });
  return offset + (target.kind === 'section' ? target.value : 0);
}

function computeAddress(target: Target, layout: Layout): bigint {
  const isCode = target.kind === 'memory' || target.section.role === 'code';
  return (isCode ? CODE_ADDRESS : READ_ONLY_ADDRESS) + BigInt(computeOffset(target, layout));
}

function offsetOf(layout: Layout, section: ObjectSection): number {
  return computeOffset({ kind: 'section', section, value: 0 }, layout);
}

/** Finds what a relocation means. */
class Resolver {
  readonly #object: ObjectFile;
  readonly #ownMemory: ReadonlyMap<number, string>;

  constructor(object: ObjectFile) {
    this.#object = object;
    this.#ownMemory = new Map(
      object.symbols.flatMap(({ name, section }) =>
        section !== undefined && MEMORY_FUNCTIONS.has(name) ? [[section, name] as const] : [],
      ),
    );
  }

  /** Undefined for a syscall. */
  find(relocation: ObjectRelocation, from: ObjectSection): Target | undefined {
    const { symbol } = relocation;
    if (symbol.section === undefined) return this.#findOutside(symbol, from);
    // Calls that code generation adds would go there too, whatever LTO has made of its parameters.
    const memory = this.#ownMemory.get(symbol.section);
    if (memory !== undefined) throw new ProgramBuildError({ code: 'PROGRAMS_MEMORY_FUNCTION', symbol: memory });
    const section = this.#object.sections[symbol.section];
    if (section === undefined || section.role === 'not-loaded') {
      throw badRelocation(from, relocation, `${symbol.name} is in no loaded section`);
    }
    return { kind: 'section', section, value: symbol.value };
  }

  #findOutside({ name }: ObjectSymbol, from: ObjectSection): Target | undefined {
    if (MEMORY_FUNCTIONS.has(name)) return { kind: 'memory', name };
    if (findSyscallHash(name) !== undefined) return undefined;
    throw new ProgramBuildError({ code: 'PROGRAMS_UNKNOWN_SYMBOL', symbol: name, section: from.name });
  }
}

/** One section in its place in the output. */
class Patch {
  readonly section: ObjectSection;
  readonly #segment: Uint8Array;
  readonly #view: DataView;
  readonly #offset: number;

  constructor(place: { readonly section: ObjectSection; readonly segment: Uint8Array; readonly offset: number }) {
    this.section = place.section;
    this.#segment = place.segment;
    this.#view = new DataView(place.segment.buffer);
    this.#offset = place.offset;
  }

  callSyscall(relocation: ObjectRelocation): void {
    const at = this.#find(relocation, { opcode: OPCODES.call, size: INSTRUCTION_BYTES });
    const { name } = relocation.symbol;
    const hash = findSyscallHash(name);
    if (hash === undefined) {
      throw new ProgramBuildError({ code: 'PROGRAMS_UNKNOWN_SYMBOL', symbol: name, section: this.section.name });
    }
    this.#segment[at + 1] = CALL_KINDS.syscall << 4;
    this.#view.setUint32(at + 4, hash, true);
  }

  /** Before relocation the immediate counts instructions from the one after the call, so -1 is the symbol itself. */
  callFunction(relocation: ObjectRelocation, target: number): void {
    const at = this.#find(relocation, { opcode: OPCODES.call, size: INSTRUCTION_BYTES });
    const addend = (this.#view.getInt32(at + 4, true) + 1) * INSTRUCTION_BYTES;
    const distance = target + addend - (at + INSTRUCTION_BYTES);
    if (distance % INSTRUCTION_BYTES !== 0) throw badRelocation(this.section, relocation, 'half an instruction');
    this.#segment[at + 1] = CALL_KINDS.local << 4;
    this.#view.setInt32(at + 4, distance / INSTRUCTION_BYTES, true);
  }

  setAddress(relocation: ObjectRelocation, address: bigint): void {
    const at = this.#find(relocation, { opcode: OPCODES.lddw, size: 2 * INSTRUCTION_BYTES });
    const addend = BigInt(this.#view.getUint32(at + 4, true)) | (BigInt(this.#view.getUint32(at + 12, true)) << 32n);
    const value = BigInt.asUintN(64, address + addend);
    this.#view.setUint32(at + 4, Number(value & 0xffff_ffffn), true);
    this.#view.setUint32(at + 12, Number(value >> 32n), true);
  }

  setPointer(relocation: ObjectRelocation, address: bigint): void {
    if (this.section.role === 'code') throw badRelocation(this.section, relocation, 'a pointer within code');
    const at = this.#find(relocation, { size: 8 });
    const addend = this.#view.getBigUint64(at, true);
    this.#view.setBigUint64(at, BigInt.asUintN(64, address + addend), true);
  }

  #find(relocation: ObjectRelocation, expected: { readonly opcode?: number; readonly size: number }): number {
    const at = this.#offset + relocation.offset;
    if (relocation.offset + expected.size > this.section.bytes.length) {
      throw badRelocation(this.section, relocation, 'it goes over the end of its section');
    }
    if (expected.opcode === undefined) return at;
    const isInstruction = this.section.role === 'code' && relocation.offset % INSTRUCTION_BYTES === 0;
    if (!isInstruction || this.#segment[at] !== expected.opcode) {
      throw badRelocation(this.section, relocation, `there is no instruction 0x${expected.opcode.toString(16)}`);
    }
    return at;
  }
}

function encodeMemoryFunction(name: string): Uint8Array {
  const memory = MEMORY_FUNCTIONS.get(name);
  const hash = memory === undefined ? undefined : findSyscallHash(memory.syscall);
  if (memory === undefined || hash === undefined) {
    throw new ProgramBuildError({ code: 'PROGRAMS_UNKNOWN_SYMBOL', symbol: name, section: '.text' });
  }
  const call = { opcode: OPCODES.call, src: CALL_KINDS.syscall, immediate: hash | 0 };
  const instructions = [...memory.before, call, ...memory.after, { opcode: OPCODES.exit }];
  return Buffer.concat(instructions.map(encodeInstruction));
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

function badRelocation(section: ObjectSection, relocation: ObjectRelocation, reason: string): ProgramBuildError {
  return new ProgramBuildError({
    code: 'PROGRAMS_RELOCATION',
    section: section.name,
    offset: relocation.offset,
    reason: `${relocation.symbol.name === '' ? 'unnamed symbol' : relocation.symbol.name}: ${reason}`,
  });
}
