/** A child of the fuzzer: an engine held to one compiler tier, which runs what it is sent. */
import { execute } from './execute.ts';
import type { Execution } from './interface.ts';

process.on('message', (execution: Execution) => {
  let answer: object;
  try {
    answer = execute(execution);
  } catch (error) {
    answer = { failure: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
  process.send?.(answer);
});
process.send?.('ready');
