#!/usr/bin/env bash
# Starts the quickstart by the command that is given, does what its curl lines say, and stops it.
set -euo pipefail
# Below those that a system gives to connections.
port=$((10240 + RANDOM % 20480))
log=$(mktemp)
server=""
trap '[ -z "$server" ] || kill "$server" 2> /dev/null || true; rm -f "$log"' EXIT

PORT=$port "$@" > "$log" 2>&1 &
server=$!
for _ in $(seq 300); do
  grep -q handler-runs "$log" && break
  kill -0 "$server" || { cat "$log"; exit 1; }
  sleep 0.1
done
cat "$log"
mapfile -t lines < <(grep -E '^ +curl ' "$log")
[ "${#lines[@]}" -eq 4 ]

# The lines as they are printed, a pattern that each answer has, and one that it has the second time.
patterns=("200 OK" "304 Not Modified" "200 OK" '"GET /users/:id":1')
seconds=("hit; ttl=" "304 Not Modified" "412 Precondition Failed" '"PATCH /users/:id":1')
for index in 0 1 2 3; do
  for pattern in "${patterns[$index]}" "${seconds[$index]}"; do
    answer=$(bash -c "${lines[$index]%%#*} --silent --show-error")
    if ! grep -qF "$pattern" <<< "$answer"; then
      printf '%s\nhas no %s:\n%s\n' "${lines[$index]}" "$pattern" "$answer"
      exit 1
    fi
  done
done
kill "$server"
wait "$server" || true
server=""
if curl --silent --max-time 2 "http://localhost:$port/handler-runs"; then
  echo "the server is still there after SIGTERM"
  exit 1
fi
