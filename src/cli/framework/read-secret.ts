import { UsageError } from '../../lib/errors.ts';

const ENTER = /[\r\n]/;
const ERASE = ['\u007f', '\b'];
const INTERRUPT = '\u0003';
const END_OF_INPUT = '\u0004';

export interface SecretTerminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stderr: NodeJS.WriteStream;
}

/** Asks on the terminal without echo. @throws UsageError where there is none, AbortError on Ctrl-C */
export async function readSecret({ stdin, stderr }: SecretTerminal, prompt: string): Promise<string> {
  if (stdin.isTTY !== true || stderr.isTTY !== true) {
    throw new UsageError(
      `cannot ask '${prompt}' without a terminal`,
      'Run it in a terminal, or set FOGPROOF_PASSPHRASE_FILE to a file that holds it.',
    );
  }
  stderr.write(`${prompt}: `);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  try {
    return await readLine(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

function readLine(stdin: NodeJS.ReadStream): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let line: string[] = [];
  const onData = (text: string): void => {
    for (const character of text) {
      if (character === INTERRUPT) return finish(() => reject(new DOMException('interrupted', 'AbortError')));
      if (ENTER.test(character) || character === END_OF_INPUT) return finish(() => resolve(line.join('')));
      line = ERASE.includes(character) ? line.slice(0, -1) : [...line, character];
    }
  };
  const finish = (settle: () => void): void => {
    stdin.off('data', onData);
    settle();
  };
  stdin.on('data', onData);
  return promise;
}
