/** Storages that do not answer at once, as those outside the process do not. */
import { Context, Effect, Layer } from "effect"
import { type CacheStorage, CollectableCacheStorage, InMemoryCacheStorage } from "effect-http-cache"
import { setTimeout } from "node:timers/promises"

type Wait = <A, E>(answer: Effect.Effect<A, E>) => Effect.Effect<A, E>

/** How each of them answers. */
export const waits = {
  "at once": (answer) => answer,
  "after a yield": (answer) => Effect.zipRight(Effect.yieldNow(), answer),
  "after a millisecond": (answer) => Effect.zipRight(Effect.promise(() => setTimeout(1)), answer),
  "from a promise": (answer) => Effect.flatten(Effect.promise(() => Effect.runPromiseExit(answer)))
} satisfies { readonly [how: string]: Wait }

export type How = keyof typeof waits

export const hows = Object.keys(waits) as ReadonlyArray<How>

/** Throws an `Error` for another word. */
export const howOf = (word: string = "at once"): How => {
  const how = hows.find((how) => how === word)
  if (how !== undefined) return how
  throw new Error(`a storage answers ${hows.join(", or ")}, and not ${word}`)
}

/** The storage, each of whose methods answers in this way; what it answers in one step it does so "at once". */
export const answering = (how: How, storage: CollectableCacheStorage.Service): CollectableCacheStorage.Service => {
  const answer = <A, E>(call: () => Effect.Effect<A, E>): Effect.Effect<A, E> =>
    how === "at once" ? call() : waits[how](Effect.suspend(call))
  return {
    get: (lookup) => answer(() => storage.get(lookup)),
    begin: (lookup) => answer(() => storage.begin(lookup)),
    set: (item, fill) => answer(() => storage.set(item, fill)),
    collect: (names, style, own) => answer(() => storage.collect(names, style, own)),
    holds: (names, fill) => answer(() => storage.holds(names, fill))
  }
}

/** `InMemoryCacheStorage.layerWith`, which answers in this way. */
export const layerWaiting = (
  how: How,
  limits: InMemoryCacheStorage.Limits = {}
): Layer.Layer<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage> => {
  const memory = Layer.fresh(InMemoryCacheStorage.layerWith(limits))
  if (how === "at once") return memory
  return CollectableCacheStorage.layer(
    Effect.map(
      Layer.build(memory),
      (context) => answering(how, Context.get(context, CollectableCacheStorage.CollectableCacheStorage))
    )
  )
}
