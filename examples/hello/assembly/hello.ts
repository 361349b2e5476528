/** The smallest job: one step, a line of log, and its first input (or a greeting) as output. */
// @ts-ignore: decorator
@external("fogproof", "input_count")
declare function inputCount(): i32;
// @ts-ignore: decorator
@external("fogproof", "input_len")
declare function inputLength(index: i32): i32;
// @ts-ignore: decorator
@external("fogproof", "input_read")
declare function inputRead(index: i32, target: usize, offset: i32, length: i32): i32;
// @ts-ignore: decorator
@external("fogproof", "output_write")
declare function outputWrite(source: usize, length: i32): void;
// @ts-ignore: decorator
@external("fogproof", "log")
declare function log(text: usize, length: i32): void;

const DONE: i32 = 1;
const FAILED: i32 = -1;
/** "hello, fog\n", 11 bytes of static memory. */
const GREETING = memory.data<u8>([0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x66, 0x6f, 0x67, 0x0a]);
const GREETING_LENGTH: i32 = 11;

export function fogproof_init(): i32 {
  return 0;
}

export function fogproof_step(): i32 {
  log(GREETING, GREETING_LENGTH - 1);
  if (inputCount() == 0) {
    outputWrite(GREETING, GREETING_LENGTH);
    return DONE;
  }
  const length = inputLength(0);
  const bytes = new Uint8Array(length);
  if (inputRead(0, bytes.dataStart, 0, length) != length) return FAILED;
  outputWrite(bytes.dataStart, length);
  return DONE;
}
