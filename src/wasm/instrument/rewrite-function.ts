import { ByteWriter } from '../binary/byte-writer.ts';
import { F32, F64, type FunctionType, I64, V128 } from '../binary/types.ts';
import { FRAME_SLOTS, LEAF_FREE_FUEL, LEAF_FREE_SLOTS } from '../constants.ts';
import type { FunctionAnalysis } from './analyse-function.ts';
import { GIVES, OP } from './opcodes.ts';
import type { InstrumentedPart } from './parts.ts';

/** Indices that the instrumenter added to the module. */
export interface AddedIndices {
  readonly fuelGlobal: number;
  readonly stackGlobal: number;
  /** (i32) -> (i32): charges for that many bytes and gives its operand back. */
  readonly chargeBytes: number;
  /** (i32) -> (i32): charges for that many items and gives its operand back. */
  readonly chargeItems: number;
  /** (i32) -> (i32): memory.grow that fails by the limit alone. */
  readonly grow: number;
  /** Counted up by each function that is rewritten. */
  readonly inserted: InsertedCounts;
  readonly parts: ReadonlySet<InstrumentedPart>;
  /** Block type with the results of a function type and no operands. */
  readonly blockTypeOf: (type: FunctionType) => number;
}

/** How often the instrumenter put something in. */
export interface InsertedCounts {
  fuelCharges: number;
  fuelChecks: number;
  stackChecks: number;
  canonicalNans: number;
}

const CANONICAL_TYPE: Readonly<Record<number, number>> = {
  [GIVES.f32]: F32,
  [GIVES.f64]: F64,
  [GIVES.f32x4]: V128,
  [GIVES.f64x2]: V128,
};

const BYTE_OPERATIONS: ReadonlySet<number> = new Set([OP.memoryInit, OP.memoryCopy, OP.memoryFill]);
const ITEM_OPERATIONS: ReadonlySet<number> = new Set([OP.tableInit, OP.tableCopy, OP.tableFill, OP.tableGrow]);

/**
 * Writes one function anew: fuel at the head of each run of instructions, stack height at entry and exit, canonical NaNs,
 * memory.grow that only fails by its limit, and dynamic cost in front of bulk operations.
 *
 * A function with loops keeps the fuel in a local and writes it back at loop heads, before calls and at the end. A trap in
 * between leaves uncounted what ran since then: less than one pass of a loop, and the same everywhere.
 */
export class FunctionRewriter {
  private readonly bytes: Uint8Array;
  private readonly type: FunctionType;
  private readonly analysis: FunctionAnalysis;
  private readonly added: AddedIndices;
  private readonly out = new ByteWriter(4096);
  private readonly extraLocals: number[] = [];
  private readonly temporaries = new Map<number, number>();
  private readonly stackCost: number;
  private readonly countsStack: boolean;
  /** Local that caches the fuel; null where the function has no loop. */
  private readonly fuelLocal: number | null;
  private copiedTo = 0;

  constructor(bytes: Uint8Array, type: FunctionType, analysis: FunctionAnalysis, added: AddedIndices) {
    this.bytes = bytes;
    this.type = type;
    this.analysis = analysis;
    this.added = added;
    const slots = (analysis.localCount + analysis.maxOperands) * (analysis.hasSimd ? 2 : 1);
    this.stackCost = FRAME_SLOTS + slots;
    const { parts } = added;
    this.countsStack = parts.has('stack') && (analysis.hasCalls || this.stackCost > LEAF_FREE_SLOTS);
    this.fuelLocal = parts.has('fuel') && analysis.blocks.hasChecks ? this.addLocal(I64) : null;
  }

  /** The body with its local declarations, without the size in front. */
  rewrite(): Uint8Array {
    const { offsets, opcodes } = this.analysis;
    const isWrapped = this.countsStack || this.fuelLocal !== null;
    this.copiedTo = offsets[0] ?? 0;
    if (this.countsStack) this.emitStackEntry();
    if (this.fuelLocal !== null) this.loadFuel();
    this.emitCharge(0, this.checksAtEntry());
    if (isWrapped) this.emitBlock();
    opcodes.forEach((opcode, at) => {
      if (at > 0) this.emitRunHead(at);
      this.emitInstruction(opcode, at);
    });
    this.copyUpTo(offsets[opcodes.length] ?? 0);
    if (isWrapped) this.emitExit();
    return this.withLocals();
  }

  private checksAtEntry(): boolean {
    const { hasCalls, blocks } = this.analysis;
    return hasCalls || this.fuelLocal !== null || blocks.total > LEAF_FREE_FUEL;
  }

  private addLocal(type: number): number {
    this.extraLocals.push(type);
    return this.analysis.localCount + this.extraLocals.length - 1;
  }

  private temporary(type: number): number {
    const known = this.temporaries.get(type);
    if (known !== undefined) return known;
    const local = this.addLocal(type);
    this.temporaries.set(type, local);
    return local;
  }

  /** Carries the original bytes over up to `offset`. */
  private copyUpTo(offset: number): void {
    if (offset > this.copiedTo) this.out.range(this.bytes, this.copiedTo, offset);
    this.copiedTo = offset;
  }

  private op(opcode: number, index: number): void {
    this.out.u8(opcode);
    this.out.u32(index);
  }

  private loadFuel(): void {
    if (this.fuelLocal === null) return;
    this.op(OP.globalGet, this.added.fuelGlobal);
    this.op(OP.localSet, this.fuelLocal);
  }

  private storeFuel(): void {
    if (this.fuelLocal === null) return;
    this.op(OP.localGet, this.fuelLocal);
    this.op(OP.globalSet, this.added.fuelGlobal);
  }

  private i64Constant(value: number): void {
    this.out.u8(0x42);
    this.out.signed(value);
  }

  private i32Constant(value: number): void {
    this.out.u8(0x41);
    this.out.signed(value);
  }

  private emitRunHead(at: number): void {
    const { blocks, offsets } = this.analysis;
    const isChecked = blocks.isCheckedAt(at);
    if (!isChecked && blocks.costAt(at) === 0) return;
    this.copyUpTo(offsets[at] ?? 0);
    this.emitCharge(at, isChecked);
  }

  private emitCharge(at: number, isChecked: boolean): void {
    if (!this.added.parts.has('fuel')) return;
    const cost = this.analysis.blocks.costAt(at);
    const { inserted } = this.added;
    if (cost > 0) inserted.fuelCharges++;
    if (isChecked) inserted.fuelChecks++;
    if (this.fuelLocal !== null) this.emitLocalCharge(this.fuelLocal, cost, isChecked);
    else this.emitGlobalCharge(cost, isChecked);
  }

  private emitLocalCharge(fuel: number, cost: number, isChecked: boolean): void {
    if (cost > 0) {
      this.op(OP.localGet, fuel);
      this.i64Constant(cost);
      this.out.u8(0x7d);
      this.op(OP.localSet, fuel);
    }
    if (!isChecked) return;
    this.storeFuel();
    this.op(OP.localGet, fuel);
    this.emitTrapIfNegative();
  }

  private emitGlobalCharge(cost: number, isChecked: boolean): void {
    if (cost > 0) {
      this.op(OP.globalGet, this.added.fuelGlobal);
      this.i64Constant(cost);
      this.out.u8(0x7d);
      this.op(OP.globalSet, this.added.fuelGlobal);
    }
    if (!isChecked) return;
    this.op(OP.globalGet, this.added.fuelGlobal);
    this.emitTrapIfNegative();
  }

  /** A trap and no call: a call in a loop would keep V8 from unrolling it and cost half of the speed. */
  private emitTrapIfNegative(): void {
    this.i64Constant(0);
    this.out.u8(0x53, OP.if, 0x40, OP.unreachable, OP.end);
  }

  private emitStackEntry(): void {
    this.added.inserted.stackChecks++;
    this.emitStackChange(0x6b);
    this.op(OP.globalGet, this.added.stackGlobal);
    this.i32Constant(0);
    this.out.u8(0x48, OP.if, 0x40, OP.unreachable, OP.end);
  }

  private emitStackChange(operation: number): void {
    this.op(OP.globalGet, this.added.stackGlobal);
    this.i32Constant(this.stackCost);
    this.out.u8(operation);
    this.op(OP.globalSet, this.added.stackGlobal);
  }

  /** The body becomes a block: what branched to the function's label, or returned, now comes to its end. */
  private emitBlock(): void {
    this.out.u8(OP.block);
    const { results } = this.type;
    if (results.length === 0) this.out.u8(0x40);
    else if (results.length === 1) this.out.u8(results[0] ?? 0);
    else this.out.signed(this.added.blockTypeOf(this.type));
  }

  private emitExit(): void {
    this.storeFuel();
    if (this.countsStack) this.emitStackChange(0x6a);
    this.out.u8(OP.end);
  }

  private emitInstruction(opcode: number, at: number): void {
    const { offsets, canonical } = this.analysis;
    const start = offsets[at] ?? 0;
    const end = offsets[at + 1] ?? 0;
    const replaced = this.emitReplaced(opcode, at, start);
    if (replaced) this.copiedTo = end;
    const gives = this.added.parts.has('nan') ? canonical.get(at) : undefined;
    if (gives !== undefined) {
      this.copyUpTo(end);
      this.emitCanonical(gives);
    }
    if (opcode === OP.call || opcode === OP.callIndirect) {
      this.copyUpTo(end);
      this.loadFuel();
    }
  }

  /** True where the original instruction is not carried over. */
  private emitReplaced(opcode: number, at: number, start: number): boolean {
    if (opcode === OP.call || opcode === OP.callIndirect) {
      this.copyUpTo(start);
      this.storeFuel();
    } else if (opcode === OP.return) {
      const depth = this.analysis.depths.get(at);
      if (!this.countsStack && this.fuelLocal === null) return false;
      this.copyUpTo(start);
      this.op(OP.br, depth ?? 0);
      return true;
    } else if (opcode === OP.memoryGrow) {
      this.copyUpTo(start);
      this.emitHelperCall(this.added.grow);
      return true;
    } else if (!this.added.parts.has('fuel')) {
      return false;
    } else if (BYTE_OPERATIONS.has(opcode)) {
      this.copyUpTo(start);
      this.emitHelperCall(this.added.chargeBytes);
    } else if (ITEM_OPERATIONS.has(opcode)) {
      this.copyUpTo(start);
      this.emitHelperCall(this.added.chargeItems);
    }
    return false;
  }

  private emitHelperCall(helper: number): void {
    this.storeFuel();
    this.op(OP.call, helper);
    this.loadFuel();
  }

  /** x, canonical NaN, x == x, select: the value itself unless it is a NaN; lane by lane for vectors. */
  private emitCanonical(gives: number): void {
    this.added.inserted.canonicalNans++;
    const local = this.temporary(CANONICAL_TYPE[gives] ?? F64);
    this.op(OP.localTee, local);
    this.emitNan(gives);
    this.op(OP.localGet, local);
    this.op(OP.localGet, local);
    if (gives === GIVES.f32) this.out.u8(0x5b, OP.select);
    else if (gives === GIVES.f64) this.out.u8(0x61, OP.select);
    else if (gives === GIVES.f32x4) this.out.u8(0xfd, 65, 0xfd, 82);
    else this.out.u8(0xfd, 71, 0xfd, 82);
  }

  private emitNan(gives: number): void {
    const f32 = [0x00, 0x00, 0xc0, 0x7f];
    const f64 = [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f];
    if (gives === GIVES.f32) this.out.u8(0x43, ...f32);
    else if (gives === GIVES.f64) this.out.u8(0x44, ...f64);
    else if (gives === GIVES.f32x4) this.out.u8(0xfd, 12, ...f32, ...f32, ...f32, ...f32);
    else this.out.u8(0xfd, 12, ...f64, ...f64);
  }

  private withLocals(): Uint8Array {
    const whole = new ByteWriter(this.out.length + 64);
    const { localRuns } = this.analysis;
    whole.u32(localRuns.length + this.extraLocals.length);
    for (const run of localRuns) {
      whole.u32(run.count);
      whole.u8(run.type);
    }
    for (const type of this.extraLocals) whole.u8(1, type);
    whole.bytes(this.out.view());
    return whole.view();
  }
}
