import { WasmError, type WasmErrorInfo } from '../errors.ts';
import type { Refusal } from './interface.ts';

/** Different reasons that are kept, places of each, and notes of what was hidden: a hostile module may have millions. */
const MAX_REFUSALS = 100;
const MAX_PLACES = 5;

/** Reasons in the order in which they were found, equal ones together. */
export class RefusalList {
  private readonly found = new Map<string, { error: WasmError; times: number; places: string[] }>();
  /** Reasons that were left out. */
  omitted = 0;

  add(error: WasmError, place?: string): void {
    const known = this.found.get(error.message);
    if (known === undefined && this.found.size >= MAX_REFUSALS) {
      this.omitted++;
      return;
    }
    const entry = known ?? { error, times: 0, places: [] };
    entry.times++;
    if (place !== undefined && entry.places.at(-1) !== place && entry.places.length < MAX_PLACES) {
      entry.places.push(place);
    }
    if (known === undefined) this.found.set(error.message, entry);
  }

  addAll(infos: readonly WasmErrorInfo[]): void {
    for (const info of infos) this.add(new WasmError(info));
  }

  has(code: WasmErrorInfo['code']): boolean {
    return [...this.found.values()].some(({ error }) => error.code === code);
  }

  toList(): Refusal[] {
    return Array.from(this.found.values(), ({ error, times, places }) => ({
      code: error.code,
      message: error.message,
      hint: error.hint,
      times,
      places,
    }));
  }
}
