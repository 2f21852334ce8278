/** A storage that misbehaves when it is told to. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CacheStorageError } from "../CacheError.js"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStorage from "../CacheStorage.js"
import * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import * as InMemoryCacheStorage from "../InMemoryCacheStorage.js"
import { deferred } from "../runtime/effect.js"
import { runtimeOf } from "../runtime/runtime.js"
import { itemOf } from "./items.js"

/**
 * What a method does:
 *
 * - `"work"`: what it should
 * - `"fail"`: it fails with a `CacheStorageError`
 * - `"die"`: it dies with a defect
 * - `"hang"`: nothing, until it is switched to something else, which it does then
 * - `"hang uninterruptibly"`: the same, and who waits for it can't be interrupted
 * - `delay`: what it should, later
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = "work" | "fail" | "die" | "hang" | "hang uninterruptibly" | {
  /** A bare number is milliseconds, as it is for `Effect.sleep`. */
  readonly delay: Duration.DurationInput
}

/**
 * What each method does; `begin` and `holds` do what `get` does. A `set` and a `collect` that `"lose"` answer as if they had
 * worked, and did nothing. With `corrupt`, `get` answers what that makes of the stored item, or, where it would have missed,
 * of a fresh one that was never stored; `corruptions` has some.
 *
 * @since 0.1.0
 * @category models
 */
export interface Faulty {
  readonly get: Fault | { readonly corrupt: (item: CacheItem) => unknown }
  readonly set: Fault | "lose"
  readonly collect: Fault | "lose"
}

/**
 * The records that a storage which is shared, damaged or of another version may answer. None is a response to what was
 * asked for.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { corruptions, Faults } from "effect-http-cache/testing"
 *
 * const corrupt = Effect.flatMap(Faults, (faults) => faults.switch({ get: { corrupt: corruptions.lineBreak } }))
 * ```
 *
 * @since 0.1.0
 * @category faults
 */
export const corruptions = {
  nothing: () => null,
  anotherShape: () => ({ value: "?" }),
  anotherKey: (item: CacheItem) => ({ ...item, key: `${item.key}/another` }),
  anotherPartition: (item: CacheItem) => ({ ...item, partition: `${item.partition}another` }),
  anotherVariant: (item: CacheItem) => ({ ...item, variant: `${item.variant}another` }),
  /** A field of the client's would follow, were the value written as it is. */
  lineBreak: (item: CacheItem) => ({ ...item, headers: { ...item.headers, "x-a": "1\r\nx-injected: 1" } }),
  /** As an older version wrote it: without one of the properties. */
  olderVersion: (item: CacheItem) => Object.fromEntries(Object.entries(item).filter(([name]) => name !== "retainUntil"))
} satisfies { readonly [name: string]: (item: CacheItem) => unknown }

/**
 * Switches the storage of `layerFaulty`. Every method works at first.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Faults } from "effect-http-cache/testing"
 *
 * const outage = Effect.flatMap(Faults, (faults) => faults.switchAll("fail"))
 * const slow = Effect.flatMap(Faults, (faults) => faults.switch({ get: { delay: "1 second" } }))
 * ```
 *
 * @since 0.1.0
 * @category tags
 */
export class Faults extends Context.Tag("effect-http-cache/testing/Faults")<Faults, {
  /** From now on; the methods that are not named go on as they do. */
  readonly switch: (to: Partial<Faulty>) => Effect.Effect<void>
  readonly switchAll: (to: Fault) => Effect.Effect<void>
  /** How often each method was asked, whatever came of it. */
  readonly calls: Effect.Effect<{ readonly [Method in keyof Faulty]: number }>
}>() {}

/** `Own` is what only this method can be told to do. */
class Method<Own> {
  calls = 0
  private readonly name: keyof Faulty
  private fault: Fault | Own = "work"
  private switched = deferred<void>()

  constructor(name: keyof Faulty) {
    this.name = name
  }

  readonly switch = (to: Fault | Own | undefined): Effect.Effect<unknown> =>
    Effect.suspend(() => {
      if (to === undefined) return Effect.void
      const before = this.switched
      this.fault = to
      this.switched = deferred()
      return Deferred.succeed(before, undefined)
    })

  readonly run = <A, E>(
    key: CacheStorage.CacheKey,
    work: Effect.Effect<A, E>,
    own: (fault: Own) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | CacheStorageError> => {
    const act: Effect.Effect<A, E | CacheStorageError> = Effect.suspend(() => {
      const { fault } = this
      if (fault === "work") return work
      if (fault === "fail") {
        return new CacheStorageError({ storage: "faulty", method: this.name, key, cause: "it was told to fail" })
      }
      if (fault === "die") return Effect.die(new Error(`${this.name} was told to die`))
      if (fault === "hang") return Effect.andThen(Deferred.await(this.switched), act)
      if (fault === "hang uninterruptibly") {
        return Effect.andThen(Effect.uninterruptible(Deferred.await(this.switched)), act)
      }
      return isDelay(fault) ? Effect.delay(work, fault.delay) : own(fault as Own)
    })
    return Effect.suspend(() => {
      this.calls++
      return act
    })
  }
}

const isDelay = (fault: unknown): fault is Extract<Fault, object> =>
  typeof fault === "object" && fault !== null && "delay" in fault

/** What `get` answers where nothing is stored and it is told to answer something. */
const fresh = (lookup: CacheStorage.Lookup): Effect.Effect<CacheItem> =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) => itemOf("never stored", lookup, { date: now, requestTime: now, responseTime: now })
  )

/**
 * `InMemoryCacheStorage.layerCollectable`, behind both tags, and the switches to make it fail. What still hangs when the
 * layer is released goes on then, so that a test can end.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { withCache } from "effect-http-cache"
 * import { Faults, layerFaulty } from "effect-http-cache/testing"
 *
 * const duringAnOutage = Effect.flatMap(Faults, (faults) => faults.switch({ get: "fail" })).pipe(
 *   Effect.andThen(HttpServerResponse.text("hello").pipe(withCache({ expiry: 10 }))),
 *   Effect.provide(layerFaulty)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFaulty: Layer.Layer<
  CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage | Faults
> = Layer.scopedContext(Effect.gen(function*() {
  const memory = yield* CollectableCacheStorage.CollectableCacheStorage
  const get = new Method<Exclude<Faulty["get"], Fault>>("get")
  const set = new Method<"lose">("set")
  const collect = new Method<"lose">("collect")
  const storage: CollectableCacheStorage.Service = {
    get: (lookup) =>
      get.run(
        lookup.key,
        Effect.suspend(() => memory.get(lookup)),
        ({ corrupt }) =>
          Effect.suspend(() => memory.get(lookup)).pipe(
            Effect.catchTag("CacheMiss", () => fresh(lookup)),
            Effect.map((item) => corrupt(item) as CacheItem)
          )
      ),
    begin: (lookup) => {
      const begun = Effect.suspend(() => memory.begin(lookup))
      return get.run(lookup.key, begun, ({ corrupt }) =>
        Effect.flatMap(begun, (fill) =>
          Effect.map(
            fill.item === undefined ? fresh(lookup) : Effect.succeed(fill.item),
            (item) => ({ ...fill, item: corrupt(item) as CacheItem })
          )))
    },
    set: (item, fill) =>
      set.run<CacheStorage.Kept, CacheStorageError>(
        fill.lookup.key,
        Effect.suspend(() => memory.set(item, fill)),
        () => Effect.succeed("kept")
      ),
    collect: (names, style, own) =>
      collect.run<CacheStorage.Fill | void, CacheStorageError>(
        names.keys[0] ?? names.groups[0] ?? "",
        Effect.suspend(() => memory.collect(names, style, own)),
        () => Effect.void
      ),
    holds: (names, fill) =>
      get.run<boolean, CacheStorageError>(
        fill.lookup.key,
        Effect.suspend(() => memory.holds(names, fill)),
        () => memory.holds(names, fill)
      )
  }
  const faults: (typeof Faults)["Service"] = {
    switch: (to) => Effect.all([get.switch(to.get), set.switch(to.set), collect.switch(to.collect)], { discard: true }),
    switchAll: (to) => faults.switch({ get: to, set: to, collect: to }),
    calls: Effect.sync(() => ({ get: get.calls, set: set.calls, collect: collect.calls }))
  }
  yield* runtimeOf(storage).endWithScope
  yield* Effect.addFinalizer(() => faults.switchAll("work"))
  return Context.make(CacheStorage.CacheStorage, storage).pipe(
    Context.add(CollectableCacheStorage.CollectableCacheStorage, storage),
    Context.add(Faults, faults)
  )
})).pipe(Layer.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable)))
