/** What processes hear of each other's collects, and have near. */
import { Effect, Stream } from "effect"
import type { CollectableCacheStorage } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"

export const lookup = lookupOf()
export const holds = (what: Effect.Effect<boolean, unknown>) =>
  Effect.repeat(Effect.delay(Effect.orElseSucceed(what, () => false), "10 millis"), { until: (is) => is }).pipe(
    Effect.timeout("30 seconds")
  )

export const isThere = (storage: CollectableCacheStorage.Service) =>
  Effect.suspend(() => Effect.isSuccess(storage.get(lookup)))

export const isGone = (storage: CollectableCacheStorage.Service) => Effect.map(isThere(storage), (is) => !is)

export const store = (storage: CollectableCacheStorage.Service) =>
  Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemOf("hello", lookup, { lifetime: 1e13 }), fill))

/** What a listener hears. */
export const hearing = (storage: CollectableCacheStorage.SharedService) =>
  Effect.gen(function*() {
    const heard: Array<CollectableCacheStorage.Collected> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(storage.collects, (one) => Effect.sync(() => heard.push(one)))
    )
    yield* holds(Effect.sync(() => heard.length > 0))
    return { fiber, heard }
  })
