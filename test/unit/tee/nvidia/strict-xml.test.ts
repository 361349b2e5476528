import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { canonicalizeXml } from '../../../../src/tee/nvidia/rim/canonical-xml.ts';
import { listChildElements, parseStrictXml } from '../../../../src/tee/nvidia/rim/strict-xml.ts';

const parse = (text: string) => parseStrictXml({ what: 'the text', bytes: encodeUtf8(text), maxBytes: 100_000 });
const canonicalize = (text: string): string => decodeUtf8(canonicalizeXml(parse(text)));

describe('strict XML', () => {
  it.each([
    ['a document type', '<!DOCTYPE a><a/>'],
    ['an entity', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ['an entity that nobody defined', '<a>&b;</a>'],
    ['a comment', '<a><!-- b --></a>'],
    ['a CDATA section', '<a><![CDATA[b]]></a>'],
    ['a processing instruction', '<a><?b c?></a>'],
    ['one before the root', '<?b c?><a/>'],
    ['an encoding that is not UTF-8', '<?xml version="1.0" encoding="UTF-16"?><a/>'],
    ['XML 1.1', '<?xml version="1.1"?><a/>'],
    ['an xml: attribute', '<a xml:base="b"/>'],
    ['a prefix without a namespace', '<b:a/>'],
    ['an attribute twice', '<a b="1" b="2"/>'],
    ['an attribute without quotes', '<a b=1/>'],
    ['two roots', '<a/><b/>'],
    ['text after the root', '<a/>b'],
    ['an element that is not closed', '<a><b></a>'],
    ['no element', ' '],
    ['line ends of XML 1.1', '<a>\u2028</a>'],
    ['a character that is none', '<a\0b=""/>'],
    ['elements nested deep', `${'<a>'.repeat(17)}${'</a>'.repeat(17)}`],
    ['very many elements', `<a>${'<b/>'.repeat(2048)}</a>`],
    ['very many attributes', `<a ${Array.from({ length: 65 }, (_, index) => `b${index}=""`).join(' ')}/>`],
  ])('refuses %s', (_, text) => {
    expect(() => parse(text)).toThrow(TeeError);
  });

  it('refuses what is too large, and what is not UTF-8', () => {
    const bytes = encodeUtf8('<a/>');
    expect(() => parseStrictXml({ what: 'the text', bytes, maxBytes: 3 })).toThrow(/at most 3/);
    expect(() => parseStrictXml({ what: 'the text', bytes: new Uint8Array([0x3c, 0xff]), maxBytes: 9 })).toThrow(
      /UTF-8/,
    );
  });

  it('reads or refuses with a code whatever comes', () => {
    const piece = fc.constantFrom(
      '<a',
      '<b:c',
      '>',
      '/>',
      '</a>',
      ' b="',
      '"',
      '&amp;',
      '&#x41;',
      'text',
      'xmlns:b="d"',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          parse(pieces.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(TeeError);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('Canonical XML', () => {
  // W3C, Canonical XML 1.1, section 3: those parts of the examples that need no document type.
  it.each([
    ['white space (3.2)', '<doc>\n   <clean>   </clean>\n   <dirty>   A   B   </dirty>\n</doc>', undefined],
    ['an empty element (3.3)', '<doc>\n  <e1   />\n  <e2   ></e2></doc>', '<doc>\n  <e1></e1>\n  <e2></e2></doc>'],
    [
      'attributes and namespaces (3.3)',
      '<doc><e5 a:attr="out" b:attr="sorted" attr2="all" attr="I\'m"\n  xmlns:b="http://www.ietf.org"\n  xmlns:a="http://www.w3.org"\n  xmlns="http://example.org"/></doc>',
      '<doc><e5 xmlns="http://example.org" xmlns:a="http://www.w3.org" xmlns:b="http://www.ietf.org" attr="I\'m" attr2="all" b:attr="sorted" a:attr="out"></e5></doc>',
    ],
    [
      'namespaces that are undone and repeated (3.3)',
      '<doc xmlns="" xmlns:a="http://www.w3.org"><e7 xmlns="http://www.ietf.org"><e8 xmlns="" xmlns:a="http://www.w3.org"><e9 xmlns="" xmlns:a="http://www.ietf.org"/></e8></e7></doc>',
      '<doc xmlns:a="http://www.w3.org"><e7 xmlns="http://www.ietf.org"><e8 xmlns=""><e9 xmlns:a="http://www.ietf.org"></e9></e8></e7></doc>',
    ],
    [
      'characters (3.4)',
      '<doc><text>First line&#x0d;&#10;Second line</text><value>&#x32;</value><compute expr=\'value>"0" &amp;&amp; value&lt;"10" ?"valid":"error"\'>valid</compute></doc>',
      '<doc><text>First line&#xD;\nSecond line</text><value>2</value><compute expr="value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:&quot;error&quot;">valid</compute></doc>',
    ],
    [
      'line ends and white space in attributes',
      '<?xml version="1.0" encoding="UTF-8"?>\r\n<doc a="&#9;&#10;&#13;">&gt;\r\n</doc>\n',
      '<doc a="&#x9;&#xA;&#xD;">&gt;\n</doc>',
    ],
  ])('has %s as the W3C has it', (_, text, expected) => {
    expect(canonicalize(text)).toBe(expected ?? text);
  });

  it('gives an inner element the namespaces that are in scope, and leaves out what it is told to', () => {
    const root = parse('<a xmlns="u" xmlns:p="v"><b xmlns:q="w"><p:c/></b> <d/></a>');
    const [b, d] = listChildElements(root);
    if (b === undefined || d === undefined) throw new Error('two children were written');
    expect(decodeUtf8(canonicalizeXml(b))).toBe('<b xmlns="u" xmlns:p="v" xmlns:q="w"><p:c></p:c></b>');
    expect(decodeUtf8(canonicalizeXml(root, { without: b }))).toBe('<a xmlns="u" xmlns:p="v"> <d></d></a>');
  });
});
