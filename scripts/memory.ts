/** A million distinct items under 64 MiB: the heap grows by less than twice that. `npm run check:memory` */
import { Effect } from "effect"
import { CacheStorage, InMemoryCacheStorage } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { randomUUID } from "node:crypto"

const maxBytes = 64 * 1024 * 1024
const sets = 1_000_000

const used = (): number => {
  for (let i = 0; i < 3; i++) globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1)

const fill = (bodyBytes: number) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    const before = used()
    for (let i = 0; i < sets; i++) {
      const headers = Object.assign(Object.create(null), {
        "cache-control": "max-age=60",
        "content-length": String(bodyBytes),
        "content-type": "application/json",
        "date": new Date(i * 1000).toUTCString(),
        "etag": `"${i}"`
      })
      const lookup = lookupOf({}, { key: `http://localhost/items/${i}` })
      yield* storage.set(itemOf("", lookup, { id: randomUUID(), headers, body: new Uint8Array(bodyBytes) }), lookup)
    }
    return used() - before
  }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxBytes })))

for (const bodyBytes of [1024, 16]) {
  const grown = Effect.runSync(fill(bodyBytes))
  console.log(`bodies of ${bodyBytes} bytes: ${mebibytes(grown)} MiB under a bound of ${mebibytes(maxBytes)} MiB`)
  if (grown >= 2 * maxBytes) {
    console.error(`bodies of ${bodyBytes} bytes: grown by more than twice the bound`)
    process.exitCode = 1
  }
}
