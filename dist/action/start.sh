#!/usr/bin/env bash
# Starts the emulator in the background, waits until it is ready, and tells the other steps where it is.
set -euo pipefail

folder="${RUNNER_TEMP//\\//}/webpubsub-emulator"
mkdir -p "$folder"
ready="$folder/ready.json"
log="$folder/emulator.log"
: > "$ready"

arguments=()
while IFS= read -r argument; do
  argument="${argument%$'\r'}"
  [[ -n "$argument" ]] && arguments+=("$argument")
done <<< "${ARGUMENTS:-}"

# The step that ends must not take the emulator with it.
nohup "$PROGRAM" --port "$PORT" --json ${arguments[@]+"${arguments[@]}"} > "$ready" 2> "$log" < /dev/null &
id=$!
echo "$id" > "$folder/emulator.pid"

for ((tries = 0; tries < 300; tries++)); do
  grep -q '"event":"ready".*}$' "$ready" && break
  kill -0 "$id" 2> /dev/null || break
  sleep 0.1
done
if ! grep -q '"event":"ready".*}$' "$ready"; then
  echo "::error::the emulator did not start"
  cat "$log" >&2
  exit 1
fi

value() {
  sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$ready"
}
connection_string="$(value connectionString)"
echo "WebPubSubConnectionString=$connection_string" >> "$GITHUB_ENV"
{
  echo "connection-string=$connection_string"
  echo "endpoint=$(value endpoint)"
} >> "$GITHUB_OUTPUT"
echo "The emulator listens on $(value endpoint); its log is $log"
