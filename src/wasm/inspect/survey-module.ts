import { ByteReader } from '../binary/byte-reader.ts';
import { parseModule } from '../binary/parse-module.ts';
import { type FunctionType, KIND_FUNCTION, type ParsedModule } from '../binary/types.ts';
import { WasmError } from '../errors.ts';
import { FunctionAnalyser } from '../instrument/analyse-function.ts';
import { listInconsistencies } from '../instrument/consistency.ts';
import type { InstrumentedModule } from '../instrument/instrument.ts';
import { ModuleIndex } from '../instrument/module-index.ts';
import { RefusalList } from './refusal-list.ts';

/** Parts that could not be read are named up to this number. */
const MAX_HIDDEN = 20;

/** All that can be found out about a module without stopping at the first thing that is refused. */
export interface ModuleSurvey {
  /** Null where not even the sections could be found. */
  readonly module: ParsedModule | null;
  /** What every job refuses, and what stepping modules are refused for besides. */
  readonly refusals: { readonly any: RefusalList; readonly stepping: RefusalList };
  /** What an ABI is compared with; null where types, imports or exports could not be read. */
  readonly surface: Pick<InstrumentedModule, 'imports' | 'exports' | 'functionExports'> | null;
  readonly hidden: readonly string[];
}

export function surveyModule(bytes: Uint8Array, options: { readonly maxPages: number }): ModuleSurvey {
  return new Surveyor(bytes, options.maxPages).survey();
}

class Surveyor {
  private readonly bytes: Uint8Array;
  private readonly maxPages: number;
  private readonly refusals = { any: new RefusalList(), stepping: new RefusalList() };
  private readonly hidden: string[] = [];

  constructor(bytes: Uint8Array, maxPages: number) {
    this.bytes = bytes;
    this.maxPages = maxPages;
  }

  survey(): ModuleSurvey {
    const { refusals, hidden } = this;
    const module = this.parse();
    if (module === null) return { module, refusals, surface: null, hidden };
    const isWhole = hidden.length === 0;
    this.checkWhole(module, isWhole);
    if (isWhole) this.analyseCode(module);
    else this.hide('the code, which refers to what was not read');
    if (!refusals.any.has('WASM_MALFORMED') && !WebAssembly.validate(new Uint8Array(this.bytes))) {
      refusals.any.add(new WasmError({ code: 'WASM_INVALID' }));
    }
    return { module, refusals, surface: isWhole ? this.readSurface(module) : null, hidden };
  }

  private hide(what: string): void {
    if (this.hidden.length < MAX_HIDDEN) this.hidden.push(what);
    else if (this.hidden.length === MAX_HIDDEN) this.hidden.push('and more');
  }

  private parse(): ParsedModule | null {
    try {
      return parseModule(this.bytes, {
        refuse: (error) => this.refusals.any.add(error),
        hide: (what) => this.hide(what),
      });
    } catch (error) {
      if (!(error instanceof WasmError)) throw error;
      this.refusals.any.add(error);
      this.hide('everything else');
      return null;
    }
  }

  /** Of a module that was read in part, counts that do not match say nothing. */
  private checkWhole(module: ParsedModule, isWhole: boolean): void {
    const { maxPages } = this;
    const all = listInconsistencies(module, { maxPages, isStepping: true });
    const any = listInconsistencies(module, { maxPages, isStepping: false });
    this.refusals.any.addAll(isWhole ? any : any.filter(({ code }) => code !== 'WASM_MALFORMED'));
    this.refusals.stepping.addAll(all.slice(any.length));
  }

  private analyseCode(module: ParsedModule): void {
    const index = new ModuleIndex(module);
    const reader = new ByteReader(module.bytes);
    const names = new Map(
      module.exports.flatMap((entry) => (entry.kind === KIND_FUNCTION ? [[entry.index, entry.name]] : [])),
    );
    module.code.forEach((range, position) => {
      const at = module.imports.length + position;
      const name = names.get(at);
      const place = name === undefined ? `function ${at}` : `function ${at} (${name})`;
      const refuse = (error: WasmError): void => this.refusals.stepping.add(error, place);
      try {
        const type = index.typeOfFunction(at, reader);
        new FunctionAnalyser({ bytes: module.bytes, range, type, index, isStepping: true, refuse }).analyse();
      } catch (error) {
        if (!(error instanceof WasmError)) throw error;
        this.refusals.any.add(error, place);
        this.hide(`the rest of ${place}`);
      }
    });
  }

  private readSurface(module: ParsedModule): ModuleSurvey['surface'] {
    const index = new ModuleIndex(module);
    const reader = new ByteReader(module.bytes);
    const functionExports = new Map<string, FunctionType>();
    try {
      for (const entry of module.exports) {
        if (entry.kind === KIND_FUNCTION) functionExports.set(entry.name, index.typeOfFunction(entry.index, reader));
      }
      const imports = module.imports.map((entry) => ({
        ...entry,
        type: module.types[entry.typeIndex] ?? reader.fail(`no type ${entry.typeIndex}`),
      }));
      return { imports, exports: module.exports, functionExports };
    } catch (error) {
      if (!(error instanceof WasmError)) throw error;
      this.refusals.any.add(error);
      this.hide('whether imports and exports fit');
      return null;
    }
  }
}
