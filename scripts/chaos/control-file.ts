/** What the harness tells a running daemon, in a small file that is replaced as a whole; and what the daemon notes. */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const controlSchema = z.strictObject({
  arms: z.array(z.string()),
  clockOffsetMs: z.int(),
  writeDelayMs: z.int().min(0),
});
export type Control = z.output<typeof controlSchema>;

export const NO_CONTROL: Control = { arms: [], clockOffsetMs: 0, writeDelayMs: 0 };

const noteSchema = z.union([z.strictObject({ point: z.string() }), z.strictObject({ died: z.string(), pid: z.int() })]);
export type Note = z.output<typeof noteSchema>;

export const CONTROL_FILE = 'control.json';
const NOTES_FILE = 'notes.jsonl';

export function writeControl(folder: string, control: Control): void {
  const path = join(folder, CONTROL_FILE);
  writeFileSync(`${path}.new`, JSON.stringify(control));
  renameSync(`${path}.new`, path);
}

export function readControl(folder: string): Control {
  return controlSchema.parse(JSON.parse(readFileSync(join(folder, CONTROL_FILE), 'utf8')));
}

/** Returns when the note is with the system, so that it outlives the process. */
export function appendNote(folder: string, note: Note): void {
  appendFileSync(join(folder, NOTES_FILE), `${JSON.stringify(note)}\n`);
}

export function readNotes(folder: string): readonly Note[] {
  const notes: Note[] = [];
  for (const line of readText(join(folder, NOTES_FILE)).split('\n')) {
    if (line.endsWith('}')) notes.push(noteSchema.parse(JSON.parse(line)));
  }
  return notes;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // No daemon has noted anything yet.
    return '';
  }
}
