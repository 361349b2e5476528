import { formatSize } from '../../lib/quantity.ts';
import { PAGE_BYTES } from '../../wasm/constants.ts';
import type {
  AbiVerdict,
  ImportedItem,
  ModuleInspection,
  ModuleOutline,
  NamedItem,
  Refusal,
  SegmentCounts,
} from '../../wasm/inspect/interface.ts';
import type { AbiName } from '../../wasm/runtime/prepare-program.ts';
import { wrapText } from '../bundle/wrap-text.ts';
import { plural, renderFields } from '../format.ts';

export interface ShownInspection {
  readonly file: string;
  readonly inspection: ModuleInspection;
  /** The ABI that was asked for or is spoken by the module; null where there is no sign of one. */
  readonly abi: AbiName | null;
  readonly memoryBytes: number;
}

/** Items of a list that are shown; --json has them all. */
const SHOWN_ITEMS = 24;

export function renderInspection(shown: ShownInspection): string[] {
  const { file, inspection, abi, memoryBytes } = shown;
  const { outline, sizeBytes, sha256, instrumenter, hidden } = inspection;
  return [
    ...renderFields([
      ['file', `${file}, ${formatSize(sizeBytes)}`],
      ['sha-256', sha256],
      ['instrumenter', instrumenter],
      ['fits', describeFit(shown)],
      ['stepping', inspection.isStepping ? 'yes: it can be checkpointed, paused, migrated and replayed' : 'no'],
      ...(outline === null ? [] : listFields(outline, memoryBytes)),
    ]),
    ...(outline === null
      ? []
      : [...renderItems('imports', outline.imports), ...renderItems('exports', outline.exports)]),
    ...(abi === null ? [] : renderVerdict(inspection.abis[abi])),
    ...listShownAbis(abi).flatMap((name) => renderRefusals(name, inspection.abis[name])),
    ...(hidden.length === 0
      ? []
      : ['', 'not looked at, since reading stopped before; there may be more reasons in it', ...hidden.map(indent)]),
  ];
}

/** Without a sign of one, what keeps it from each. */
function listShownAbis(abi: AbiName | null): readonly AbiName[] {
  return abi === null ? ['wasi', 'fogproof'] : [abi];
}

function describeFit({ inspection, abi }: ShownInspection): string {
  if (abi === null) return 'no ABI: it neither imports nor exports what one of them has';
  const { kind } = inspection.abis[abi];
  return kind === 'accepted' ? `the ${abi} ABI` : `no: the ${abi} ABI refuses it`;
}

function listFields(outline: ModuleOutline, memoryBytes: number): (readonly [string, string])[] {
  const { functions, start, mutableGlobals, tables, dataSegments, elementSegments } = outline;
  return [
    ['memory', describeMemory(outline.memory, memoryBytes)],
    ['functions', `${functions}${start === null ? '' : `, function ${start} runs at the start`}`],
    ['mutable globals', listSome(mutableGlobals, ({ index, type }) => `${index} ${type}`)],
    ['tables', listSome(tables, ({ type, min, max }) => `${type} ${min} to ${max ?? 'any'}`)],
    ['data segments', describeSegments(dataSegments)],
    ['element segments', describeSegments(elementSegments)],
  ];
}

function describeMemory(memory: ModuleOutline['memory'], memoryBytes: number): string {
  if (memory === null) return 'none';
  const { minPages, maxPages, reservedPages } = memory;
  const size = (pages: number): string => `${plural(pages, 'page')} (${formatSize(pages * PAGE_BYTES)})`;
  const declared = maxPages === null ? 'no maximum declared' : `at most ${size(maxPages)}`;
  return `${size(minPages)}, ${declared}; up to ${size(reservedPages)} under the limit of ${formatSize(memoryBytes)}`;
}

function describeSegments(counts: SegmentCounts | null): string {
  if (counts === null) return 'not readable';
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.length === 0 ? 'none' : parts.map(([kind, count]) => `${count} ${kind}`).join(', ');
}

function listSome<T>(items: readonly T[], describe: (item: T) => string): string {
  if (items.length === 0) return 'none';
  const more = items.length - SHOWN_ITEMS;
  return `${items.slice(0, SHOWN_ITEMS).map(describe).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function renderItems(title: string, items: readonly (NamedItem | ImportedItem)[]): string[] {
  const lines = items.slice(0, SHOWN_ITEMS).map((item) => {
    const from = 'module' in item ? `${item.module} ` : '';
    return `  ${from}${item.name}  ${item.signature ?? item.kind}`;
  });
  const more = items.length - SHOWN_ITEMS;
  return ['', title, ...(items.length === 0 ? ['  none'] : lines), ...(more > 0 ? [`  and ${more} more`] : [])];
}

function renderVerdict(verdict: AbiVerdict): string[] {
  if (verdict.kind === 'refused') return [];
  const { sizeBytes, sha256, addedPercent, inserted } = verdict;
  return [
    '',
    'instrumented',
    ...renderFields([
      ['  size', `${formatSize(sizeBytes)}, ${addedPercent < 0 ? '' : '+'}${addedPercent} %`],
      ['  sha-256', sha256],
      [
        '  put in',
        `${plural(inserted.fuelCharges, 'fuel charge')}, ${plural(inserted.fuelChecks, 'fuel check')}, ${plural(inserted.stackChecks, 'stack check')}, ${plural(inserted.canonicalNans, 'canonical NaN')}`,
      ],
    ]),
  ];
}

function renderRefusals(abi: AbiName, verdict: AbiVerdict): string[] {
  if (verdict.kind === 'accepted') return [];
  const { refusals } = verdict;
  return [
    '',
    `refused by the ${abi} ABI: ${plural(refusals.length, 'reason')}`,
    ...refusals.flatMap((refusal, index) => [
      ...renderRefusal(refusal),
      ...(refusals[index + 1]?.hint === refusal.hint ? [] : wrapText(refusal.hint, { first: '    ', rest: '    ' })),
    ]),
  ];
}

/** What to do about it stands behind the last of several that have it in common. */
function renderRefusal({ code, message, times, places }: Refusal): string[] {
  const where = places.length === 0 ? '' : `, in ${places.join(', ')}${places.length < times ? ', …' : ''}`;
  const often = times === 1 ? '' : ` (${times} times)`;
  return wrapText(`${code}: ${message}${where}${often}`, { first: '  - ', rest: '    ' });
}

function indent(text: string): string {
  return `  ${text}`;
}
