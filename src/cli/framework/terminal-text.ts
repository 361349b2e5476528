import { stripVTControlCharacters } from 'node:util';

/** Everything that moves the cursor, rings, or hides text; line ends and tabs stay. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of strangers (logs, names, reasons) made fit for a terminal: no escape sequence survives. */
export function sanitizeText(text: string): string {
  return stripVTControlCharacters(text).replaceAll('\r\n', '\n').replaceAll(CONTROL, '�');
}

/** The same, on one line. */
export function sanitizeLine(text: string): string {
  return sanitizeText(text).replaceAll(/[\n\t]+/g, ' ');
}

/** Cut to `width` columns with an ellipsis. */
export function fitWidth(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}
