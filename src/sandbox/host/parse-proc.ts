/** Texts of Linux's proc and cgroup file systems: proc(5), cgroups(7), Documentation/accounting/psi.rst. */

/** A `Name:   123 kB` line of /proc/meminfo or /proc/<pid>/status in bytes; null if it is not there. */
export function parseKilobytes(text: string, name: string): number | null {
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}:`)) continue;
    const figure = /^\s*(\d{1,15}) kB\s*$/.exec(line.slice(name.length + 1))?.[1];
    return figure === undefined ? null : Number(figure) * 1024;
  }
  return null;
}

/** A file that holds one amount. Null for `max`, and for what is not a whole number. */
export function parseAmount(text: string): number | null {
  const figure = text.trim();
  return /^\d{1,20}$/.test(figure) ? Number(figure) : null;
}

/** A `name 123` line of a cgroup's memory.stat; null if it is not there. */
export function parseStat(text: string, name: string): number | null {
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name} `)) return parseAmount(line.slice(name.length + 1));
  }
  return null;
}

/** `avg10` of the line `some` of a file of /proc/pressure, percent; null if it is not there. */
export function parsePressure(text: string): number | null {
  const figure = /^some avg10=(\d{1,3}(?:\.\d{1,4})?) /m.exec(text)?.[1];
  return figure === undefined ? null : Math.min(100, Number(figure));
}

/** Process ids of a `children` file, at most `limit`. */
export function parseChildren(text: string, limit: number): readonly number[] {
  return text
    .trim()
    .split(/\s+/)
    .flatMap((word) => parseAmount(word) ?? [])
    .filter((pid) => pid > 0)
    .slice(0, limit);
}
