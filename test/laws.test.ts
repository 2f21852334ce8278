/** The laws of the test kit tell a broken storage from one that works. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Layer } from "effect"
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
    set: (item, fill) => set(item === undefined ? undefined : { ...item, ...change(item) }, fill)
  })
  const mixing = (place: Partial<CacheStorage.Lookup>, written: object = {}): Break => ({ begin, get, set }) => ({
    get: (lookup) => get({ ...lookup, ...place }),
    begin: (lookup) => begin({ ...lookup, ...place }),
    set: (item, fill) => set(item === undefined ? undefined : { ...item, ...written }, fill)
  })
  const mixesVariants = mixing({ variantOf: () => "" }, { vary: [], variant: "" })
  const keepsTheFirst: Break = ({ get, set }) => ({
    set: (item, fill) => Effect.catchAll(Effect.as(get(fill.lookup), "kept" as const), () => set(item, fill))
  })
  const ofNow = (memory: Storage, fill: CacheStorage.Fill) => Effect.runSync(memory.begin(fill.lookup)).since
  const believesAnyFill: Break = (memory) => ({
    set: (item, fill) => memory.set(item, { ...fill, since: ofNow(memory, fill) })
  })
  const isAlwaysOvertaken: Break = ({ set }) => ({
    set: (item, fill) => Effect.suspend(() => set(item, { ...fill, since: -1 }))
  })
  const findsNothing: Break = ({ begin }) => ({
    begin: (lookup) => Effect.map(begin(lookup), (fill) => ({ ...fill, item: undefined }))
  })

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
    "begins with what the request selects, and with nothing where that is nothing": findsNothing,
    "keeps an item in place of the one that the fill found": keepsTheFirst,
    "is overtaken, and changes nothing, where another item is in place of the one that the fill found": ({ set }) => ({
      set: (item, fill) => set(item, { ...fill, item: undefined })
    }),
    "keeps both of two fills that found nothing, the later in place of the other": keepsTheFirst,
    "drops what the fill found where there is no item, and nothing else": ({ set }) => ({
      set: (item, fill) => item === undefined ? Effect.succeed("refused" as const) : set(item, fill)
    }),
    "refuses what is too large, and no longer has what that was to replace": ({ set }) => ({
      set: (item, fill) =>
        item === undefined || item.body.byteLength < tooLarge
          ? set(item, fill)
          : Effect.succeed("refused" as const)
    }),
    "forgets every partition and variant of a URI, and of no other": () => ({ collect: () => Effect.void }),
    "forgets by the whole key, whatever characters are in it": ({ collect }) => ({
      collect: ({ groups, keys }) => collect({ groups, keys: keys.map((key) => key.replace(/\?.*/, "")) })
    }),
    "succeeds where there is nothing": ({ collect, get }) => ({
      collect: (names) => Effect.zipRight(Effect.orDie(get(Kit.lookupOf({}, { key: names.keys[0]! }))), collect(names))
    }),
    "is overtaken where the key was collected since the fill began": believesAnyFill,
    "keeps an item whose fill began after a collect, in the same millisecond": isAlwaysOvertaken,
    "is not overtaken by a collect of something else": isAlwaysOvertaken,
    "is overtaken where the first of two collects came after the fill began too": believesAnyFill,
    "is overtaken in another partition as well": believesAnyFill,
    "forgets what is of a group, wherever it is, and nothing else": ({ collect }) => ({
      collect: ({ keys }) => collect({ keys, groups: [] })
    }),
    "is overtaken where a group that the item turns out to be of was collected since": believesAnyFill,
    "tells whether names were collected since a fill began": () => ({ holds: () => Effect.succeed(true) }),
    "keeps what is collected softly, to be validated before it is used": ({ collect }) => ({
      collect: (names) => collect(names, { soft: true })
    }),
    "leaves what has none of the names as it is after a soft collect": ({ collect }) => ({
      collect: (names, style) => collect({ ...names, everything: true }, style)
    }),
    "does what the strongest of several collects does": ({ collect, get }) => ({
      get: (lookup) =>
        Effect.map(get(lookup), (item) => item.alwaysValidate ? { ...item, staleIfErrorUntil: 61_000 } : item),
      collect
    }),
    "is overtaken by a soft collect as by any, and keeps as it is what is stored after it": believesAnyFill,
    "lets a fill go on over its own collect and over no other, or answers none": (memory) => ({
      collect: (names, style, own) =>
        Effect.as(memory.collect(names, style), own && { ...own, item: undefined, since: ofNow(memory, own) })
    }),
    "forgets everything where that is collected, and overtakes every fill": ({ collect }) => ({
      collect: (names, style) => collect({ ...names, everything: false }, style)
    })
  }

  const everyPart = "answers what was set, every part of it"
  const parts = Object.keys(Kit.itemOf("")) as Array<keyof CacheItem.CacheItem>

  it.effect.each([...parts, "range"] as const)(
    `${everyPart}: %s too`,
    (part) =>
      Effect.gen(function*() {
        const { test } = Kit.laws().find(({ title }) => title === everyPart)!
        const usual = { ...Kit.itemOf(""), key: "another", range: undefined }[part]
        const failure = yield* Effect.flip(
          Effect.sandbox(Effect.provide(test, broken(reading({ [part]: usual }), true)))
        )
        expect(Cause.squash(failure)).toBeInstanceOf(AssertionError)
      })
  )

  const oneInstance = "is the one instance behind both tags"

  it("are all broken here, and those of a storage that can't collect or has no bound are among them", () => {
    expect(laws).toEqual(expect.arrayContaining(Kit.laws().map(({ title }) => expect.objectContaining({ title }))))
    expect(Kit.laws().length).toBe(14)
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
