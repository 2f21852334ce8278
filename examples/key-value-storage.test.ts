/** The storage over a `KeyValueStore` keeps the laws, and a folder of it outlives its process. */
import { FileSystem, KeyValueStore } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CollectableCacheStorage } from "effect-http-cache"
import { collectableLaws, itemOf, lookupOf } from "effect-http-cache/testing"
import { layer } from "./key-value-storage.js"

const inMemory = Layer.fresh(Layer.provide(layer, KeyValueStore.layerMemory))

for (const { test, title } of collectableLaws()) it.effect(title, () => Effect.provide(test, inMemory))

it.scoped("what a folder has is there after a restart, and what was collected before is not", () =>
  Effect.gen(function*() {
    const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
    const process = Layer.fresh(Layer.provide(layer, KeyValueStore.layerFileSystem(folder)))
    const within = <A, E>(
      use: (storage: CollectableCacheStorage.Service) => Effect.Effect<A, E>
    ) => Effect.provide(Effect.flatMap(CollectableCacheStorage.CollectableCacheStorage, use), process)
    const [kept, gone] = [lookupOf({}, { key: "kept" }), lookupOf({}, { key: "gone" })]
    yield* within((storage) =>
      Effect.gen(function*() {
        for (const lookup of [kept, gone]) {
          const fill = yield* storage.begin(lookup)
          yield* storage.set(itemOf("hello", lookup, { groups: lookup === gone ? ["g"] : [] }), fill)
        }
        yield* storage.collect({ keys: [], groups: ["g"] })
      })
    )
    const item = yield* within((storage) => storage.get(kept))
    expect(new TextDecoder().decode(item.body)).toBe("hello")
    expect((yield* Effect.flip(within((storage) => storage.get(gone))))._tag).toBe("CacheMiss")
  }).pipe(Effect.provide(NodeContext.layer)))
