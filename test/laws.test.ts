/** The laws of the test kit tell a broken storage from one that works. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Layer, Struct } from "effect"
import { type CacheItem, CacheStorage, CollectableCacheStorage, InMemoryCacheStorage } from "effect-http-cache"
import * as Kit from "effect-http-cache/testing"
import { AssertionError } from "node:assert"

describe("laws", () => {
  const tooLarge = 9 * 1024 * 1024
  const laws = Kit.collectableLaws({ tooLarge })

  type Storage = CollectableCacheStorage.Service
  type Break = (memory: Storage) => Partial<Storage>

  const broken = (how: Break, isOne: boolean) =>
    Layer.effectContext(Effect.map(CollectableCacheStorage.CollectableCacheStorage, (memory) => {
      const storage = { ...memory, ...how(memory) }
      return Context.make(CacheStorage.CacheStorage, storage).pipe(
        Context.add(CollectableCacheStorage.CollectableCacheStorage, isOne ? storage : { ...storage })
      )
    })).pipe(Layer.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable)))

  const reading = (change: object): Break => ({ get }) => ({
    get: (lookup) => Effect.map(get(lookup), (item) => ({ ...item, ...change }))
  })
  const writing = (change: (item: CacheItem.CacheItem) => object): Break => ({ set }) => ({
    set: (item, lookup) => set({ ...item, ...change(item) }, lookup)
  })
  const mixing = (place: Partial<CacheStorage.Lookup>, written: object = {}): Break => ({ get, set }) => ({
    get: (lookup) => get({ ...lookup, ...place }),
    set: (item, lookup) => set({ ...item, ...written }, { ...lookup, ...place })
  })
  const mixesVariants = mixing({ variantOf: () => "" }, { vary: [], variant: "" })
  const keepsTheFirst: Break = ({ get, set }) => ({
    set: (item, lookup) => Effect.orElse(Effect.as(get(lookup), true), () => set(item, lookup))
  })
  const believesAnyFence = writing(() => ({ fence: "99" }))
  const losesFences = writing(() => ({ fence: "" }))

  /** A storage that breaks it, for each law of one instance. */
  const breaks: { readonly [title: string]: Break } = {
    "answers a miss with the key and a reason where there is nothing": ({ get }) => ({
      get: (lookup) => Effect.mapError(get(lookup), (miss) => Object.assign(miss, { reason: "miss" }))
    }),
    "answers what was set, every part of it": reading({ cookies: [] }),
    "keeps the later of two in one place": keepsTheFirst,
    "keeps keys apart": mixing({ key: "" }),
    "keeps partitions apart": mixing({ partition: "" }),
    "keeps one item per variant and answers the one that the request selects": mixesVariants,
    "answers the latest date across lists of field names": writing(({ date }) => ({ date: -date })),
    "answers one with a Vary before a later one without": mixesVariants,
    "drops what else the request selects when it keeps an item": keepsTheFirst,
    "keeps an item that replaces the one in its place": keepsTheFirst,
    "changes nothing for an item that replaces one that was itself replaced": ({ set }) => ({
      set: (item, lookup) => set(Struct.omit(item, "replaces"), lookup)
    }),
    "clears the place for a dead item, and keeps it not": writing(() => ({ retainUntil: 1e15 })),
    "answers false for what is too large, and no longer has what that was to replace": ({ set }) => ({
      set: (item, lookup) => item.body.byteLength < tooLarge ? set(item, lookup) : Effect.succeed(false)
    }),
    "forgets every partition and variant of a URI, and of no other": () => ({ collect: () => Effect.succeed("") }),
    "forgets by the whole key, whatever characters are in it": ({ collect }) => ({
      collect: (key) => collect(key.replace(/\?.*/, ""))
    }),
    "succeeds where there is nothing": ({ collect, get }) => ({
      collect: (key) => Effect.zipRight(Effect.orDie(get(Kit.lookupOf({}, { key }))), collect(key))
    }),
    "refuses an item whose fence was taken before a collect": believesAnyFence,
    "keeps an item whose fence was taken after a collect, in the same millisecond": losesFences,
    "keeps an item that carries the fence which the collect answered": losesFences,
    "gives a hit the present fence, so that what it is refreshed with is kept": reading({ fence: "-1" }),
    "refuses a fence before the first of two collects too": believesAnyFence,
    "refuses a fence from another partition's lookup as well": believesAnyFence
  }

  const everyPart = "answers what was set, every part of it"
  const parts = Object.keys(Kit.itemOf("")) as Array<keyof CacheItem.CacheItem>

  it.effect.each([...parts, "range"] as const)(
    `${everyPart}: %s too`,
    (part) =>
      Effect.gen(function*() {
        const { test } = Kit.laws().find(({ title }) => title === everyPart)!
        const usual = { ...Kit.itemOf(""), key: "another", fence: "another", range: undefined }[part]
        const failure = yield* Effect.flip(
          Effect.sandbox(Effect.provide(test, broken(reading({ [part]: usual }), true)))
        )
        expect(Cause.squash(failure)).toBeInstanceOf(AssertionError)
      })
  )

  const oneInstance = "is the one instance behind both tags"

  it("are all broken here, and those of a storage that can't collect or has no bound are among them", () => {
    expect(laws).toEqual(expect.arrayContaining(Kit.laws().map(({ title }) => expect.objectContaining({ title }))))
    expect(Kit.laws().length).toBe(12)
    expect(laws.map(({ title }) => title).sort()).toEqual([...Object.keys(breaks), oneInstance].sort())
  })

  it.effect.each(laws)(
    "$title: fails for a storage that breaks it, and holds for one that works",
    ({ test, title }) =>
      Effect.gen(function*() {
        const failure = yield* Effect.flip(
          Effect.sandbox(Effect.provide(test, broken(breaks[title] ?? (() => ({})), title !== oneInstance)))
        )
        expect(Cause.squash(failure)).toBeInstanceOf(AssertionError)
        yield* Effect.provide(test, Kit.layerFaulty)
      })
  )
})
