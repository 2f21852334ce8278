import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type CacheItem, CacheStorage, CollectableCacheStorage, InMemoryCacheStorage } from "effect-http-cache"
import { collectableLaws, fillOf, itemOf, laws, lookupOf } from "effect-http-cache/testing"
import * as fc from "fast-check"
import { countsOf } from "./harness.js"
import { hows, layerWaiting } from "./waiting.js"

const tooLarge = 9 * 1024 * 1024

describe("layer", () => {
  for (const { test, title } of laws({ tooLarge })) {
    it.effect(title, () => Effect.provide(test, InMemoryCacheStorage.layer))
  }
})

describe.each(hows)("layerCollectable, answering %s", (how) => {
  for (const { test, title } of collectableLaws({ tooLarge })) {
    it.effect(title, () => Effect.provide(test, layerWaiting(how)))
  }
})

describe("bounds", () => {
  const limits = { maxBytes: 20_000, maxItemBytes: 6_000, maxItems: 7, maxVariants: 3 }
  const keys = ["http://localhost/1", "http://localhost/2", "http://localhost/3", "http://localhost/4"]
  const partitions = ["", "ada"]
  const languages = ["en", "fr", "de", "it", "es"]
  const places = keys.flatMap((key) =>
    partitions.flatMap((partition) =>
      languages.map((language) => lookupOf({ "accept-language": language }, { key, partition }))
    )
  )

  /** What an item holds, counted without any overhead: less than the storage counts. */
  const contentBytes = (item: CacheItem.CacheItem) =>
    item.body.byteLength + item.key.length + item.variant.length +
    Object.entries(item.headers).reduce((bytes, [name, value]) => bytes + name.length + value.length, 0)

  const operation = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        op: fc.constant("set"),
        place: fc.nat(places.length - 1),
        bytes: fc.nat(7_000),
        varies: fc.boolean()
      })
    },
    { weight: 3, arbitrary: fc.record({ op: fc.constant("get"), place: fc.nat(places.length - 1) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("collect"), place: fc.nat(places.length - 1) }) }
  )

  it("43: hold after every operation, fences counted", () =>
    fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 120 }), (operations) =>
        Effect.gen(function*() {
          const storage = yield* CollectableCacheStorage.CollectableCacheStorage
          for (const operation of operations) {
            const lookup = places[operation.place]!
            if (operation.op === "collect") yield* storage.collect({ keys: [lookup.key], groups: [] })
            if (operation.op === "get") yield* Effect.exit(storage.get(lookup))
            if (operation.op === "set" && "bytes" in operation) {
              const item = itemOf("", lookup, {
                vary: operation.varies ? ["accept-language"] : [],
                body: new Uint8Array(operation.bytes)
              })
              const kept = yield* storage.set(item, yield* storage.begin(lookup))
              if (operation.bytes >= limits.maxItemBytes) expect(kept).toBe("refused")
              if (kept === "kept") expect((yield* storage.get(lookup)).id).toBe(item.id)
            }
            const found = yield* Effect.forEach(places, (place) => Effect.option(storage.get(place)))
            const items = new Map(
              found.flatMap((item) => item._tag === "Some" ? [[item.value.id, item.value] as const] : [])
            )
            const all = [...items.values()]
            expect(all.length).toBeLessThanOrEqual(limits.maxItems)
            expect(all.reduce((bytes, item) => bytes + contentBytes(item), 0)).toBeLessThanOrEqual(limits.maxBytes)
            for (const key of keys) {
              for (const partition of partitions) {
                const variants = all.filter((item) => item.key === key && item.partition === partition)
                expect(variants.length).toBeLessThanOrEqual(limits.maxVariants)
              }
            }
          }
        }).pipe(Effect.provide(InMemoryCacheStorage.layerWith(limits)), Effect.runPromise)),
      { numRuns: 60 }
    ))

  /** Which of the keys are there, after each of these was set, or was asked for where a sign says so. */
  const keptAfter = (maxItems: number, operations: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const at = (key: string) => lookupOf({}, { key: `http://localhost/${key}` })
      for (const operation of operations) {
        const lookup = at(operation.replace("?", ""))
        if (operation.startsWith("?")) yield* Effect.exit(storage.get(lookup))
        else yield* storage.set(itemOf("", lookup), yield* storage.begin(lookup))
      }
      const names = [...new Set(operations.filter((operation) => !operation.startsWith("?")))]
      return yield* Effect.filter(names, (name) => Effect.isSuccess(storage.get(at(name))))
    }).pipe(Effect.provide(Layer.fresh(InMemoryCacheStorage.layerWith({ maxItems }))))

  it.effect("what nobody has asked for goes first", () =>
    Effect.gen(function*() {
      expect(yield* keptAfter(2, ["a", "b", "?a", "c"])).toEqual(["a", "c"])
      expect(yield* keptAfter(2, ["a", "?a", "b", "?b", "c"])).toEqual(["b", "c"])
    }))

  it.effect("what is asked for once doesn't take the place of what is asked for again", () =>
    Effect.gen(function*() {
      const rounds = Array.from({ length: 30 }, (_, at) => ["?a", "?b", `1-${at}`, `2-${at}`, `3-${at}`])
      expect(yield* keptAfter(4, ["a", "b", ...rounds.flat()])).toEqual(["a", "b", "2-29", "3-29"])
    }))

  it.effect("167: what is asked for again and again is kept in the end, also in the place of what was asked for before", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      /** Whether it was there; it is now. */
      const ask = (key: string) =>
        Effect.gen(function*() {
          const lookup = lookupOf({}, { key: `http://localhost/${key}` })
          if (yield* Effect.isSuccess(storage.get(lookup))) return true
          yield* storage.set(itemOf("", lookup), yield* storage.begin(lookup))
          return false
        })
      const named = (name: string, count: number) => Array.from({ length: count }, (_, at) => `${name}-${at}`)
      for (const once of named("once", 100)) yield* Effect.forEach([...named("before", 18), once], ask)
      for (let round = 0; round < 60; round++) yield* Effect.forEach(named("now", 10), ask)
      expect(yield* Effect.forEach(named("now", 10), ask)).not.toContain(false)
    }).pipe(Effect.provide(Layer.fresh(InMemoryCacheStorage.layerWith({ maxItems: 20 })))))

  it.effect("what was replaced counts as asked for", () =>
    Effect.gen(function*() {
      expect(yield* keptAfter(2, ["a", "a", "b", "c"])).toEqual(["a", "c"])
    }))

  it.effect("what has expired goes also where it was asked for", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const kept = (key: string, times: Partial<CacheItem.CacheItem>) =>
        Effect.gen(function*() {
          const lookup = lookupOf({}, { key })
          yield* storage.set({ ...itemOf("", lookup), ...times }, yield* storage.begin(lookup))
          yield* storage.get(lookup)
        })
      yield* kept(keys[0]!, { responseTime: 0, retainUntil: 1000 })
      yield* kept(keys[1]!, { responseTime: 0, retainUntil: 10 })
      yield* kept(keys[2]!, { responseTime: 10, retainUntil: 1000 })
      const [one, other] = [lookupOf({}, { key: keys[0]! }), lookupOf({}, { key: keys[1]! })]
      expect(yield* Effect.isSuccess(storage.get(one))).toBe(true)
      expect(yield* Effect.isSuccess(storage.get(other))).toBe(false)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxItems: 2 }))))

  it.effect("where all were asked for, one goes after a few of them were looked at", () =>
    Effect.gen(function*() {
      const names = Array.from({ length: 1000 }, (_, at) => String(at))
      const kept = yield* keptAfter(1000, [...names, ...names.map((name) => `?${name}`), "more"])
      expect([...names, "more"].filter((name) => !kept.includes(name))).toEqual(["256"])
    }))

  it.effect("a collect that was forgotten to stay within them overtakes what is older, of any key", () =>
    Effect.gen(function*() {
      const storage = yield* CollectableCacheStorage.CollectableCacheStorage
      const before = yield* fillOf(lookupOf())
      yield* storage.collect({ keys: [lookupOf().key], groups: [] })
      for (let i = 0; i < 100; i++) yield* storage.collect({ keys: [`http://localhost/other/${i}`], groups: [] })
      expect(yield* storage.set(itemOf("late"), before)).toBe("overtaken")
      expect(yield* storage.set(itemOf("new"), yield* fillOf(lookupOf()))).toBe("kept")
    }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxBytes: 20_000 }))))

  it.effect("32: evicting an item doesn't touch its replacement", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const [first, second] = [lookupOf(), lookupOf({}, { key: keys[1]! })]
      yield* storage.set(itemOf("old", first), yield* storage.begin(first))
      yield* storage.set(itemOf("new", first), yield* storage.begin(first))
      yield* storage.set(itemOf("other", second), yield* storage.begin(second))
      expect(new TextDecoder().decode((yield* storage.get(first)).body)).toBe("new")
    }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxItems: 2 }))))

  it.effect("112: what a collect of its group has killed goes when its place is set again", () =>
    Effect.gen(function*() {
      const items = Effect.map(countsOf("effect_http_cache_items"), (counts) => counts[""] ?? 0)
      const before = yield* items
      const storage = yield* CollectableCacheStorage.CollectableCacheStorage
      for (let at = 0; at < 20; at++) {
        const lookup = lookupOf({ "accept-language": at % 2 === 0 ? "en" : "fr" })
        const item = itemOf("", lookup, { id: `${at}`, vary: ["accept-language"], groups: ["users"] })
        yield* storage.set(item, yield* storage.begin(lookup))
        if (at % 2 === 1) yield* storage.collect({ keys: [], groups: ["users"] })
      }
      expect((yield* items) - before).toBe(2)
      yield* storage.set(undefined, yield* storage.begin(lookupOf()))
      expect((yield* items) - before).toBe(0)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect.each(["key", "partition", "variant", "id", "cache"] as const)(
    "each text of an item counts, such as its %s",
    (name) =>
      Effect.gen(function*() {
        const lookup = lookupOf({})
        const item = { ...itemOf("", lookup), [name]: "x".repeat(10_000) }
        const storage = yield* CacheStorage.CacheStorage
        expect(yield* storage.set(item, yield* fillOf({ ...lookup, key: item.key }))).toBe("refused")
      }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxItemBytes: 20_000 })))
  )

  it.effect("a body that is a view of a larger buffer holds only its own bytes", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const item = itemOf("", lookupOf(), { body: new Uint8Array(1_000_000).subarray(0, 4) })
      yield* storage.set(item, yield* fillOf(lookupOf()))
      expect((yield* storage.get(lookupOf())).body.buffer.byteLength).toBe(4)
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))

  it.each([["maxBytes", 0], ["maxItemBytes", -1], ["maxItems", 1.5], ["maxVariants", NaN]])(
    "refuses %s: %s in one sentence",
    (name, value) => {
      expect(() => InMemoryCacheStorage.layerWith({ [name]: value })).toThrow(
        new TypeError(`InMemoryCacheStorage: ${name} is ${value}; it must be a whole number, 1 or more`)
      )
    }
  )
})

describe("85: among many variants", () => {
  it.effect.each([[1], [2], [3]])(
    "a look-up asks once for each of %i lists, and so does a set",
    ([lists]) =>
      Effect.gen(function*() {
        const storage = yield* CacheStorage.CacheStorage
        const names = ["accept", "accept-language", "x-a"].slice(0, lists)
        const fieldsOf = (at: number) => Object.fromEntries(names.map((name) => [name, `${at}`]))
        for (let at = 0; at < 64; at++) {
          const lookup = lookupOf(fieldsOf(at))
          yield* storage.set(
            itemOf(`${at}`, lookup, { vary: [names[at % names.length]!] }),
            yield* storage.begin(lookup)
          )
        }
        let calls = 0
        const one = lookupOf(fieldsOf(63))
        const counting: CacheStorage.Lookup = { ...one, variantOf: (vary) => (calls++, one.variantOf(vary)) }
        expect(new TextDecoder().decode((yield* storage.get(counting)).body)).toBe("63")
        expect(calls).toBe(lists)
        const fill = yield* storage.begin(one)
        yield* storage.set(itemOf("another", one, { vary: [names[0]!] }), { ...fill, lookup: counting })
        expect(calls).toBe(2 * lists!)
      }).pipe(Effect.provide(InMemoryCacheStorage.layer))
  )
})
