import { readFile } from 'node:fs/promises';

/** Of Linux, for /proc: processor time is told in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** Resident memory of a process, bytes. */
export async function readRss(pid: number): Promise<number> {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kibibytes === undefined) throw new Error(`no VmRSS of process ${pid}`);
  return Number(kibibytes) * 1024;
}

/** Processor time that a process has taken, s. */
export async function readProcessorSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
