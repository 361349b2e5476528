import { hash } from 'node:crypto';
import {
  EXTERNREF,
  F32,
  F64,
  FUNCREF,
  type FunctionType,
  I32,
  I64,
  KIND_FUNCTION,
  KIND_GLOBAL,
  KIND_MEMORY,
  KIND_TABLE,
  type ParsedModule,
  V128,
} from '../binary/types.ts';
import { INSTRUMENTER, MAX_PAGES } from '../constants.ts';
import { WasmError } from '../errors.ts';
import { type InstrumentedModule, instrument } from '../instrument/instrument.ts';
import { listAbiRefusals } from '../runtime/abi-refusals.ts';
import { ABIS, type AbiName } from '../runtime/prepare-program.ts';
import { countDataSegments, countElementSegments } from './count-segments.ts';
import type {
  AbiVerdict,
  InstrumentedByAbi,
  ModuleInspection,
  ModuleOutline,
  NamedItem,
  Refusal,
} from './interface.ts';
import { RefusalList } from './refusal-list.ts';
import { type ModuleSurvey, surveyModule } from './survey-module.ts';

/** What the instrumenter finds in a module and does to it, under each ABI, with all reasons for refusal. */
export interface InspectedModule {
  readonly inspection: ModuleInspection;
  /** The rewritten modules of the ABIs that accept it. */
  readonly instrumented: InstrumentedByAbi;
}

export interface InspectOptions {
  /** Pages of memory that the job allows. */
  readonly maxPages: number;
  /** Modules that this instrumenter made of the same bytes with the same limit before. */
  readonly known?: InstrumentedByAbi;
}

/** Never throws for what the bytes are. */
export function inspectModule(bytes: Uint8Array, options: InspectOptions): InspectedModule {
  const survey = surveyModule(bytes, options);
  const judge = (abi: AbiName): InstrumentedModule | readonly Refusal[] => {
    const refusals = listRefusals(survey, abi);
    if (refusals.length > 0) return refusals;
    const known = options.known?.[abi];
    return known ?? rewrite(bytes, { maxPages: options.maxPages, isStepping: abi === 'fogproof' });
  };
  const judged = { wasi: judge('wasi'), fogproof: judge('fogproof') };
  const { wasi, fogproof } = judged;
  return {
    inspection: {
      sizeBytes: bytes.length,
      sha256: hash('sha256', bytes),
      instrumenter: INSTRUMENTER,
      outline: survey.module === null ? null : describeModule(survey.module, options.maxPages),
      abis: { wasi: toVerdict(wasi, bytes.length), fogproof: toVerdict(fogproof, bytes.length) },
      isStepping: 'bytes' in fogproof,
      hidden: survey.hidden,
    },
    instrumented: { ...('bytes' in wasi ? { wasi } : {}), ...('bytes' in fogproof ? { fogproof } : {}) },
  };
}

/** The ABI that a module seems to be made for; null where nothing in it says so. */
export function guessAbi({ outline, abis }: ModuleInspection): AbiName | null {
  if (outline === null) return null;
  const speaks = (abi: AbiName): boolean =>
    outline.imports.some(({ module }) => module === ABIS[abi].importModule) ||
    outline.exports.some(({ name }) => Object.hasOwn(ABIS[abi].requiredExports, name));
  const names: readonly AbiName[] = ['fogproof', 'wasi'];
  const spoken = names.filter(speaks);
  return spoken.find((abi) => abis[abi].kind === 'accepted') ?? spoken[0] ?? null;
}

function listRefusals({ refusals, surface }: ModuleSurvey, abi: AbiName): readonly Refusal[] {
  const list = new RefusalList();
  if (surface !== null) list.addAll(listAbiRefusals(surface, ABIS[abi]));
  const stepping = abi === 'fogproof' ? refusals.stepping.toList() : [];
  return [...refusals.any.toList(), ...stepping, ...list.toList()];
}

/** The instrumenter has the last word, whatever the survey found. */
function rewrite(
  bytes: Uint8Array,
  options: { readonly maxPages: number; readonly isStepping: boolean },
): InstrumentedModule | readonly Refusal[] {
  try {
    return instrument(bytes, options);
  } catch (error) {
    if (!(error instanceof WasmError)) throw error;
    const list = new RefusalList();
    list.add(error);
    return list.toList();
  }
}

function toVerdict(judged: InstrumentedModule | readonly Refusal[], originalBytes: number): AbiVerdict {
  if (!('bytes' in judged)) return { kind: 'refused', refusals: judged };
  const { bytes, inserted } = judged;
  return {
    kind: 'accepted',
    sizeBytes: bytes.length,
    sha256: hash('sha256', bytes),
    addedPercent: Math.round((bytes.length / originalBytes - 1) * 1000) / 10,
    inserted,
  };
}

function describeModule(module: ParsedModule, maxPages: number): ModuleOutline {
  const { memory } = module;
  const typeIndices = [...module.imports.map(({ typeIndex }) => typeIndex), ...module.functions];
  return {
    imports: [
      ...module.imports.map(({ module: from, name, typeIndex }) => ({
        module: from,
        name,
        kind: 'function' as const,
        signature: describeType(module.types[typeIndex]),
      })),
      ...module.otherImports.map(({ module: from, name, kind }) => ({
        module: from,
        name,
        kind: describeKind(kind),
        signature: null,
      })),
    ],
    exports: module.exports.map(({ name, kind, index }) => ({
      name,
      kind: describeKind(kind),
      signature: kind === KIND_FUNCTION ? describeType(module.types[typeIndices[index] ?? -1]) : null,
    })),
    functions: module.functions.length,
    mutableGlobals: module.globals.flatMap(({ isMutable, valueType }, index) =>
      isMutable ? [{ index, type: describeValueType(valueType) }] : [],
    ),
    tables: module.tables.map(({ elementType, min, max }) => ({ type: describeValueType(elementType), min, max })),
    memory: memory && {
      minPages: memory.min,
      maxPages: memory.max,
      reservedPages: Math.min(memory.max ?? MAX_PAGES, maxPages, MAX_PAGES),
    },
    start: module.start,
    dataSegments: countDataSegments(module),
    elementSegments: countElementSegments(module),
  };
}

const VALUE_TYPE_NAMES: Readonly<Record<number, string>> = {
  [I32]: 'i32',
  [I64]: 'i64',
  [F32]: 'f32',
  [F64]: 'f64',
  [V128]: 'v128',
  [FUNCREF]: 'funcref',
  [EXTERNREF]: 'externref',
};

function describeValueType(type: number): string {
  return VALUE_TYPE_NAMES[type] ?? `type 0x${type.toString(16)}`;
}

function describeType(type: FunctionType | undefined): string | null {
  if (type === undefined) return null;
  const results = type.results.map(describeValueType).join(', ');
  return `(${type.params.map(describeValueType).join(', ')}) -> ${type.results.length === 1 ? results : `(${results})`}`;
}

function describeKind(kind: number): NamedItem['kind'] {
  switch (kind) {
    case KIND_FUNCTION:
      return 'function';
    case KIND_TABLE:
      return 'table';
    case KIND_MEMORY:
      return 'memory';
    case KIND_GLOBAL:
      return 'global';
    default:
      return 'tag';
  }
}
