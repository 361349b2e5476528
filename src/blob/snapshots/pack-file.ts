import { WRITE_BUFFER_BYTES } from './constants.ts';
import type { PackDisk, PackOutput } from './pack-disk.ts';
import {
  DIGEST_BYTES,
  decodePackEnd,
  encodePackEnd,
  type PackContent,
  readFooterLength,
  TRAILER_BYTES,
} from './pack-format.ts';

const PACK_NAME = /^([0-9a-f]{12})\.pack$/;
export const INCOMPLETE_SUFFIX = '.tmp';
export const DAMAGED_SUFFIX = '.damaged';

/** Names sort as their numbers do. */
export function packName(number: number): string {
  return `${number.toString(16).padStart(12, '0')}.pack`;
}

/** Undefined if it is no pack's name. */
export function parsePackName(name: string): number | undefined {
  const [, digits] = PACK_NAME.exec(name) ?? [];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

/** A pack in its place. */
export interface WrittenPack {
  readonly number: number;
  readonly sizeBytes: number;
  readonly content: PackContent;
}

/** Undefined if its footer is damaged. */
export async function readPack(disk: PackDisk, number: number): Promise<WrittenPack | undefined> {
  const name = packName(number);
  const sizeBytes = await disk.measure(name);
  const trailer = await disk.read(name, Math.max(0, sizeBytes - TRAILER_BYTES), TRAILER_BYTES);
  const footerBytes = trailer === undefined ? undefined : readFooterLength(trailer);
  if (footerBytes === undefined) return undefined;
  const endBytes = footerBytes + TRAILER_BYTES;
  if (endBytes > sizeBytes) return undefined;
  const end = await disk.read(name, sizeBytes - endBytes, endBytes);
  const content = end === undefined ? undefined : decodePackEnd(end, sizeBytes);
  return content === undefined ? undefined : { number, sizeBytes, content };
}

/** Writes one pack from its beginning to its end; it is in its place when `finish` has resolved, and not at all before. */
export class PackWriter implements AsyncDisposable {
  readonly #disk: PackDisk;
  readonly #number: number;
  readonly #digests: Uint8Array[] = [];
  readonly #lengths: number[] = [];
  #output: PackOutput | undefined;
  #buffer: Uint8Array | undefined;
  #filled = 0;
  #position = 0;
  #payloadBytes = 0;
  #tail: Promise<void> = Promise.resolve();
  /** Where the file is now. */
  #name: string;
  #isDone = false;

  constructor(disk: PackDisk, number: number) {
    this.#disk = disk;
    this.#number = number;
    this.#name = packName(number) + INCOMPLETE_SUFFIX;
  }

  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  get itemCount(): number {
    return this.#lengths.length;
  }

  /** The bytes are the caller's again when it resolves. After a failure every further call fails the same way. */
  append(digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      this.#digests.push(digest);
      this.#lengths.push(bytes.length);
      this.#payloadBytes += bytes.length;
      await this.#write(bytes);
    });
  }

  finish(snapshot: { readonly digest: Uint8Array; readonly bytes: Uint8Array } | null): Promise<WrittenPack> {
    let written: WrittenPack | undefined;
    return this.#inTurn(async () => {
      const content: PackContent = {
        digests: joinDigests(this.#digests),
        lengths: this.#lengths,
        snapshot: snapshot === null ? null : { digest: snapshot.digest, sizeBytes: snapshot.bytes.length },
      };
      if (snapshot !== null) await this.#write(snapshot.bytes);
      await this.#write(encodePackEnd(content));
      const sizeBytes = this.#position + this.#filled;
      const output = await this.#flush();
      await output.sync();
      this.#output = undefined;
      await output.close();
      const name = packName(this.#number);
      await this.#disk.rename(this.#name, name);
      this.#name = name;
      await this.#disk.sync();
      this.#isDone = true;
      written = { number: this.#number, sizeBytes, content };
    }).then(() => written as WrittenPack);
  }

  /** Removes what was not finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail.catch(() => undefined);
    this.#tail = Promise.reject(new TypeError('the pack was given up'));
    this.#tail.catch(() => undefined);
    const isBegun = this.#output !== undefined || this.#position > 0;
    await this.#output?.close().catch(() => undefined);
    this.#output = undefined;
    this.#buffer = undefined;
    // What stays is swept at the next start; the failure that led here is the one to be told.
    if (isBegun && !this.#isDone) await this.#disk.remove(this.#name).catch(() => undefined);
  }

  #inTurn(task: () => Promise<void>): Promise<void> {
    this.#tail = this.#tail.then(task);
    // It is also the next caller's; each of them is told.
    this.#tail.catch(() => undefined);
    return this.#tail;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    // Most packs fill little of it: memory that is not touched costs nothing.
    this.#buffer ??= Buffer.allocUnsafeSlow(WRITE_BUFFER_BYTES);
    for (let offset = 0; offset < bytes.length; ) {
      const part = bytes.subarray(offset, offset + WRITE_BUFFER_BYTES - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      offset += part.length;
      if (this.#filled === WRITE_BUFFER_BYTES) await this.#flush();
    }
  }

  async #flush(): Promise<PackOutput> {
    this.#output ??= await this.#disk.create(this.#name);
    if (this.#filled > 0 && this.#buffer !== undefined) {
      await this.#output.write(this.#buffer.subarray(0, this.#filled), this.#position);
      this.#position += this.#filled;
      this.#filled = 0;
    }
    return this.#output;
  }
}

function joinDigests(digests: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(digests.length * DIGEST_BYTES);
  digests.forEach((digest, index) => {
    joined.set(digest, index * DIGEST_BYTES);
  });
  return joined;
}
