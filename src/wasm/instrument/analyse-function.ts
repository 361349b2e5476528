import { ByteReader } from '../binary/byte-reader.ts';
import { type CodeRange, F32, F64, type FunctionType, V128, VALUE_TYPES } from '../binary/types.ts';
import { MAX_LOCALS } from '../constants.ts';
import { WasmError } from '../errors.ts';
import { decodeInstruction, type Instruction } from './decode-instruction.ts';
import { FuelBlocks } from './fuel-blocks.ts';
import type { Arity, ModuleIndex } from './module-index.ts';
import { DEMAND, NanFlow, NO_NODE } from './nan-flow.ts';
import { GIVES, OP, OPCODES, PREFIX_SIMD, TAKES } from './opcodes.ts';

/** A run of locals of one type, as the binary format declares them. */
export interface LocalRun {
  readonly count: number;
  readonly type: number;
}

export interface FunctionSource {
  readonly bytes: Uint8Array;
  readonly range: CodeRange;
  readonly type: FunctionType;
  readonly index: ModuleIndex;
  /** Refuses what a stepping module may not do (design section 6: nothing is outside the state). */
  readonly isStepping: boolean;
  /** Gets what a stepping module may not do, instead of its being thrown. */
  readonly refuse?: (error: WasmError) => void;
}

/** What rewriting a function needs to know; arrays are by instruction. */
export interface FunctionAnalysis {
  readonly localRuns: readonly LocalRun[];
  readonly localCount: number;
  readonly opcodes: readonly number[];
  /** Where each instruction starts, and after the last one the end of the body. */
  readonly offsets: readonly number[];
  /** Blocks open around each `return`. */
  readonly depths: ReadonlyMap<number, number>;
  readonly blocks: FuelBlocks;
  /** Instructions whose result is made canonical, with its GIVES kind. */
  readonly canonical: ReadonlyMap<number, number>;
  readonly hasCalls: boolean;
  readonly hasSimd: boolean;
  readonly maxOperands: number;
}

interface Frame {
  readonly opcode: number;
  readonly height: number;
  readonly arity: Arity;
  /** A branch to its label comes from somewhere. */
  isTarget: boolean;
  isUnreachable: boolean;
  readonly wasUnreachable: boolean;
  /** Fuel block at the head of a loop. */
  readonly head: number;
  hasElse: boolean;
}

const STEPPING_REFUSED: ReadonlySet<number> = new Set([
  OP.tableSet,
  OP.memoryInit,
  OP.dataDrop,
  OP.tableInit,
  OP.elemDrop,
  OP.tableCopy,
  OP.tableGrow,
  OP.tableFill,
]);

const CONSUMED_AS = [DEMAND.bits, DEMAND.none, DEMAND.asF32x4, DEMAND.asF64x2, DEMAND.none] as const;

function fail(error: WasmError): never {
  throw error;
}

/** Reads one function body and follows its operand stack (core specification, appendix 7.3) by height alone. */
export class FunctionAnalyser {
  private readonly reader: ByteReader;
  private readonly index: ModuleIndex;
  private readonly type: FunctionType;
  private readonly isStepping: boolean;
  private readonly refuse: (error: WasmError) => void;
  private readonly flow = new NanFlow();
  private readonly blocks = new FuelBlocks();
  private readonly frames: Frame[] = [];
  private readonly stack: number[] = [];
  private readonly opcodes: number[] = [];
  private readonly offsets: number[] = [];
  private readonly depths = new Map<number, number>();
  private readonly localRuns: LocalRun[] = [];
  /** Node of each float or vector local, NO_NODE for others. */
  private readonly locals: number[] = [];
  private hasCalls = false;
  private hasSimd = false;
  private maxOperands = 0;

  constructor(source: FunctionSource) {
    this.reader = new ByteReader(source.bytes, source.range.start, source.range.end);
    this.index = source.index;
    this.type = source.type;
    this.isStepping = source.isStepping;
    this.refuse = source.refuse ?? fail;
  }

  /** @throws WasmError */
  analyse(): FunctionAnalysis {
    this.readLocals();
    this.open(OP.block, { params: 0, results: this.type.results.length });
    this.blocks.begin(0);
    const instruction: Instruction = { opcode: 0, index: 0, second: 0 };
    while (this.frames.length > 0) {
      this.offsets.push(this.reader.offset);
      decodeInstruction(this.reader, instruction);
      this.opcodes.push(instruction.opcode);
      this.step(instruction);
    }
    if (!this.reader.isAtEnd) this.reader.fail('bytes after the end of a function');
    this.offsets.push(this.reader.offset);
    const canonical = new Map<number, number>();
    this.flow.solve((at, gives) => canonical.set(at, gives));
    return {
      localRuns: this.localRuns,
      localCount: this.locals.length,
      opcodes: this.opcodes,
      offsets: this.offsets,
      depths: this.depths,
      blocks: this.blocks,
      canonical,
      hasCalls: this.hasCalls,
      hasSimd: this.hasSimd,
      maxOperands: this.maxOperands,
    };
  }

  private readLocals(): void {
    for (const type of this.type.params) this.addLocals(1, type);
    const runs = this.reader.count(MAX_LOCALS, 'number of local declarations');
    for (let run = 0; run < runs; run++) {
      const count = this.reader.u32();
      const type = this.reader.u8();
      if (!VALUE_TYPES.has(type)) this.reader.fail('unknown type of a local');
      this.localRuns.push({ count, type });
      this.addLocals(count, type);
    }
  }

  private addLocals(count: number, type: number): void {
    const value = this.locals.length + count;
    if (value > MAX_LOCALS)
      throw new WasmError({ code: 'WASM_TOO_LARGE', what: 'number of locals', value, limit: MAX_LOCALS });
    const hasNans = type === F32 || type === F64 || type === V128;
    if (type === V128) this.hasSimd = true;
    for (let index = 0; index < count; index++) this.locals.push(hasNans ? this.flow.addNode(GIVES.exact, 0) : NO_NODE);
  }

  private get top(): Frame {
    return this.frames.at(-1) ?? this.reader.fail('code after the end of a function');
  }

  private get position(): number {
    return this.opcodes.length - 1;
  }

  private push(node: number): void {
    this.stack.push(node);
    if (this.stack.length > this.maxOperands) this.maxOperands = this.stack.length;
  }

  private pop(): number {
    const frame = this.top;
    if (this.stack.length > frame.height) return this.stack.pop() ?? NO_NODE;
    if (!frame.isUnreachable) this.reader.fail('an operand is missing');
    return NO_NODE;
  }

  private popObserved(count: number): void {
    for (let index = 0; index < count; index++) this.flow.demand(this.pop(), DEMAND.bits);
  }

  private pushUnknown(count: number): void {
    for (let index = 0; index < count; index++) this.push(NO_NODE);
  }

  private open(opcode: number, arity: Arity): void {
    const wasUnreachable = this.frames.at(-1)?.isUnreachable ?? false;
    this.frames.push({
      opcode,
      height: this.stack.length,
      arity,
      isTarget: false,
      isUnreachable: wasUnreachable,
      wasUnreachable,
      head: this.position + 1,
      hasElse: false,
    });
  }

  private step(instruction: Instruction): void {
    const { opcode } = instruction;
    if (opcode !== OP.end && opcode !== OP.else && opcode !== OP.block && opcode !== OP.loop) this.blocks.add(1);
    if (opcode >= PREFIX_SIMD) this.hasSimd = true;
    if (this.isStepping && STEPPING_REFUSED.has(opcode)) {
      const feature = 'changing tables or passive segments in a stepping module';
      this.refuse(new WasmError({ code: 'WASM_UNSUPPORTED', feature }));
    }
    if (opcode < OP.drop && opcode !== 0x01) this.stepControl(opcode);
    else if (opcode === OP.selectTyped) this.stepTypedSelect();
    else if (opcode >= OP.localGet && opcode <= OP.localTee) this.stepLocal(opcode, instruction.index);
    else this.stepPlain(instruction);
  }

  private stepPlain(instruction: Instruction): void {
    const { opcode } = instruction;
    this.checkIndices(instruction);
    const takes = OPCODES.takes[opcode] ?? TAKES.observe;
    const pops = OPCODES.pops[opcode] ?? 0;
    if (takes === TAKES.pass) return this.stepPass(opcode, pops);
    const demand = CONSUMED_AS[takes] ?? DEMAND.bits;
    for (let operand = 0; operand < pops; operand++) this.flow.demand(this.pop(), demand);
    if (OPCODES.pushes[opcode] === 0) return;
    const gives = OPCODES.gives[opcode] ?? GIVES.exact;
    this.push(gives === GIVES.exact || this.top.isUnreachable ? NO_NODE : this.flow.addNode(gives, this.position));
  }

  private stepPass(opcode: number, pops: number): void {
    const node = this.flow.addNode(GIVES.exact, 0);
    if (opcode === OP.select || opcode === OP.selectTyped) this.pop();
    const sources = opcode === OP.select || opcode === OP.selectTyped ? 2 : pops;
    for (let source = 0; source < sources; source++) this.flow.addEdge(node, this.pop());
    this.push(node);
  }

  private stepTypedSelect(): void {
    if (this.reader.u32() !== 1) this.reader.fail('select has more than one type');
    if (!VALUE_TYPES.has(this.reader.u8())) this.reader.fail('unknown type of select');
    this.stepPass(OP.selectTyped, 3);
  }

  private stepLocal(opcode: number, local: number): void {
    const node = this.locals[local] ?? this.reader.fail(`no local ${local}`);
    if (opcode === OP.localGet) return this.push(node);
    const value = this.pop();
    if (node !== NO_NODE) this.flow.addEdge(node, value);
    if (opcode === OP.localTee) this.push(value);
  }

  private checkIndices({ opcode, index, second }: Instruction): void {
    if (opcode === OP.globalGet || opcode === OP.globalSet) this.index.assertGlobal(index, this.reader);
    else if (opcode === OP.tableGet || opcode === OP.tableSet) this.index.assertTable(index, this.reader);
    else if (opcode === OP.refFunc) this.index.assertFunction(index, this.reader);
    else if (opcode === OP.tableInit) this.index.assertTable(second, this.reader);
    else if (opcode >= OP.tableGrow && opcode <= OP.tableFill) this.index.assertTable(index, this.reader);
    else if (opcode === OP.tableCopy) {
      this.index.assertTable(index, this.reader);
      this.index.assertTable(second, this.reader);
    }
  }

  private stepControl(opcode: number): void {
    switch (opcode) {
      case OP.unreachable:
        return this.markUnreachable();
      case OP.block:
      case OP.loop:
      case OP.if:
        return this.stepOpen(opcode);
      case OP.else:
        return this.stepElse();
      case OP.end:
        return this.stepEnd();
      case OP.br:
        this.branch(this.reader.u32());
        return this.markUnreachable();
      case OP.brIf:
        return this.stepBranchIf();
      case OP.brTable:
        return this.stepBranchTable();
      case OP.return:
        this.depths.set(this.position, this.frames.length - 1);
        this.popObserved(this.type.results.length);
        return this.markUnreachable();
      default:
        return this.stepCall(opcode);
    }
  }

  private stepOpen(opcode: number): void {
    const arity = this.index.readBlockType(this.reader);
    if (opcode === OP.if) this.pop();
    this.popObserved(arity.params);
    this.open(opcode, arity);
    this.pushUnknown(arity.params);
    if (opcode !== OP.block && !this.top.isUnreachable) this.blocks.begin(this.position + 1);
  }

  private stepElse(): void {
    const frame = this.top;
    if (frame.opcode !== OP.if || frame.hasElse) this.reader.fail('else without if');
    this.popObserved(frame.arity.results);
    this.stack.length = frame.height;
    frame.hasElse = true;
    if (!frame.isUnreachable) frame.isTarget = true;
    frame.isUnreachable = frame.wasUnreachable;
    this.pushUnknown(frame.arity.params);
    if (frame.isUnreachable) this.blocks.stop();
    else this.blocks.begin(this.position + 1);
  }

  private stepEnd(): void {
    const frame = this.top;
    this.popObserved(frame.arity.results);
    if (this.stack.length > frame.height) this.reader.fail('operands left over at the end of a block');
    this.frames.pop();
    if (this.frames.length === 0) return;
    this.pushUnknown(frame.arity.results);
    if (frame.wasUnreachable) return;
    const joins = frame.opcode !== OP.loop && (frame.isTarget || (frame.opcode === OP.if && !frame.hasElse));
    if (joins) this.blocks.begin(this.position + 1);
    else if (frame.isUnreachable) this.markUnreachable();
  }

  private markUnreachable(): void {
    const frame = this.top;
    this.stack.length = frame.height;
    frame.isUnreachable = true;
    this.blocks.stop();
  }

  /** Takes the operands of a branch to label `depth`; returns how many there are. */
  private branch(depth: number): number {
    const target = this.frames[this.frames.length - 1 - depth] ?? this.reader.fail(`no label ${depth}`);
    const count = target.opcode === OP.loop ? target.arity.params : target.arity.results;
    this.popObserved(count);
    if (!this.top.isUnreachable) {
      target.isTarget = true;
      if (target.opcode === OP.loop) this.blocks.check(target.head);
    }
    return count;
  }

  private stepBranchIf(): void {
    const depth = this.reader.u32();
    this.pop();
    this.pushUnknown(this.branch(depth));
    if (!this.top.isUnreachable) this.blocks.begin(this.position + 1);
  }

  private stepBranchTable(): void {
    const count = this.reader.count(this.reader.end - this.reader.offset, 'number of branch targets');
    this.pop();
    for (let target = 0; target <= count; target++) {
      const operands = this.branch(this.reader.u32());
      if (target < count) this.pushUnknown(operands);
    }
    this.markUnreachable();
  }

  private stepCall(opcode: number): void {
    this.hasCalls = true;
    const callee = this.reader.u32();
    if (opcode === OP.call) {
      const arity = this.index.arityOfFunction(callee, this.reader);
      this.popObserved(arity.params);
      return this.pushUnknown(arity.results);
    }
    if (opcode !== OP.callIndirect) this.reader.fail('unknown control instruction');
    this.index.assertTable(this.reader.u32(), this.reader);
    const arity = this.index.arityOfType(callee, this.reader);
    this.pop();
    this.popObserved(arity.params);
    this.pushUnknown(arity.results);
  }
}
