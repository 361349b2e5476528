import { TAG } from './constants.ts';
import { type DerReader, readBoolean, readObjectIdentifier } from './der.ts';

export interface Extension {
  readonly critical: boolean;
  /** What the OCTET STRING holds. */
  readonly value: Uint8Array;
}

/** Extensions ::= SEQUENCE OF Extension, in which none may come twice (RFC 5280, section 4.2). */
export function readExtensions(reader: DerReader): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>();
  const list = reader.enter(TAG.sequence);
  while (!list.isAtEnd) {
    const entry = list.enter(TAG.sequence);
    const oid = readObjectIdentifier(entry);
    const critical = entry.nextTag === TAG.boolean ? readBoolean(entry) : false;
    const { content } = entry.read(TAG.octetString);
    entry.assertEnd();
    if (found.has(oid)) entry.fail(`the extension ${oid} comes twice`);
    found.set(oid, { critical, value: content });
  }
  return found;
}

export function listCritical(extensions: ReadonlyMap<string, Extension>): readonly string[] {
  return [...extensions].filter(([, { critical }]) => critical).map(([oid]) => oid);
}
