import picocolors from 'picocolors';

/** Colours for what a terminal shows; PLAIN for anything else. */
export type LineColors = Pick<ReturnType<typeof picocolors.createColors>, 'dim' | 'green' | 'yellow' | 'red'>;

const PLAIN: LineColors = picocolors.createColors(false);

const LEVELS: Readonly<Record<number, { readonly name: string; readonly color: keyof LineColors }>> = {
  20: { name: 'DEBUG', color: 'dim' },
  30: { name: 'INFO ', color: 'green' },
  40: { name: 'WARN ', color: 'yellow' },
  50: { name: 'ERROR', color: 'red' },
  60: { name: 'FATAL', color: 'red' },
};

/** A JSON log line as a person reads it: `12:00:00.000 INFO  network: listening port=4717`. */
export function formatPrettyLine(line: string, colors: LineColors = PLAIN): string {
  const { level, time, module, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const { name, color } = LEVELS[Number(level)] ?? { name: String(level), color: 'dim' };
  const at = new Date(Number(time)).toISOString().slice(11, 23);
  const origin = typeof module === 'string' ? `${module}: ` : '';
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${formatValue(value)}`);
  const tail = rest.length === 0 ? '' : ` ${colors.dim(rest.join(' '))}`;
  return `${colors.dim(at)} ${colors[color](name)} ${origin}${sanitize(String(msg))}${tail}\n`;
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' && /^[\w./:+@,-]+$/.test(value) ? value : JSON.stringify(value);
  return sanitize(text);
}

/** Peers put text into log lines: control characters could rewrite what the operator sees. */
function sanitize(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g, '?');
}
