import pc from 'picocolors';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import { type Screen, wrapText } from './screen.ts';

const WIDTH = 100;
const LABEL_WIDTH = 12;

/** What the bundle proves, under which assumptions, and what it does not: as `bundle verify` said it. */
export function printProof(screen: Screen, verification: BundleVerification): void {
  screen.line();
  screen.line(pc.bold('What was proven'));
  for (const { assurance, verdict, statement, assumes, doesNotClaim } of verification.assurances) {
    const mark = verdict.kind === 'valid' ? pc.green('valid') : pc.red(verdict.kind);
    printRow(screen, pc.bold(assurance.padEnd(LABEL_WIDTH)), `${statement}`);
    printRow(screen, ''.padEnd(LABEL_WIDTH), `verdict: ${mark}`);
    if (assumes.length > 0) printRow(screen, ''.padEnd(LABEL_WIDTH), `assuming: ${assumes.join('; ')}`);
    for (const gap of doesNotClaim) printRow(screen, ''.padEnd(LABEL_WIDTH), `not claimed: ${gap}`);
  }
  screen.line();
  screen.line(pc.bold('What was not'));
  for (const gap of verification.notProven) printRow(screen, '-'.padEnd(LABEL_WIDTH), gap);
}

function printRow(screen: Screen, label: string, text: string): void {
  const [first = '', ...rest] = wrapText(text, WIDTH - LABEL_WIDTH);
  screen.line(`  ${label}${first}`);
  for (const line of rest) screen.line(`  ${' '.repeat(LABEL_WIDTH)}${line}`);
}
