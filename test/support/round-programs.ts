/**
 * Shell scripts for tests of executors that make checkpoints of training rounds (src/sandbox/rounds). They use what a bare
 * POSIX shell has, so that any root with one will do.
 */

/** Reports a round by rename, as careful programs do, and waits until the node has dealt with it. */
const REPORT = `report() {
  printf '%s\\n' "$1" > /checkpoint/.round && mv /checkpoint/.round /checkpoint/ROUND
  while :; do
    read -r taken < /fogproof/taken
    [ "$taken" -ge "$1" ] && break
    sleep 0.01
  done
}
`;

/** Adds up what a small generator gives, a number a round: its state is one line. The end is in /output/sum. */
export function countingScript(rounds: number, more = ''): string {
  return `${REPORT}
round=$FOGPROOF_ROUND; sum=1
[ -f /checkpoint/state/sum ] && read -r sum < /checkpoint/state/sum
mkdir -p /checkpoint/state
while [ "$round" -lt ${rounds} ]; do
  round=$((round + 1)); sum=$(( (sum * 48271 + round) % 2147483647 ))
  printf '{"step": %s, "sum": %s}\\n' "$round" "$sum" >> /fogproof/metrics.jsonl
  echo "round $round"
  printf '%s\\n' "$sum" > /checkpoint/state/sum
  ${more}
  report "$round"
done
printf '%s\\n' "$sum" > /output/sum
`;
}

/** The same, computed here. */
export function countTo(rounds: number): number {
  let sum = 1n;
  for (let round = 1n; round <= BigInt(rounds); round += 1n) sum = (sum * 48_271n + round) % 2_147_483_647n;
  return Number(sum);
}

export { REPORT as REPORT_FUNCTION };
