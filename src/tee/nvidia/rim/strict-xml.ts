import { DOMParser, type Element, type Node, onWarningStopParsing } from '@xmldom/xmldom';
import { decodeUtf8 } from '../../../lib/bytes.ts';
import { describeError } from '../../../lib/errors.ts';
import { TeeError } from '../../errors.ts';
import { MAX_XML_ATTRIBUTES, MAX_XML_DEPTH, MAX_XML_ELEMENTS } from '../constants.ts';

const ELEMENT_NODE = 1;
const TEXT_NODE = 3;
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';
const DECLARATION = /^<\?xml version="1\.0"( encoding="(?:utf-8|UTF-8)")?( standalone="yes")?\?>/;
/** Starts a document type (and so entities), a comment, a CDATA section, or a processing instruction. */
const FORBIDDEN = /<[!?]/;
/** Control characters, most of which XML does not have (1.0, section 2.2): xmldom takes zero for white space. */
const NO_CHARACTERS = /(?![\t\n\r])[\p{Cc}\ufffe\uffff]/u;
/** xmldom turns these into line feeds, as XML 1.1 has it; XML 1.0 keeps them. */
const UNICODE_LINE_ENDS = /[\u0085\u2028\u2029]/;

export interface XmlSource {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly maxBytes: number;
}

/**
 * The root element of XML that has only elements, attributes and text: no document type, so no entities but the five
 * that XML has; no comments, processing instructions, CDATA or `xml:` attributes. What remains has one meaning, and
 * Canonical XML 1.0 and 1.1 agree on it.
 * @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE
 */
export function parseStrictXml({ what, bytes, maxBytes }: XmlSource): Element {
  if (bytes.length > maxBytes) {
    throw new TeeError({ code: 'TEE_TOO_LARGE', what, sizeBytes: bytes.length, limitBytes: maxBytes });
  }
  const refuse = (reason: string, offset = 0): TeeError =>
    new TeeError({ code: 'TEE_MALFORMED', what, offset, reason });
  const text = decodeText(bytes, refuse).replace(DECLARATION, '');
  const forbidden = text.search(FORBIDDEN);
  if (forbidden >= 0) throw refuse('only elements, attributes and text are accepted', forbidden);
  if (NO_CHARACTERS.test(text)) throw refuse('it has control characters');
  if (UNICODE_LINE_ENDS.test(text)) throw refuse('it has line ends that XML 1.0 does not know');
  const root = parseText(text, refuse);
  assertPlain(root, refuse);
  return root;
}

export function isElement(node: Node): node is Element {
  return node.nodeType === ELEMENT_NODE;
}

export function listChildElements(parent: Element): readonly Element[] {
  return [...parent.childNodes].filter(isElement);
}

function decodeText(bytes: Uint8Array, refuse: (reason: string) => TeeError): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    throw refuse('it is not UTF-8');
  }
}

function parseText(text: string, refuse: (reason: string) => TeeError): Element {
  try {
    const parser = new DOMParser({ locator: false, onError: onWarningStopParsing });
    const { documentElement } = parser.parseFromString(text, 'text/xml');
    if (documentElement !== null) return documentElement;
  } catch (error) {
    // ParseError, DOMException: all of it says that the text is no XML.
    throw refuse(describeError(error).slice(0, 200));
  }
  throw refuse('it has no element');
}

function assertPlain(root: Element, refuse: (reason: string) => TeeError): void {
  let level: readonly Element[] = [root];
  let elements = 0;
  for (let depth = 0; level.length > 0; depth++) {
    elements += level.length;
    if (depth >= MAX_XML_DEPTH) throw refuse(`its elements are nested more than ${MAX_XML_DEPTH} deep`);
    if (elements > MAX_XML_ELEMENTS) throw refuse(`it has more than ${MAX_XML_ELEMENTS} elements`);
    for (const element of level) assertPlainElement(element, refuse);
    level = level.flatMap(listChildElements);
  }
}

function assertPlainElement(element: Element, refuse: (reason: string) => TeeError): void {
  const { attributes, childNodes } = element;
  if (attributes.length > MAX_XML_ATTRIBUTES) throw refuse(`an element has more than ${MAX_XML_ATTRIBUTES} attributes`);
  if ([...attributes].some(({ namespaceURI }) => namespaceURI === XML_NAMESPACE)) {
    throw refuse('it has an xml: attribute');
  }
  const strange = [...childNodes].find(({ nodeType }) => nodeType !== TEXT_NODE && nodeType !== ELEMENT_NODE);
  if (strange !== undefined) throw refuse(`it has a node of type ${strange.nodeType}`);
}
