/**
 * Runs the demo and puts what it printed into docs/demo.svg and the README: a picture of a real run, never a drawing.
 * Usage: scripts/node scripts/record-demo.ts
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderTerminalSvg, stripAnsi } from './terminal-svg.ts';

const ROOT = join(import.meta.dirname, '..');
const BEGIN = /<!-- demo:begin[^>]*-->/;
const END = '<!-- demo:end -->';

async function runDemo(): Promise<string> {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/demo.ts')], {
    cwd: ROOT,
    env: { ...process.env, FORCE_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  if (exitCode !== 0) throw new Error(`the demo ended with ${exitCode}: nothing was recorded`);
  return output.trimEnd();
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) return console.log('Usage: scripts/node scripts/record-demo.ts');
  const output = await runDemo();
  await writeFile(join(ROOT, 'docs/demo.svg'), renderTerminalSvg(output, { title: 'npm run demo' }));
  const readmePath = join(ROOT, 'README.md');
  const readme = await readFile(readmePath, 'utf8');
  const begin = BEGIN.exec(readme);
  const end = readme.indexOf(END);
  if (begin === null || end < begin.index) throw new Error('README.md has no place for the recording');
  const text = stripAnsi(output);
  const recording = `\n![A recording of npm run demo](docs/demo.svg)\n\n<details><summary>The same as text</summary>\n\n\`\`\`text\n${text}\n\`\`\`\n\n</details>\n`;
  await writeFile(readmePath, readme.slice(0, begin.index) + begin[0] + recording + readme.slice(end));
}

await main();
