import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { COMMANDS, GROUP_SUMMARIES } from '../../../src/cli/commands.ts';
import { describeOptions } from '../../../src/cli/framework/option-specs.ts';

const GLOBAL_FLAGS = ['--json', '--quiet', '--home', '--socket', '--help', '--version', '-q', '-h', '-V'];

describe('the table of commands', () => {
  it('names each command once, in groups that are described', () => {
    const names = COMMANDS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) if (name.includes(' ')) expect(GROUP_SUMMARIES).toHaveProperty(name.split(' ')[0] ?? '');
  });

  it.each(COMMANDS)('$name is documented', async ({ name, summary, isDefault, load }) => {
    const command = await load();
    expect(command.name).toBe(name);
    expect(command.summary).toBe(summary);
    expect(summary).not.toMatch(/\.$/);
    expect(command.examples.length).toBeGreaterThan(0);
    const words = isDefault === true ? name.split(' ')[0] : name;
    for (const { line, does } of command.examples) {
      expect(line).toMatch(new RegExp(`^(fogproof ${words}|.*fogproof ${words})`));
      expect(does).toMatch(/\.$/);
    }
    const specs = describeOptions(command.options);
    for (const { flag, short, description } of specs) {
      expect(GLOBAL_FLAGS).not.toContain(flag);
      expect(GLOBAL_FLAGS).not.toContain(short === undefined ? '' : `-${short}`);
      expect(description).not.toBe('');
    }
    expect(new Set(specs.map(({ flag }) => flag)).size).toBe(specs.length);
  });
});

describe('start of the command line', () => {
  const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
  const hook = `import { registerHooks } from 'node:module'; import { writeSync } from 'node:fs';
    registerHooks({ load: (url, context, next) => (writeSync(2, 'LOAD ' + url + '\\n'), next(url, context)) });`;

  it.each(['--help', 'job list', 'node status', 'peers', 'wallet', 'anchor list'])(
    '%s loads nothing of the daemon',
    async (line) => {
      const preload = `data:text/javascript,${encodeURIComponent(hook)}`;
      const environment = { ...process.env, HOME: '/nonexistent', FOGPROOF_SOCKET: '/nonexistent/none.sock' };
      const { stderr } = await promisify(execFile)(process.execPath, ['--import', preload, main, ...line.split(' ')], {
        env: environment,
      }).catch((error: unknown) => error as { stderr: string });
      const loaded = stderr.split('\n').filter((entry) => entry.startsWith('LOAD '));
      expect(loaded.length).toBeGreaterThan(10);
      expect(
        loaded.filter((url) =>
          /libp2p|level|yaml|pino|multiformats|noble|binaryen|solana|src\/(node|chain)\//.test(url),
        ),
      ).toEqual([]);
    },
  );
});
