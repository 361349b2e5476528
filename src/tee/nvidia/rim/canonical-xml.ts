import type { Attr, Element, Node } from '@xmldom/xmldom';
import { encodeUtf8 } from '../../../lib/bytes.ts';
import { isElement } from './strict-xml.ts';

/**
 * Inclusive Canonical XML without comments (W3C, Canonical XML 1.1, section 2) of an element and all below it, for XML
 * that `parseStrictXml` accepted: there is no `xml:` attribute to inherit, so 1.0 and 1.1 give the same bytes.
 * The element itself states every namespace that is in scope; those below it only what differs from their parent.
 */
export function canonicalizeXml(apex: Element, options: { readonly without?: Element } = {}): Uint8Array {
  const inherited = listAncestors(apex).map(readDeclarations);
  const scope = new Map(inherited.reverse().flatMap((declarations) => [...declarations]));
  const own = new Map([...scope, ...readDeclarations(apex)]);
  return encodeUtf8(renderElement(apex, { scope: own, rendered: new Map(), without: options.without }));
}

/** By prefix; the default namespace has the prefix ''. */
type Namespaces = ReadonlyMap<string, string>;

interface RenderContext {
  readonly scope: Namespaces;
  /** What the parent in the output states. */
  readonly rendered: Namespaces;
  readonly without: Element | undefined;
}

const XMLNS_NAMESPACE = 'http://www.w3.org/2000/xmlns/';

function isDeclaration({ namespaceURI }: Attr): boolean {
  return namespaceURI === XMLNS_NAMESPACE;
}

function readDeclarations(element: Element): Namespaces {
  const declarations = [...element.attributes].filter(isDeclaration);
  return new Map(declarations.map(({ prefix, localName, value }) => [prefix === null ? '' : (localName ?? ''), value]));
}

function listAncestors(element: Element): readonly Element[] {
  const ancestors: Element[] = [];
  let parent = element.parentNode;
  while (parent !== null && isElement(parent)) {
    ancestors.push(parent);
    parent = parent.parentNode;
  }
  return ancestors;
}

function renderElement(element: Element, { scope, rendered, without }: RenderContext): string {
  const namespaces = [...scope]
    .filter(([prefix, uri]) => (rendered.get(prefix) ?? '') !== uri)
    .sort(([a], [b]) => compareText(a, b))
    .map(([prefix, uri]) => ` ${prefix === '' ? 'xmlns' : `xmlns:${prefix}`}="${escapeAttribute(uri)}"`);
  const attributes = [...element.attributes]
    .filter((attribute) => !isDeclaration(attribute))
    .sort(compareAttributes)
    .map(({ name, value }) => ` ${name}="${escapeAttribute(value)}"`);
  const content = [...element.childNodes].map((child) => {
    if (child === without) return '';
    if (!isElement(child)) return escapeText(readText(child));
    const below = new Map([...scope, ...readDeclarations(child)]);
    return renderElement(child, { scope: below, rendered: scope, without });
  });
  const { tagName } = element;
  return `<${tagName}${namespaces.join('')}${attributes.join('')}>${content.join('')}</${tagName}>`;
}

function readText(node: Node): string {
  return node.nodeValue ?? '';
}

/** By namespace, then by local name; those without a namespace come first. */
function compareAttributes(a: Attr, b: Attr): number {
  return compareText(a.namespaceURI ?? '', b.namespaceURI ?? '') || compareText(a.localName ?? '', b.localName ?? '');
}

/** By code point, which is the order of the bytes of UTF-8; not by UTF-16 unit or by language. */
function compareText(a: string, b: string): number {
  const [left, right] = [encodeUtf8(a), encodeUtf8(b)];
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#xD;');
}

function escapeAttribute(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\t', '&#x9;')
    .replaceAll('\n', '&#xA;')
    .replaceAll('\r', '&#xD;');
}
