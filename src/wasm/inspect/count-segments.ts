import { ByteReader } from '../binary/byte-reader.ts';
import { SECTION, skipConstantExpression } from '../binary/parse-module.ts';
import type { ParsedModule } from '../binary/types.ts';
import { WasmError } from '../errors.ts';
import type { SegmentCounts } from './interface.ts';

type Kind = keyof SegmentCounts;

/** Data segments (core specification, section 5.5.14); null if they cannot be read. */
export function countDataSegments(module: ParsedModule): SegmentCounts | null {
  return count(module, SECTION.data, (reader) => {
    const flags = reader.u32();
    if (flags === 2) reader.u32();
    if (flags !== 1) skipConstantExpression(reader);
    reader.skip(reader.u32());
    return flags === 1 ? 'passive' : 'active';
  });
}

/** Element segments (core specification, section 5.5.12); null if they cannot be read. */
export function countElementSegments(module: ParsedModule): SegmentCounts | null {
  return count(module, SECTION.element, (reader) => {
    const flags = reader.u32();
    if (flags > 7) reader.fail('unknown kind of element segment');
    const isActive = (flags & 1) === 0;
    const isExplicit = (flags & 2) !== 0;
    const hasExpressions = (flags & 4) !== 0;
    if (isActive && isExplicit) reader.u32();
    if (isActive) skipConstantExpression(reader);
    if (!isActive || isExplicit) reader.skip(1);
    for (let left = reader.u32(); left > 0; left--) {
      if (hasExpressions) skipConstantExpression(reader);
      else reader.u32();
    }
    if (isActive) return 'active';
    return isExplicit ? 'declared' : 'passive';
  });
}

function count(module: ParsedModule, section: number, read: (reader: ByteReader) => Kind): SegmentCounts | null {
  const counts = { active: 0, passive: 0, declared: 0 };
  const raw = module.raw.get(section);
  if (raw === undefined) return counts;
  const reader = new ByteReader(raw);
  try {
    for (let left = reader.u32(); left > 0; left--) counts[read(reader)]++;
    return counts;
  } catch (error) {
    if (error instanceof WasmError) return null;
    throw error;
  }
}
