import { PAGE_BYTES } from '../constants.ts';
import { halt } from './program-halt.ts';

/**
 * The program's memory as host functions see it. All pages exist from the start, so the buffer never changes; what
 * counts is the logical size, and a pointer beyond it is a trap.
 */
export class GuestMemory {
  private readonly bytes: Uint8Array;
  private readonly data: DataView;
  private readonly pages: WebAssembly.Global;

  constructor(memory: WebAssembly.Memory, pages: WebAssembly.Global) {
    this.bytes = new Uint8Array(memory.buffer);
    this.data = new DataView(memory.buffer);
    this.pages = pages;
  }

  get sizeBytes(): number {
    return Number(this.pages.value) * PAGE_BYTES;
  }

  /** A view, not a copy. Pointers come as signed 32-bit integers. */
  view(pointer: number, length: number): Uint8Array {
    const start = pointer >>> 0;
    const size = length >>> 0;
    if (start + size > this.sizeBytes) halt('TRAP', 'a pointer given to the host is out of bounds');
    return this.bytes.subarray(start, start + size);
  }

  private at(pointer: number, length: number): number {
    const start = pointer >>> 0;
    if (start + length > this.sizeBytes) halt('TRAP', 'a pointer given to the host is out of bounds');
    return start;
  }

  readU8(pointer: number): number {
    return this.data.getUint8(this.at(pointer, 1));
  }

  readU16(pointer: number): number {
    return this.data.getUint16(this.at(pointer, 2), true);
  }

  readU32(pointer: number): number {
    return this.data.getUint32(this.at(pointer, 4), true);
  }

  readU64(pointer: number): bigint {
    return this.data.getBigUint64(this.at(pointer, 8), true);
  }

  writeU8(pointer: number, value: number): void {
    this.data.setUint8(this.at(pointer, 1), value);
  }

  writeU16(pointer: number, value: number): void {
    this.data.setUint16(this.at(pointer, 2), value, true);
  }

  writeU32(pointer: number, value: number): void {
    this.data.setUint32(this.at(pointer, 4), value, true);
  }

  writeU64(pointer: number, value: bigint): void {
    this.data.setBigUint64(this.at(pointer, 8), BigInt.asUintN(64, value), true);
  }

  write(pointer: number, source: Uint8Array): void {
    this.view(pointer, source.length).set(source);
  }
}
