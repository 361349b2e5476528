# Checkpoints, metrics and pauses for training programs in a POSIX shell. Source it: . ./fogproof-train.sh
# As a job of Fogproof with `checkpoints: { everyRounds: N }` (docs/training.md) it speaks with the node; anywhere else the same lines keep
# ./checkpoint and ./metrics.jsonl. It needs mv and sleep, and nothing that is not in POSIX but a sleep of parts of a second (it
# falls back to a whole one).
#
#   fogproof_begin                       sets FOGPROOF_ROUND (0: begin at the beginning) and FOGPROOF_FOLDER, where your files lie
#   fogproof_metric STEP NAME VALUE …    numbers for people to follow
#   fogproof_checkpoint ROUND            the files in FOGPROOF_FOLDER are of this round; returns once they are kept
#   fogproof_should_pause                true once the node wants to halt it at its next checkpoint

fogproof_begin() {
  if [ -n "${FOGPROOF_ROUND:-}" ] && [ -d /fogproof ]; then
    FOGPROOF_FOLDER=/checkpoint
    FOGPROOF_METRICS=/fogproof/metrics.jsonl
    fogproof_control=/fogproof
  else
    FOGPROOF_FOLDER=checkpoint
    FOGPROOF_METRICS=metrics.jsonl
    fogproof_control=
    mkdir -p "$FOGPROOF_FOLDER" || return 1
    FOGPROOF_ROUND=0
    if [ -f "$FOGPROOF_FOLDER/ROUND" ]; then read -r FOGPROOF_ROUND < "$FOGPROOF_FOLDER/ROUND"; fi
  fi
  export FOGPROOF_ROUND FOGPROOF_FOLDER
}

fogproof_metric() {
  fogproof_line="{\"step\":$1"
  shift
  while [ "$#" -ge 2 ]; do
    case $2 in
      [Nn]a[Nn] | [Nn][Aa][Nn]) fogproof_line="$fogproof_line,\"$1\":\"NaN\"" ;;
      *) fogproof_line="$fogproof_line,\"$1\":$2" ;;
    esac
    shift 2
  done
  printf '%s}\n' "$fogproof_line" >> "$FOGPROOF_METRICS"
}

fogproof_checkpoint() {
  printf '%s\n' "$1" > "$FOGPROOF_FOLDER/.round" && mv "$FOGPROOF_FOLDER/.round" "$FOGPROOF_FOLDER/ROUND" || return 1
  [ -n "$fogproof_control" ] || return 0
  while :; do
    read -r fogproof_taken < "$fogproof_control/taken" || fogproof_taken=0
    [ "${fogproof_taken:-0}" -ge "$1" ] && return 0
    sleep 0.02 2>/dev/null || sleep 1
  done
}

fogproof_should_pause() {
  [ -n "$fogproof_control" ] || return 1
  read -r fogproof_pause < "$fogproof_control/pause" || return 1
  [ "$fogproof_pause" = 1 ]
}
