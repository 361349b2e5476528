/**
 * npm run demo: five daemons, one real training job on three of them, one killed in the middle, and a bundle that is
 * verified offline. Everything goes through the built command line and the control sockets; every claim that is printed
 * was checked first, and one that is not so makes the exit code 1.
 */
import { parseArgs } from 'node:util';
import { Screen } from './demo/screen.ts';
import { DemoScript } from './demo/script.ts';
import { LAUNCHER, Stage } from './demo/stage.ts';

const HELP = `Usage: npm run demo [-- OPTION...]

  --keep DIR   use the empty folder DIR and keep it: homes, logs, job file, result and exported bundle
  --help       this text`;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keep: { type: 'string' }, help: { type: 'boolean' } } });
  if (values.help === true) return console.log(HELP);
  const abort = new AbortController();
  const onSignal = (): void => abort.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const screen = new Screen(process.stdout.isTTY);
  try {
    await using stage = await Stage.open({ keep: values.keep, launcher: LAUNCHER });
    await new DemoScript({ stage, screen }, { signal: abort.signal }).play();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`\n${abort.signal.aborted ? 'interrupted; everything that was started has been ended' : reason}`);
    process.exitCode = abort.signal.aborted ? 130 : 1;
  }
  if (values.keep !== undefined) console.log(`\nkept: ${values.keep}`);
  if (screen.claims.some(({ isTrue }) => !isTrue)) process.exitCode = 1;
  process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
}

await main();
