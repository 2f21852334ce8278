/** Who writes into the bytes of a served body? */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CacheStorage from "../CacheStorage.js"
import * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import * as InMemoryCacheStorage from "../InMemoryCacheStorage.js"
import { runtimeOf } from "../runtime/runtime.js"

/**
 * Which bodies of `layerReadOnly` were written into.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ReadOnly } from "effect-http-cache/testing"
 *
 * const written = Effect.flatMap(ReadOnly, ({ written }) => written) // [] where nobody wrote
 * ```
 *
 * @since 0.1.0
 * @category tags
 */
export class ReadOnly extends Context.Tag("effect-http-cache/testing/ReadOnly")<ReadOnly, {
  /**
   * The keys of the stored bodies whose bytes have been changed since they were stored, each once for each change: ask
   * after each request to know which one it was. Empty where nobody wrote.
   */
  readonly written: Effect.Effect<ReadonlyArray<CacheStorage.CacheKey>>
}>() {}

interface Stored {
  readonly key: CacheStorage.CacheKey
  /** What it was. */
  copy: Uint8Array
}

/**
 * `InMemoryCacheStorage.layerCollectable`, which remembers what each stored body was. The cache serves the bytes of the
 * storage themselves, which are read-only by contract; JavaScript can't enforce that, and this finds who does not keep it.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { withCache } from "effect-http-cache"
 * import { layerReadOnly } from "effect-http-cache/testing"
 *
 * const app = HttpServerResponse.text("hello").pipe(withCache({ expiry: 10 }), Effect.provide(layerReadOnly))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerReadOnly: Layer.Layer<
  CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage | ReadOnly
> = Layer.scopedContext(Effect.gen(function*() {
  const memory = yield* CollectableCacheStorage.CollectableCacheStorage
  const bodies = new Map<Uint8Array, Stored>()
  const remember = ({ body, key }: { readonly body: Uint8Array; readonly key: CacheStorage.CacheKey }) =>
    Effect.sync(() => {
      if (!bodies.has(body)) bodies.set(body, { key, copy: new Uint8Array(body) })
    })
  const storage: CollectableCacheStorage.Service = {
    get: (lookup) => Effect.tap(Effect.suspend(() => memory.get(lookup)), remember),
    begin: (lookup) => memory.begin(lookup),
    set: (item, fill) =>
      Effect.andThen(item === undefined ? Effect.void : remember(item), Effect.suspend(() => memory.set(item, fill))),
    collect: (names, style, own) => memory.collect(names, style, own),
    holds: (names, fill) => memory.holds(names, fill)
  }
  const written = Effect.sync(() =>
    Array.from(bodies).flatMap(([body, stored]) => {
      if (body.every((byte, at) => byte === stored.copy[at])) return []
      stored.copy = new Uint8Array(body)
      return [stored.key]
    })
  )
  yield* runtimeOf(storage).endWithScope
  return Context.make(CacheStorage.CacheStorage, storage).pipe(
    Context.add(CollectableCacheStorage.CollectableCacheStorage, storage),
    Context.add(ReadOnly, { written })
  )
})).pipe(Layer.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable)))
