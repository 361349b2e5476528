/** Starts a child at the level in its arguments, says its process id, and then does nothing until it is killed. */
import { SystemClock } from '../../../../src/lib/clock.ts';
import { SandboxChild } from '../../../../src/sandbox/executors/wasm/sandbox-child.ts';
import { steppingWat } from '../../../support/program.ts';
import { createChildTask, findOffers, GO_ON } from '../../../support/sandbox.ts';
import { assembleWat } from '../../../support/wat.ts';

const level = process.argv[2] === 'bubblewrap' ? 'bubblewrap' : 'process';
const offer = (await findOffers()).get(level);
if (offer !== undefined) {
  const child = new SandboxChild(new SystemClock(), { ...offer, maxMemoryBytes: 2 ** 30 });
  await child.start();
  const module = assembleWat(steppingWat({ step: '(loop (br 0)) (i32.const 0)' }));
  const task = createChildTask(module, { fuel: 2 ** 52 });
  const sink = {
    log: () => {},
    metric: () => {},
    progress: () => console.log(child.pid),
    checkpoint: () => Promise.resolve(GO_ON),
  };
  await child.run(task, sink, new AbortController().signal);
}
