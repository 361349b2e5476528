import { parseModule } from '../../src/wasm/binary/parse-module.ts';
import { KIND_FUNCTION, V128 } from '../../src/wasm/binary/types.ts';
import { WasmError } from '../../src/wasm/errors.ts';
import { instrument } from '../../src/wasm/instrument/instrument.ts';
import { enrichModule } from './enrich-module.ts';
import type { ModuleGenerator } from './generate.ts';
import { type ExportedFunction, NATIVE_STACK, OUT_OF_FUEL, OUT_OF_STACK, type Transcript } from './interface.ts';
import { createRecipe, type Recipe } from './recipes.ts';
import { createReference } from './reference-module.ts';
import { sealModule } from './seal-module.ts';
import type { TierProcess } from './tier-process.ts';

/** Every exported function is called this often, on other arguments each time. */
const ROUNDS = 3;
const MAX_CALLS = 120;
const MAX_PAGES = 65_536;

export type Verdict =
  | { readonly kind: 'same'; readonly calls: number; readonly traps: number; readonly fuel: bigint }
  /** Where fuel, stack or the host ended first: fuel is equal everywhere, and the calls before are the same. */
  | { readonly kind: 'cut short'; readonly by: string; readonly calls: number }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'not generated' }
  | { readonly kind: 'differs'; readonly what: string };

export interface ComparedModules {
  readonly plain: Uint8Array;
  readonly instrumented: Uint8Array;
}

/** Generates the module of a seed and compares plain with instrumented execution under every tier. */
export class Comparison {
  private readonly generator: ModuleGenerator;
  private readonly tiers: readonly TierProcess[];

  constructor(modules: { readonly generator: ModuleGenerator; readonly tiers: readonly TierProcess[] }) {
    this.generator = modules.generator;
    this.tiers = modules.tiers;
  }

  /** `length` shortens the generator's input. */
  async run(seed: number, length?: number): Promise<Verdict> {
    const recipe = createRecipe(seed, length);
    const generated = await this.generator.generate(recipe.input, recipe.flags);
    if (generated === null || !WebAssembly.validate(new Uint8Array(generated))) return { kind: 'not generated' };
    if (recipe.features === 'refusable') return judgeRefusable(generated);
    const modules = prepare(generated, recipe);
    return 'kind' in modules ? modules : await this.compare(modules, recipe);
  }

  async compare(
    { plain, instrumented }: ComparedModules,
    { seed, hangLimit }: Pick<Recipe, 'seed' | 'hangLimit'>,
  ): Promise<Verdict> {
    const functions = listFunctions(plain);
    const execution = { functions, seed, hangLimit, calls: Math.min(MAX_CALLS, functions.length * ROUNDS) };
    const rewritten = await this.runTiers({ ...execution, bytes: instrumented, isInstrumented: true });
    if (typeof rewritten === 'string') return { kind: 'differs', what: `instrumented: ${rewritten}` };
    const unbalanced = rewritten.fuel.find((fuel) => /\D/.test(fuel));
    if (unbalanced !== undefined) return { kind: 'differs', what: unbalanced };
    const cut = rewritten.ends.findIndex((end) => end === OUT_OF_FUEL || end === OUT_OF_STACK);
    const calls = cut === -1 ? execution.calls : cut - 1;
    const original = await this.runTiers({ ...execution, calls, bytes: plain, isInstrumented: false });
    if (typeof original === 'string') return { kind: 'differs', what: `plain: ${original}` };
    const native = original.ends.indexOf(NATIVE_STACK);
    // A start function that traps leaves no instance of the plain module to look at.
    const isStarted = original.ends[0]?.startsWith('=') === true;
    const whole = cut === -1 && native === -1;
    const compared = native === -1 ? calls + 1 : native;
    const what =
      findDifference(original, rewritten, { ends: compared, isWhole: whole && isStarted }) ??
      findMiscount(original, rewritten, compared - 1);
    if (what !== null) return { kind: 'differs', what };
    if (!whole) return { kind: 'cut short', by: rewritten.ends[cut] ?? NATIVE_STACK, calls: compared - 1 };
    const traps = rewritten.ends.filter((end) => end.startsWith('!')).length;
    const fuel = rewritten.fuel.reduce((sum, taken) => sum + BigInt(taken), 0n);
    return { kind: 'same', calls: rewritten.fuel.length, traps, fuel };
  }

  /** The one transcript that all tiers give; a text where they do not. */
  private async runTiers(execution: Parameters<TierProcess['execute']>[0]): Promise<Transcript | string> {
    const answers = await Promise.all(this.tiers.map((tier) => tier.execute(execution)));
    const [first = 'there is no tier'] = answers;
    for (const [index, answer] of answers.entries()) {
      const tier = this.tiers[index]?.tier;
      if (typeof answer === 'string') return `${tier} ${answer}`;
      if (typeof first === 'string') return first;
      const what = findDifference(first, answer, { ends: first.ends.length, isWhole: true });
      if (what !== null) return `under ${this.tiers[0]?.tier} and ${tier}: ${what}`;
      if (first.fuel.join() !== answer.fuel.join()) return `fuel under ${tier}: ${first.fuel} against ${answer.fuel}`;
    }
    return first;
  }
}

function prepare(generated: Uint8Array, recipe: Recipe): ComparedModules | Verdict {
  const plain = sealModule(generated);
  try {
    const sealed = recipe.enrichment === null ? plain : enrichModule(plain, recipe.enrichment);
    if (!WebAssembly.validate(new Uint8Array(sealed)))
      return { kind: 'differs', what: 'sealed into an invalid module' };
    const instrumented = instrument(sealed, { maxPages: MAX_PAGES, isStepping: false }).bytes;
    return { plain: recipe.nans === 'canonical' ? createReference(sealed) : sealed, instrumented };
  } catch (error) {
    if (!(error instanceof WasmError)) throw error;
    // binaryen's passes narrow reference types beyond the features that they were given.
    if (error.info.code === 'WASM_UNSUPPORTED') return { kind: 'refused', why: error.info.feature };
    return { kind: 'differs', what: `refused without need: ${error.message}` };
  }
}

/** A module with proposals that jobs may not use is refused with a code, or comes out valid. */
function judgeRefusable(generated: Uint8Array): Verdict {
  try {
    const instrumented = instrument(sealIfKnown(generated), { maxPages: MAX_PAGES, isStepping: false });
    if (WebAssembly.validate(new Uint8Array(instrumented.bytes))) return { kind: 'refused', why: 'nothing to refuse' };
    return { kind: 'differs', what: 'instrumented into an invalid module' };
  } catch (error) {
    if (!(error instanceof WasmError)) throw error;
    const { info } = error;
    return { kind: 'refused', why: info.code === 'WASM_UNSUPPORTED' ? info.feature : info.code };
  }
}

/** Imported globals would hide what else there is to refuse; a module that cannot be sealed stays as it is. */
function sealIfKnown(generated: Uint8Array): Uint8Array {
  try {
    const sealed = sealModule(generated);
    return WebAssembly.validate(new Uint8Array(sealed)) ? sealed : generated;
  } catch {
    return generated;
  }
}

function listFunctions(bytes: Uint8Array): ExportedFunction[] {
  const module = parseModule(bytes);
  const types = [...module.imports.map(({ typeIndex }) => typeIndex), ...module.functions];
  return module.exports.flatMap(({ name, kind, index }) => {
    const type = module.types[types[index] ?? -1];
    if (kind !== KIND_FUNCTION || type === undefined) return [];
    return [...type.params, ...type.results].includes(V128) ? [] : [{ name, params: type.params }];
  });
}

interface Extent {
  /** How many ends are compared. */
  readonly ends: number;
  /** False where one of the two stopped early: their states are those of different moments. */
  readonly isWhole: boolean;
}

/** Fuel against the reference's count. A call that traps leaves uncounted what a loop had not written back. */
function findMiscount(reference: Transcript, rewritten: Transcript, calls: number): string | null {
  for (let call = 0; call < calls; call++) {
    const [count, fuel] = [reference.fuel[call] ?? '', rewritten.fuel[call] ?? ''];
    const isExact = rewritten.ends[call + 1]?.startsWith('=') === true && rewritten.caught[call] === 0;
    if (count !== '' && isExact && count !== fuel) return `fuel of call ${call + 1}: ${count} counted, ${fuel} taken`;
  }
  return null;
}

function findDifference(a: Transcript, b: Transcript, { ends, isWhole }: Extent): string | null {
  for (let index = 0; index < ends; index++) {
    if (a.ends[index] !== b.ends[index]) return `call ${index}: ${a.ends[index]} against ${b.ends[index]}`;
  }
  if (!isWhole) return null;
  if (a.host !== b.host) return 'what the host was told';
  if (a.memory !== b.memory) return `memory: ${a.memory} against ${b.memory}`;
  const pairs = [
    [a.globals, b.globals],
    [a.tables, b.tables],
  ] as const;
  for (const [ours, theirs] of pairs) {
    const at = ours.findIndex((value, index) => value !== theirs[index]);
    if (at !== -1) return `state: ${ours[at]} against ${theirs[at]}`;
  }
  return null;
}
