import type { InstrumentedModule } from '../instrument/instrument.ts';
import type { InsertedCounts } from '../instrument/rewrite-function.ts';
import type { AbiName } from '../runtime/prepare-program.ts';

/** One reason for which a module is refused, however often it is there. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly times: number;
  /** The first few functions that it was found in. */
  readonly places: readonly string[];
}

export interface NamedItem {
  readonly name: string;
  readonly kind: 'function' | 'table' | 'memory' | 'global' | 'tag';
  /** Such as `(i32, i64) -> f64`; null for what is no function. */
  readonly signature: string | null;
}

export interface ImportedItem extends NamedItem {
  readonly module: string;
}

export interface SegmentCounts {
  /** Put in place when the module starts. */
  readonly active: number;
  /** Waiting for an instruction; of state only if one uses them. */
  readonly passive: number;
  /** Element segments that only name functions. */
  readonly declared: number;
}

/** What is in a module, as far as it could be read. */
export interface ModuleOutline {
  readonly imports: readonly ImportedItem[];
  readonly exports: readonly NamedItem[];
  /** Functions that the module itself has. */
  readonly functions: number;
  readonly mutableGlobals: readonly { readonly index: number; readonly type: string }[];
  readonly tables: readonly { readonly type: string; readonly min: number; readonly max: number | null }[];
  /** Pages of 64 KiB; `reservedPages` is the most there can be under the limit. */
  readonly memory: {
    readonly minPages: number;
    readonly maxPages: number | null;
    readonly reservedPages: number;
  } | null;
  /** Index of the start function. */
  readonly start: number | null;
  /** Null where the section could not be read. */
  readonly dataSegments: SegmentCounts | null;
  readonly elementSegments: SegmentCounts | null;
}

export type AbiVerdict =
  | {
      readonly kind: 'accepted';
      readonly sizeBytes: number;
      readonly sha256: string;
      /** Growth of the module in percent. */
      readonly addedPercent: number;
      readonly inserted: Readonly<InsertedCounts>;
    }
  | { readonly kind: 'refused'; readonly refusals: readonly Refusal[] };

export interface ModuleInspection {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly instrumenter: string;
  /** Null where not even the sections could be found. */
  readonly outline: ModuleOutline | null;
  readonly abis: Readonly<Record<AbiName, AbiVerdict>>;
  /** True for a module that the `fogproof` ABI accepts: its state can be checkpointed, paused, moved and replayed. */
  readonly isStepping: boolean;
  /** What was not looked at, since reading stopped before: there may be more reasons in it. */
  readonly hidden: readonly string[];
}

/** Instrumented modules by ABI. */
export type InstrumentedByAbi = Partial<Readonly<Record<AbiName, InstrumentedModule>>>;
