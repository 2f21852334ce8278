/** A process of its own that stores in a file of SQLite and collects, as `sqlProcesses.test.ts` starts it. */
import { Effect } from "effect"
import { CollectableCacheStorage } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { keep } from "./keeping.js"
import { clientOf, layerSql } from "./sqliteLayer.js"

const [, , filename, name, rounds] = process.argv

/** Where the machine is loaded, the file may be locked for longer than the storage waits for it, which is an error. */
const again = <A, E>(effect: Effect.Effect<A, E>) => Effect.retry(effect, { times: 20 })

const main = Effect.gen(function*() {
  const storage = yield* CollectableCacheStorage.CollectableCacheStorage
  let late = 0
  for (let round = 0; round < Number(rounds); round++) {
    const lookup = lookupOf({}, { key: `http://localhost/${name}/${round}` })
    const kept = yield* again(keep(storage, itemOf(`${round}`, lookup, { groups: [`of ${name}`] }), lookup))
    if (kept !== "kept") throw new Error(`${name} ${round} is ${kept}`)
    // What all of them store, and collect.
    const shared = yield* again(storage.begin(lookupOf()))
    yield* again(storage.collect({ keys: [lookupOf().key], groups: [`of nobody ${round}`] }))
    if ((yield* again(storage.set(itemOf(name!), shared))) !== "overtaken") late++
  }
  yield* Effect.sync(() => process.stdout.write(`${late}`))
})

await Effect.runPromise(
  Effect.provide(main, layerSql({ client: clientOf(filename!), prefix: "http_cache_" }))
)
