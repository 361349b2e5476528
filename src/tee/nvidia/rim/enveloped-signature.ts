import type { Element } from '@xmldom/xmldom';
import { TeeError } from '../../errors.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { decodeBase64 } from '../../x509/pem.ts';
import { MAX_SIGNER_CERTIFICATES } from '../constants.ts';
import { canonicalizeXml } from './canonical-xml.ts';
import { isElement, listChildElements } from './strict-xml.ts';

/** What a document's enveloped signature (W3C, XML Signature 1.1) says; nothing of it is verified yet. */
export interface EnvelopedSignature {
  /** The document without the signature, canonical. */
  readonly content: Uint8Array;
  /** SHA-384 that the content has to have. */
  readonly contentDigest: Uint8Array;
  /** The signed part, canonical. */
  readonly signedInfo: Uint8Array;
  /** ECDSA P-384, r || s. */
  readonly signature: Uint8Array;
  /** Of the signer first. */
  readonly certificates: readonly [Certificate, ...Certificate[]];
}

const XMLDSIG = 'http://www.w3.org/2000/09/xmldsig#';
const C14N_11 = 'http://www.w3.org/2006/12/xml-c14n11';
const ALGORITHMS = {
  CanonicalizationMethod: C14N_11,
  SignatureMethod: 'http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384',
  DigestMethod: 'http://www.w3.org/2001/04/xmldsig-more#sha384',
} as const;
const BLANK = /^[ \t\n]*$/;
const TRANSFORMS = ['http://www.w3.org/2000/09/xmldsig#enveloped-signature', C14N_11];

/**
 * Reads the one form that NVIDIA signs in: one signature, a child of the root, of one reference to the whole document.
 * Every other form is refused, so that what is signed is what is read: nothing can be wrapped, added or left out.
 * @throws TeeError TEE_MALFORMED
 */
export function readEnvelopedSignature(root: Element): EnvelopedSignature {
  const signature = takeOnly(root.getElementsByTagNameNS(XMLDSIG, 'Signature'), 'Signature');
  if (signature.parentNode !== root) throw refuse('the signature is not a child of the root');
  const [info, value, keyInfo] = readSequence(signature, ['SignedInfo', 'SignatureValue', 'KeyInfo']);
  const [canonicalization, method, reference] = readSequence(info, [
    'CanonicalizationMethod',
    'SignatureMethod',
    'Reference',
  ]);
  assertAlgorithm(canonicalization, 'CanonicalizationMethod');
  assertAlgorithm(method, 'SignatureMethod');
  return {
    content: canonicalizeXml(root, { without: signature }),
    contentDigest: readReference(reference),
    signedInfo: canonicalizeXml(info),
    signature: readBase64(value),
    certificates: readCertificates(keyInfo),
  };
}

function readReference(reference: Element): Uint8Array {
  if (reference.getAttribute('URI') !== '' || reference.attributes.length !== 1) {
    throw refuse('the reference is not to the whole document');
  }
  const [transforms, method, value] = readSequence(reference, ['Transforms', 'DigestMethod', 'DigestValue']);
  assertAlgorithm(method, 'DigestMethod');
  assertNoText(transforms);
  const found = listChildElements(transforms).map((transform) => transform.getAttribute('Algorithm'));
  if (found.length !== TRANSFORMS.length || found.some((algorithm, index) => algorithm !== TRANSFORMS[index])) {
    throw refuse('the transforms are not the enveloped signature and Canonical XML 1.1');
  }
  return readBase64(value);
}

function readCertificates(keyInfo: Element): readonly [Certificate, ...Certificate[]] {
  const [data] = readSequence(keyInfo, ['X509Data']);
  assertNoText(data);
  const elements = listChildElements(data);
  if (elements.length > MAX_SIGNER_CERTIFICATES) throw refuse(`more than ${MAX_SIGNER_CERTIFICATES} certificates`);
  const [signer, ...others] = elements.map((element) => {
    assertName(element, 'X509Certificate');
    return parseCertificate(readBase64(element));
  });
  if (signer === undefined) throw refuse('it has no certificate');
  return [signer, ...others];
}

function readSequence<const Names extends readonly string[]>(
  parent: Element,
  names: Names,
): { readonly [Index in keyof Names]: Element } {
  const elements = listChildElements(parent);
  assertNoText(parent);
  if (elements.length !== names.length) throw refuse(`${parent.tagName} has ${elements.length} parts`);
  for (const [index, element] of elements.entries()) assertName(element, names[index] ?? '');
  // As many elements as names, by the check above.
  return elements as unknown as { readonly [Index in keyof Names]: Element };
}

/** Nothing signs what lies between the parts of the signature itself. */
function assertNoText(parent: Element): void {
  const text = [...parent.childNodes].filter((child) => !isElement(child));
  if (text.some(({ nodeValue }) => !BLANK.test(nodeValue ?? ''))) throw refuse(`${parent.tagName} has text`);
}

function assertName(element: Element, name: string): void {
  if (element.namespaceURI !== XMLDSIG || element.localName !== name) {
    throw refuse(`${element.tagName} is where ${name} has to be`);
  }
}

function assertAlgorithm(element: Element, name: keyof typeof ALGORITHMS): void {
  // A child could carry parameters of the algorithm.
  if (element.getAttribute('Algorithm') !== ALGORITHMS[name] || listChildElements(element).length > 0) {
    throw refuse(`the algorithm of ${name} is not ${ALGORITHMS[name]}`);
  }
}

function takeOnly(elements: Iterable<Element>, name: string): Element {
  const [element, ...others] = elements;
  if (element === undefined || others.length > 0) throw refuse(`it does not have exactly one ${name}`);
  return element;
}

function readBase64(element: Element): Uint8Array {
  if (listChildElements(element).length > 0) throw refuse(`${element.tagName} has elements`);
  const bytes = decodeBase64((element.textContent ?? '').replaceAll(/[ \t\n]/g, ''));
  if (bytes === undefined) throw refuse(`${element.tagName} is not base64`);
  return bytes;
}

function refuse(reason: string): TeeError {
  return new TeeError({ code: 'TEE_MALFORMED', what: 'the signature of the RIM', offset: 0, reason });
}
