#!/usr/bin/env bash
# The tests that go through a port, over SQLite: what passes on memory passes there, each with a file of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
SQLITE=1 npx vitest run --testTimeout 240000 \
  ${@:-$(grep -rlE "(Test|Quiet)Server" test --include="*.test.ts")}
