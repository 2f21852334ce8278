#!/usr/bin/env bash
# What a newcomer does: clone, `npm install && npm start`, and the curl lines that it prints.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT

git clone --quiet "$root" "$clone"
cd "$clone"
npm install --silent --no-fund --no-audit
checks/quickstart.sh npm start
echo "a newcomer's clone starts, does what its curl lines say, and stops"
