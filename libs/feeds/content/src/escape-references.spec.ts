import fc from 'fast-check';
import { escapeReferences } from './escape-references';

describe('references that XML does not know', () => {
  it.each([
    ['a & b', 'a &amp; b', 'a bare ampersand'],
    ['a&b', 'a&amp;b', 'one within a word'],
    ['&', '&amp;', 'one alone'],
    ['&&amp;&', '&amp;&amp;&amp;', 'one beside a good one'],
    ['&nbsp;', '&amp;nbsp;', 'an entity of HTML'],
    ['&AMP;', '&amp;AMP;', 'a name in upper case'],
    ['&amp', '&amp;amp', 'a name without its end'],
    ['&#0;', '&amp;#0;', 'NUL'],
    ['&#11;', '&amp;#11;', 'a control character'],
    ['&#xD800;', '&amp;#xD800;', 'half a surrogate pair'],
    ['&#xFFFF;', '&amp;#xFFFF;', 'what is no character'],
    ['&#1114112;', '&amp;#1114112;', 'more than Unicode has'],
    ['&#x;', '&amp;#x;', 'a number without digits'],
    ['&#X41;', '&amp;#X41;', 'a number that begins in upper case'],
    ['<a href="?b&c">', '<a href="?b&amp;c">', 'one within an attribute'],
    ['<!-- & -->&<!-- & -->', '<!-- & -->&amp;<!-- & -->', 'one between comments'],
  ])('%j → %j: %s', (xml, escaped) => expect(escapeReferences(xml)).toBe(escaped));

  it.each([
    ['', 'nothing'],
    ['<a>b</a>', 'no ampersand'],
    ['&amp;&lt;&gt;&quot;&apos;', 'the names that XML knows'],
    ['&#9;&#38;&#1114111;&#x26;&#xfffd;&#x10FFFF;', 'characters by their number'],
    ['<![CDATA[a & b &nbsp;]]>', 'CDATA'],
    ['<![CDATA[ <!-- & ]]>', 'a comment that only begins within CDATA'],
    ['<!-- a & b <![CDATA[ -->', 'a comment'],
    ['<?php a && b ?>', 'an instruction'],
    ['<![CDATA[ & never closed', 'what is never closed, for the parser to refuse'],
  ])('%j stays: %s', (xml) => expect(escapeReferences(xml)).toBe(xml));

  const xml = fc
    .array(
      fc.constantFrom(
        '&',
        'amp;',
        'nbsp;',
        '#38;',
        '#0;',
        '<![CDATA[',
        ']]>',
        '<!--',
        '-->',
        '<?',
        '?>',
        '<!',
        'a',
        ' ',
      ),
    )
    .map((parts) => parts.join(''));

  it('are escaped once: a second time changes nothing', () => {
    fc.assert(
      fc.property(xml, (text) => expect(escapeReferences(escapeReferences(text))).toBe(escapeReferences(text))),
      {
        numRuns: 1_000,
      },
    );
  });

  it('are all that differs', () => {
    fc.assert(
      fc.property(xml, (text) =>
        expect(escapeReferences(text).replaceAll('&amp;', '&')).toBe(text.replaceAll('&amp;', '&')),
      ),
      { numRuns: 1_000 },
    );
  });

  it.each(['&', '<!--', '<![CDATA[', '<?', '<!', '<!---->'])(
    'takes time in proportion to the length: %j over and over',
    (part) => {
      // Were it quadratic, these would take many minutes.
      expect(escapeReferences(part.repeat(500_000)).length).toBeGreaterThan(500_000);
    },
  );
});
