#!/usr/bin/env bash
# The tests that go through a port, over Redis: what passes on memory passes there. A server is started for them, and stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
port=$(npx tsx checks/freePorts.ts 1)
redis-server --bind 127.0.0.1 --port "$port" --dir "$folder" --save "" > "$folder/log" &
server=$!
trap 'kill "$server"; rm -rf "$folder"' EXIT
for client in ${REDIS_CLIENTS:-ioredis redis}; do
  echo "over Redis, by the client $client"
  REDIS_PORT="$port" REDIS_CLIENT="$client" npx vitest run --testTimeout 240000 \
    ${@:-$(grep -rlE "(Test|Quiet)Server" test --include="*.test.ts")}
done
echo "the suite of HTTP cache tests, with the proxy on Redis"
STORAGE="redis://127.0.0.1:$port" npm run --silent conformance
