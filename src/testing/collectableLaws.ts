/** The contract in `CollectableCacheStorage.ts`, as tests for any runner. */
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStorage from "../CacheStorage.js"
import * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { fillOf, itemOf, lookupOf } from "./items.js"
import { french, keep, type Law, law, type LawOptions, laws, plain, set, textOf } from "./laws.js"

const collectNames = (
  names: CollectableCacheStorage.Names,
  soft: CollectableCacheStorage.CollectStyle["soft"] = false
) => Effect.flatMap(CollectableCacheStorage.CollectableCacheStorage, (storage) => storage.collect(names, { soft }))

const ofKey: CollectableCacheStorage.Names = { keys: [lookupOf().key], groups: [] }
const ofGroup: CollectableCacheStorage.Names = { keys: [], groups: ["users"] }
const everything: CollectableCacheStorage.Names = { keys: [], groups: [], everything: true }

const collect = collectNames(ofKey)

const holds = (names: CollectableCacheStorage.Names, fill: CacheStorage.Fill) =>
  Effect.flatMap(CollectableCacheStorage.CollectableCacheStorage, (storage) => storage.holds(names, fill))

const collecting = [
  law("is the one instance behind both tags", function*() {
    assert.ok(
      (yield* CollectableCacheStorage.CollectableCacheStorage) === (yield* CacheStorage.CacheStorage),
      "CacheStorage and CollectableCacheStorage are one instance"
    )
  }),

  law("forgets every partition and variant of a URI, and of no other", function*() {
    const ada = lookupOf({}, { partition: "ada" })
    const other = lookupOf({}, { key: "http://localhost/users/2" })
    yield* keep(itemOf("bonjour", french, { vary: ["accept-language"] }), french)
    yield* keep(itemOf("Ada's", ada), ada)
    yield* keep(itemOf("other", other), other)
    yield* collect
    assert.deepEqual(yield* Effect.all([french, ada, other].map(textOf)), ["CacheMiss", "CacheMiss", "other"])
  }),

  law("forgets by the whole key, whatever characters are in it", function*() {
    const storage = yield* CollectableCacheStorage.CollectableCacheStorage
    const collected = lookupOf({}, { key: "http://localhost/users/1?a=[b].*&c=%25_\\" })
    const others = ["http://localhost/users/1", `${collected.key}0`, "http://localhost/users/1?a=b.c&c=%25__"].map((
      key
    ) => lookupOf({}, { key }))
    for (const lookup of [collected, ...others]) yield* keep(itemOf(lookup.key, lookup), lookup)
    yield* storage.collect({ keys: [collected.key], groups: [] })
    assert.deepEqual(
      yield* Effect.all([collected, ...others].map(textOf)),
      ["CacheMiss", ...others.map(({ key }) => key)]
    )
  }),

  law("succeeds where there is nothing", function*() {
    assert.equal((yield* Effect.exit(collect))._tag, "Success")
  }),

  law("is overtaken where the key was collected since the fill began", function*() {
    const fill = yield* fillOf(lookupOf())
    yield* collect
    assert.equal(yield* set(itemOf("late"), fill), "overtaken")
    assert.equal(yield* textOf(lookupOf()), "CacheMiss")
  }),

  law("keeps an item whose fill began after a collect, in the same millisecond", function*() {
    yield* collect
    assert.equal(yield* keep(itemOf("new"), lookupOf()), "kept")
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("is not overtaken by a collect of something else", function*() {
    yield* keep(itemOf("old"), lookupOf())
    const fill = yield* fillOf(lookupOf())
    yield* collectNames({ keys: ["http://localhost/elsewhere"], groups: ["others"] })
    assert.equal(yield* set(itemOf("new", lookupOf(), { groups: ["users"] }), fill), "kept")
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("is overtaken where the first of two collects came after the fill began too", function*() {
    const fill = yield* fillOf(lookupOf())
    yield* collect
    yield* collect
    assert.equal(yield* set(itemOf("late"), fill), "overtaken")
  }),

  law("is overtaken in another partition as well", function*() {
    const ada = lookupOf({}, { partition: "ada" })
    const fill = yield* fillOf(ada)
    yield* collect
    assert.equal(yield* set(itemOf("late", ada), fill), "overtaken")
  }),

  law("forgets what is of a group, wherever it is, and nothing else", function*() {
    const ada = lookupOf({}, { partition: "ada" })
    const other = lookupOf({}, { key: "http://localhost/users/2" })
    yield* keep(itemOf("1", lookupOf(), { groups: ["users", "others"] }), lookupOf())
    yield* keep(itemOf("Ada's", ada, { groups: ["users"] }), ada)
    yield* keep(itemOf("2", other, { groups: ["others"] }), other)
    yield* collectNames(ofGroup)
    assert.deepEqual(yield* Effect.all([lookupOf(), ada, other].map(textOf)), ["CacheMiss", "CacheMiss", "2"])
    assert.equal(yield* keep(itemOf("new", lookupOf(), { groups: ["users"] }), lookupOf()), "kept")
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("is overtaken where a group that the item turns out to be of was collected since", function*() {
    const fill = yield* fillOf(lookupOf())
    yield* collectNames(ofGroup)
    assert.equal(yield* set(itemOf("late", lookupOf(), { groups: ["users"] }), fill), "overtaken")
    assert.equal(yield* set(itemOf("of none"), fill), "kept")
  }),

  law("tells whether names were collected since a fill began", function*() {
    const fill = yield* fillOf(lookupOf())
    const both = { keys: ofKey.keys, groups: ofGroup.groups }
    assert.equal(yield* holds(both, fill), true)
    yield* collectNames(ofGroup)
    assert.deepEqual(yield* Effect.all([ofKey, ofGroup, both].map((names) => holds(names, fill))), [true, false, false])
    assert.equal(yield* holds(both, yield* fillOf(lookupOf())), true)
    yield* collect
    assert.equal(yield* holds(ofKey, fill), false)
  })
]

const ofUsers = { groups: ["others", "users"] }

/** Items as a request finds them, and as one that is about to ask the handler does. */
const found = (lookup: CacheStorage.Lookup) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    const items = [yield* storage.get(lookup), (yield* storage.begin(lookup)).item]
    return items.map((item) => item === undefined ? undefined : plain(item))
  })

const softly = (item: CacheItem, soft: true | "unless-error") => {
  const softened = plain(CollectableCacheStorage.softened(item, soft))
  return [softened, softened]
}

/** Collects of a URI, of a group and of everything. */
const each = [ofKey, ofGroup, everything]

const softCollecting = [
  law("keeps what is collected softly, to be validated before it is used", function*() {
    const windows = { staleIfErrorUntil: 90_000, ...ofUsers }
    for (const names of each) {
      for (const soft of [true, "unless-error"] as const) {
        const item = itemOf("1", lookupOf(), windows)
        yield* keep(item, lookupOf())
        yield* collectNames(names, soft)
        assert.deepEqual(yield* found(lookupOf()), softly(item, soft))
      }
    }
  }),

  law("leaves what has none of the names as it is after a soft collect", function*() {
    const other = lookupOf({}, { key: "http://localhost/users/2" })
    const item = itemOf("2", other, { groups: ["others"] })
    yield* keep(item, other)
    yield* collectNames(ofKey, true)
    yield* collectNames(ofGroup, true)
    assert.deepEqual(yield* found(other), [plain(item), plain(item)])
  }),

  law("does what the strongest of several collects does", function*() {
    for (const names of each) {
      const item = itemOf("1", lookupOf(), ofUsers)
      yield* keep(item, lookupOf())
      for (const soft of ["unless-error", true, "unless-error"] as const) yield* collectNames(names, soft)
      assert.deepEqual(yield* found(lookupOf()), softly(item, true))
      yield* collectNames(names)
      yield* collectNames(names, true)
      assert.equal(yield* textOf(lookupOf()), "CacheMiss")
    }
  }),

  law("is overtaken by a soft collect as by any, and keeps as it is what is stored after it", function*() {
    for (const names of each) {
      yield* keep(itemOf("old", lookupOf(), ofUsers), lookupOf())
      const fill = yield* fillOf(lookupOf())
      yield* collectNames(names, true)
      assert.equal(yield* set(itemOf("late", lookupOf(), ofUsers), fill), "overtaken")
      const both = { keys: ofKey.keys, groups: ofGroup.groups }
      assert.equal(yield* holds(both, fill), false)
      const item = itemOf("new", lookupOf(), ofUsers)
      assert.equal(yield* keep(item, lookupOf()), "kept")
      assert.deepEqual(yield* found(lookupOf()), [plain(item), plain(item)])
    }
  })
]

const ownCollecting = [
  law("lets a fill go on over its own collect and over no other, or answers none", function*() {
    const storage = yield* CollectableCacheStorage.CollectableCacheStorage
    for (const soft of [false, true, "unless-error"] as const) {
      for (const other of [ofKey, everything]) {
        yield* keep(itemOf("old"), lookupOf())
        const overtakenBefore = yield* fillOf(lookupOf())
        yield* collectNames(other, soft)
        const gone = yield* storage.collect(ofKey, { soft }, overtakenBefore)
        if (gone) assert.equal(yield* set(itemOf("too old"), gone), "overtaken")

        const overtakenAfter = yield* storage.collect(ofKey, { soft }, yield* fillOf(lookupOf()))
        yield* collectNames(other, soft)
        if (overtakenAfter) assert.equal(yield* set(itemOf("too old"), overtakenAfter), "overtaken")
      }
      yield* keep(itemOf("old"), lookupOf())
      const fill = yield* storage.collect(ofKey, { soft }, yield* fillOf(lookupOf()))
      const item = itemOf("its own")
      if (fill) {
        assert.equal(yield* set(item, fill), "kept")
        assert.deepEqual(yield* found(lookupOf()), [plain(item), plain(item)])
      }
    }
  })
]

const collectingEverything = [
  law("forgets everything where that is collected, and overtakes every fill", function*() {
    const ada = lookupOf({}, { key: "http://localhost/users/2", partition: "ada" })
    yield* keep(itemOf("1", lookupOf(), ofUsers), lookupOf())
    yield* keep(itemOf("2", ada), ada)
    const fill = yield* fillOf(lookupOf({}, { key: "http://localhost/users/3" }))
    yield* collectNames(everything)
    assert.deepEqual(yield* Effect.all([lookupOf(), ada].map(textOf)), ["CacheMiss", "CacheMiss"])
    assert.equal(yield* holds({ keys: [fill.lookup.key], groups: [] }, fill), false)
    assert.equal(yield* set(itemOf("late", fill.lookup), fill), "overtaken")
    assert.equal(yield* keep(itemOf("new", ada), ada), "kept")
    assert.equal(yield* textOf(ada), "new")
  })
]

/**
 * What holds for every `CollectableCacheStorage`: `laws`, and those of `collect`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { InMemoryCacheStorage } from "effect-http-cache"
 * import { collectableLaws } from "effect-http-cache/testing"
 * import { test } from "node:test"
 *
 * for (const { test: holds, title } of collectableLaws()) {
 *   test(title, () => Effect.runPromise(Effect.provide(holds, Layer.fresh(InMemoryCacheStorage.layerCollectable))))
 * }
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const collectableLaws = (
  options: LawOptions = {}
): ReadonlyArray<Law<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage>> => [
  ...laws(options),
  ...collecting,
  ...softCollecting,
  ...ownCollecting,
  ...collectingEverything
]
