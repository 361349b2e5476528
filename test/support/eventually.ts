/** Waits, turn by turn and without time passing, until an answer is yes. */
export async function eventually(holds: () => Promise<boolean>, turns = 2_000): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`it never held: ${holds}`);
}
