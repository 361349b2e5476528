/** The smallest job: one step, a line of log, and its first input (or a greeting) as output. */
import { DONE, FAILED, inputCount, log, MORE, readInput, writeOutput, writeOutputText } from "../../../sdk/assemblyscript/fogproof";

export function fogproof_init(): i32 {
  return MORE;
}

export function fogproof_step(): i32 {
  log("hello, fog");
  if (inputCount() == 0) {
    writeOutputText("hello, fog\n");
    return DONE;
  }
  const bytes = readInput(0);
  if (bytes === null) return FAILED;
  writeOutput(bytes.dataStart, bytes.length);
  return DONE;
}
