import { TAG } from './constants.ts';
import { type DerElement, DerReader, readObjectIdentifier } from './der.ts';

const LABELS: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
};

const TEXT_TAGS: readonly number[] = [TAG.utf8String, TAG.printableString, TAG.ia5String];

/** A distinguished name for a person, in the order of its encoding; characters that a terminal might obey are replaced. */
export function formatName(what: string, name: DerElement): string {
  const parts: string[] = [];
  const names = new DerReader(what, name.whole, name.offset).enter(TAG.sequence);
  while (!names.isAtEnd) {
    const set = names.enter(TAG.set);
    while (!set.isAtEnd) parts.push(formatAttribute(set.enter(TAG.sequence)));
  }
  return parts.join(', ');
}

function formatAttribute(attribute: DerReader): string {
  const oid = readObjectIdentifier(attribute);
  const value = attribute.readAny();
  attribute.assertEnd();
  const text = TEXT_TAGS.includes(value.tag) ? new TextDecoder().decode(value.content) : `(tag ${value.tag})`;
  return `${LABELS[oid] ?? oid}=${text.replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?')}`;
}
