import { describe, expect, it } from 'vitest';
import { renderTerminalSvg, stripAnsi } from '../../../scripts/terminal-svg.ts';

describe('renderTerminalSvg', () => {
  it('keeps colours and weight, and ends them where they end', () => {
    const svg = renderTerminalSvg('a \x1b[1m\x1b[32mb\x1b[39m c\x1b[22m d', { title: 't' });
    expect(svg).toContain(
      'a <tspan style="font-weight:bold;fill:#a5d27c">b</tspan><tspan style="font-weight:bold"> c</tspan> d',
    );
  });

  it('escapes what means something in XML', () => {
    const svg = renderTerminalSvg('1 < 2 & "3" > 2', { title: '<demo>' });
    expect(svg).toContain('1 &lt; 2 &amp; &quot;3&quot; &gt; 2');
    expect(svg).toContain('aria-label="&lt;demo&gt;"');
  });

  it('breaks lines that are too long, and loses nothing of them', () => {
    const svg = renderTerminalSvg('x'.repeat(300), { title: 't' });
    expect(svg.match(/<text x="16"/g)).toHaveLength(3);
    expect(svg.match(/x{2,}/g)?.join('')).toHaveLength(300);
  });
});

describe('stripAnsi', () => {
  it('leaves the text', () => {
    expect(stripAnsi('\x1b[2K\x1b[36mfog\x1b[39mproof\x1b[0m')).toBe('fogproof');
  });
});
