#!/usr/bin/env bash
# The tests that go through a port, over storages that do not answer at once: what passes on memory passes there.
set -euo pipefail
cd "$(dirname "$0")/.."
# Milliseconds: the heavy tests wait for a storage at every step.
patience=240000
for storage in "after a yield" "after a millisecond" "from a promise"; do
  echo "a storage that answers $storage"
  STORAGE="$storage" npx vitest run --testTimeout "$patience" $(grep -rlE "(Test|Quiet|Faulty)Server" test --include="*.test.ts")
done
