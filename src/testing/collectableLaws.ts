/** The contract in `CollectableCacheStorage.ts`, as tests for any runner. */
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import * as CacheStorage from "../CacheStorage.js"
import * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { fillOf, itemOf, lookupOf } from "./items.js"
import { french, keep, type Law, law, type LawOptions, laws, set, textOf } from "./laws.js"

const collectNames = (names: CollectableCacheStorage.Names) =>
  Effect.flatMap(CollectableCacheStorage.CollectableCacheStorage, (storage) => storage.collect(names))

const ofKey: CollectableCacheStorage.Names = { keys: [lookupOf().key], groups: [] }
const ofGroup: CollectableCacheStorage.Names = { keys: [], groups: ["users"] }

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
  ...collecting
]
