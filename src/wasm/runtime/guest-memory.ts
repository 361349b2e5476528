import { PAGE_BYTES } from '../constants.ts';
import { halt } from './program-halt.ts';

/** The program's memory as host functions see it; a pointer out of bounds is a trap. */
export class GuestMemory {
  private readonly memory: WebAssembly.Memory;
  private currentBytes: Uint8Array;
  private currentData: DataView;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.currentBytes = new Uint8Array(memory.buffer);
    this.currentData = new DataView(memory.buffer);
  }

  /** Growing detaches the buffer, which leaves views of length 0 behind. */
  private get bytes(): Uint8Array {
    if (this.currentBytes.length === 0) this.refresh();
    return this.currentBytes;
  }

  private refresh(): void {
    this.currentBytes = new Uint8Array(this.memory.buffer);
    this.currentData = new DataView(this.memory.buffer);
  }

  private get data(): DataView {
    if (this.currentBytes.length === 0) this.refresh();
    return this.currentData;
  }

  /** All of it; valid until it grows. */
  get whole(): Uint8Array {
    return this.bytes;
  }

  /** Grows to a size within its limit. @throws RangeError where the host has no memory */
  growTo(sizeBytes: number): void {
    const pages = (sizeBytes - this.sizeBytes) / PAGE_BYTES;
    if (pages > 0) this.memory.grow(pages);
    this.refresh();
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  /** A view, not a copy. Pointers come as signed 32-bit integers. */
  view(pointer: number, length: number): Uint8Array {
    const start = pointer >>> 0;
    const size = length >>> 0;
    const { bytes } = this;
    if (start + size > bytes.length) halt('TRAP', 'a pointer given to the host is out of bounds');
    return bytes.subarray(start, start + size);
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
