#!/usr/bin/env bash
# Packs the library, installs it into an empty project with only its peers, compiles and runs what a user would write, and
# follows the links of its documents.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT

cd "$root"
version() { node -p "require('./package.json').devDependencies['$1']"; }
tarball=$(npm pack --silent --pack-destination "$project")
npx publint run --strict "$project/$tarball"
npx attw "$project/$tarball" --profile esm-only

cd "$project"
cat > package.json <<'JSON'
{ "name": "used-by", "private": true, "type": "module" }
JSON
(cd "$root" && echo "effect@$(version effect) @effect/platform@$(version @effect/platform)") | xargs npm install --silent --no-fund --no-audit "./$tarball"
# What is installed is what was packed.
"$root/node_modules/.bin/tsx" "$root/checks/links.ts" node_modules/effect-http-cache
cat > app.ts <<'TS'
import { HttpApp, HttpRouter, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import * as HttpCache from "effect-http-cache/HttpCache"
import type { CacheStorage } from "effect-http-cache/CacheStorage"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { collectableLaws, expectCacheStatus } from "effect-http-cache/testing"

let runs = 0
const getUser = Effect.sync(() => HttpServerResponse.unsafeJson({ run: ++runs }))
const router: HttpRouter.HttpRouter<never, CacheStorage | import("effect-http-cache/CollectableCacheStorage").CollectableCacheStorage> =
  HttpRouter.empty.pipe(
    HttpRouter.get("/users/:id", getUser.pipe(withCache({ expiry: 10 }))),
    HttpRouter.patch("/users/:id", HttpServerResponse.empty().pipe(withCollect()))
  )
const { dispose, handler } = HttpApp.toWebHandlerLayer(router, InMemoryCacheStorage.layerCollectable)
const said: Array<string | null> = []
for (const method of ["GET", "GET", "PATCH", "GET"]) {
  const response = await handler(new Request("http://localhost/users/1", { method }))
  said.push(response.headers.get("cache-status"))
  expectCacheStatus(response, { hit: said.length === 2 })
}
await dispose()
for (const { test } of collectableLaws()) await Effect.runPromise(Effect.provide(test, InMemoryCacheStorage.layerCollectable))
// Neither client is installed.
const away: RedisCacheStorage.Redis = {
  isCluster: false,
  send: () => Promise.reject(new Error("away")),
  subscribe: () => Promise.reject(new Error("away"))
}
const { message } = await Effect.runPromise(Effect.flip(RedisCacheStorage.make(away).collect({ keys: ["/"], groups: [] })))
console.log(said.join("\n"), typeof HttpCache.middleware, message)
TS
cat > expected.txt <<'TXT'
effect-http-cache; fwd=uri-miss; stored
effect-http-cache; hit; ttl=9
effect-http-cache; fwd=method
effect-http-cache; fwd=uri-miss; stored function RedisCacheStorage.collect failed for /
TXT
for typescript in "$(cd "$root" && version typescript)" latest; do
  npm install --silent --no-fund --no-audit --save-dev "typescript@$typescript" "@types/node@20"
  npx tsc --version
  npx tsc --strict --exactOptionalPropertyTypes --noEmitOnError --skipLibCheck --target es2022 --module nodenext --types node --outDir out app.ts
  # The second answer is a hit with nine seconds and a bit to go, or the whole ten.
  node out/app.js | sed 's/ttl=10/ttl=9/' | diff - expected.txt
  rm -r out
done
echo "the packed library compiles, runs, has links that lead somewhere, and nothing that publint or attw object to"
