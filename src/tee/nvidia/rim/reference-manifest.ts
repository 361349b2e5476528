import type { Element } from '@xmldom/xmldom';
import { TeeError } from '../../errors.ts';
import { MAX_ALTERNATIVES, MAX_RIM_BYTES, MEASUREMENT_BYTES } from '../constants.ts';
import { type EnvelopedSignature, readEnvelopedSignature } from './enveloped-signature.ts';
import { listChildElements, parseStrictXml } from './strict-xml.ts';

/**
 * A reference integrity manifest: the measurements that NVIDIA says a driver or a VBIOS has (TCG PC Client RIM, a SWID
 * tag of ISO/IEC 19770-2). Its signature is read, not verified.
 */
export interface ReferenceManifest {
  readonly edition: 'GPU' | 'SWITCH';
  /** The chip, as `GH100`. */
  readonly product: string;
  /** Of the driver (`550.144.03`) or of the VBIOS (`96.00.5E.00.01`). */
  readonly version: string;
  /** By index, counted from 0: the digests of which one has to be measured. Only active ones. */
  readonly golden: ReadonlyMap<number, readonly Uint8Array[]>;
  readonly signature: EnvelopedSignature;
}

const SWID = 'http://standards.iso.org/iso/19770/-2/2015/schema.xsd';
const SHA384 = 'http://www.w3.org/2001/04/xmlenc#sha384';
const EDITIONS: readonly string[] = ['GPU', 'SWITCH'];
const LABEL = /^[\w.-]{1,64}$/;
const MAX_INDEX = 254;

/** @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function parseReferenceManifest(bytes: Uint8Array): ReferenceManifest {
  const root = parseStrictXml({ what: 'the RIM', bytes, maxBytes: MAX_RIM_BYTES });
  if (root.namespaceURI !== SWID || root.localName !== 'SoftwareIdentity') throw refuse('it is no SWID tag');
  const meta = takeChild(root, 'Meta');
  const edition = readLabel(meta, 'edition');
  if (!EDITIONS.includes(edition)) throw refuse(`edition ${edition} is not known`);
  return {
    // One of EDITIONS, by the check above.
    edition: edition as ReferenceManifest['edition'],
    product: readLabel(meta, 'product'),
    version: readLabel(meta, 'colloquialVersion'),
    golden: readGolden(takeChild(root, 'Payload')),
    signature: readEnvelopedSignature(root),
  };
}

function takeChild(parent: Element, name: string): Element {
  const found = listChildElements(parent).filter((child) => child.namespaceURI === SWID && child.localName === name);
  const [element] = found;
  if (element === undefined || found.length > 1) throw refuse(`it does not have exactly one ${name}`);
  return element;
}

function readGolden(payload: Element): ReadonlyMap<number, readonly Uint8Array[]> {
  const golden = new Map<number, readonly Uint8Array[]>();
  const seen = new Set<number>();
  for (const resource of listChildElements(payload)) {
    if (resource.namespaceURI !== SWID || resource.localName !== 'Resource')
      throw refuse('its payload has other parts');
    if (resource.getAttribute('type') !== 'Measurement') throw refuse('a resource is no measurement');
    const index = readNumber(resource, 'index', MAX_INDEX);
    if (seen.has(index)) throw refuse(`index ${index} is there twice`);
    seen.add(index);
    if (isActive(resource)) golden.set(index, readAlternatives(resource));
  }
  if (golden.size === 0) throw refuse('it has no active measurement');
  return golden;
}

function isActive(resource: Element): boolean {
  const active = resource.getAttribute('active');
  if (active !== 'True' && active !== 'False') throw refuse('a measurement is neither active nor inactive');
  return active === 'True';
}

function readAlternatives(resource: Element): readonly Uint8Array[] {
  const size = readNumber(resource, 'size', MEASUREMENT_BYTES);
  const count = readNumber(resource, 'alternatives', MAX_ALTERNATIVES);
  if (size !== MEASUREMENT_BYTES || count === 0) throw refuse('a measurement has no SHA-384 digest');
  return Array.from({ length: count }, (_, alternative) =>
    decodeDigest(resource.getAttributeNS(SHA384, `Hash${alternative}`) ?? ''),
  );
}

function decodeDigest(hex: string): Uint8Array {
  if (!/^[0-9a-f]{96}$/i.test(hex)) throw refuse('a digest is not 96 digits of hex');
  return Uint8Array.from({ length: MEASUREMENT_BYTES }, (_, index) =>
    Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16),
  );
}

function readLabel(element: Element, name: string): string {
  const value = element.getAttribute(name) ?? '';
  if (!LABEL.test(value)) throw refuse(`${name} is missing or strange`);
  return value;
}

function readNumber(element: Element, name: string, max: number): number {
  const text = element.getAttribute(name) ?? '';
  if (!/^\d{1,4}$/.test(text) || Number(text) > max) throw refuse(`${name} is no number up to ${max}`);
  return Number(text);
}

function refuse(reason: string): TeeError {
  return new TeeError({ code: 'TEE_MALFORMED', what: 'the RIM', offset: 0, reason });
}
