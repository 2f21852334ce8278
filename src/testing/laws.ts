/** The contract in `CacheStorage.ts` and `CollectableCacheStorage.ts`, as tests for any runner. */
import * as Effect from "effect/Effect"
import type { YieldWrap } from "effect/Utils"
import assert from "node:assert/strict"
import { types } from "node:util"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStorage from "../CacheStorage.js"
import * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { fenceOf, itemOf, lookupOf } from "./items.js"

/**
 * A test of a storage that is empty: provide it with a new one for each law.
 *
 * @since 0.1.0
 * @category models
 */
export interface Law<R> {
  readonly title: string
  /** Fails or dies when the law does not hold; what is not as it should be is an `AssertionError`. */
  readonly test: Effect.Effect<void, unknown, R>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LawOptions {
  /** The bytes of a body that the storage has no room for. A storage that has no bound leaves it out, and that law. */
  readonly tooLarge?: number | undefined
}

const law = <Yielded extends YieldWrap<Effect.Effect<unknown, unknown, unknown>>>(
  title: string,
  test: () => Generator<Yielded, void, never>
) => ({ title, test: Effect.gen(test) })

const textOf = (lookup: CacheStorage.Lookup) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.get(lookup)).pipe(
    Effect.map((item) => new TextDecoder().decode(item.body)),
    Effect.catchTag("CacheMiss", (miss) => Effect.succeed(miss._tag))
  )

const set = (item: CacheItem, lookup: CacheStorage.Lookup) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.set(item, lookup))

/** With the fence of this moment, as for a handler that takes no time. */
const keep = (item: CacheItem, lookup: CacheStorage.Lookup) =>
  Effect.flatMap(fenceOf(lookup), (fence) => set({ ...item, fence }, lookup))

/** To compare: `Buffer` and `Uint8Array`, and records with and without a prototype, are different to `node:assert`. */
const plain = (item: CacheItem) => ({ ...item, headers: { ...item.headers }, body: Buffer.from(item.body) })

const dictionary = [
  law("answers a miss with the key and a reason where there is nothing", function*() {
    const storage = yield* CacheStorage.CacheStorage
    const miss = yield* Effect.flip(storage.get(lookupOf()))
    assert.equal(miss._tag, "CacheMiss")
    assert.deepEqual([miss.key, miss.reason], [lookupOf().key, "uri-miss"])
  }),

  law("answers what was set, every part of it", function*() {
    const lookup = lookupOf({ accept: "text/html" }, { partition: "ada" })
    const item = itemOf("body", lookup, {
      fence: yield* fenceOf(lookup),
      cache: "of a name",
      vary: ["accept"],
      status: 206,
      range: { first: 0, last: 255, size: 1000 },
      date: 1500,
      requestTime: 2000,
      responseTime: 3000,
      initialAge: 4000,
      lifetime: 5000,
      alwaysValidate: true,
      staleForbidden: true,
      staleWhileRevalidateUntil: 6000,
      staleIfErrorUntil: 7000,
      retainUntil: Date.UTC(2101, 0),
      headers: { etag: "\"1\"", "content-type": "text/html", constructor: "plain data" },
      cookies: ["a=1; Path=/", "b=2"],
      body: Uint8Array.from({ length: 256 }, (_, byte) => byte)
    })
    assert.equal(yield* set(item, lookup), true)
    const storage = yield* CacheStorage.CacheStorage
    const found = yield* storage.get(lookup)
    assert.ok(types.isUint8Array(found.body), "the body is a Uint8Array")
    assert.deepEqual(plain(found), plain(item))
  }),

  law("keeps the later of two in one place", function*() {
    yield* keep(itemOf("old"), lookupOf())
    yield* keep(itemOf("new"), lookupOf())
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("keeps keys apart", function*() {
    yield* keep(itemOf("1"), lookupOf())
    const other = lookupOf({}, { key: "http://localhost/users/2" })
    assert.equal(yield* textOf(other), "CacheMiss")
    yield* keep(itemOf("2", other), other)
    assert.equal(yield* textOf(lookupOf()), "1")
    assert.equal(yield* textOf(other), "2")
  }),

  law("keeps partitions apart", function*() {
    const [everybody, ada, alan] = [
      lookupOf(),
      lookupOf({}, { partition: "ada" }),
      lookupOf({}, { partition: "alan" })
    ]
    yield* keep(itemOf("everybody's"), everybody)
    yield* keep(itemOf("Ada's", ada), ada)
    assert.deepEqual(yield* Effect.all([everybody, ada, alan].map(textOf)), ["everybody's", "Ada's", "CacheMiss"])
  })
]

const french = lookupOf({ "accept-language": "fr" })
const german = lookupOf({ "accept-language": "de" })

const variants = [
  law("keeps one item per variant and answers the one that the request selects", function*() {
    yield* keep(itemOf("bonjour", french, { vary: ["accept-language"] }), french)
    yield* keep(itemOf("guten Tag", german, { vary: ["accept-language"] }), german)
    assert.equal(yield* textOf(french), "bonjour")
    assert.equal(yield* textOf(german), "guten Tag")
    assert.equal(yield* textOf(lookupOf()), "CacheMiss")
  }),

  law("answers the latest date across lists of field names", function*() {
    const first = lookupOf({ a: "1", b: "1" })
    const second = lookupOf({ a: "2", b: "2" })
    yield* keep(itemOf("newer, by a", first, { vary: ["a"], date: 2000 }), first)
    yield* keep(itemOf("older, by b", second, { vary: ["b"], date: 1000 }), second)
    assert.equal(yield* textOf(lookupOf({ a: "1", b: "2" })), "newer, by a")
  }),

  law("answers one with a Vary before a later one without", function*() {
    yield* keep(itemOf("bonjour", french, { vary: ["accept-language"], date: 1000 }), french)
    yield* keep(itemOf("hello", german, { date: 2000 }), german)
    assert.equal(yield* textOf(french), "bonjour")
    assert.equal(yield* textOf(german), "hello")
  }),

  law("drops what else the request selects when it keeps an item", function*() {
    yield* keep(itemOf("bonjour", french, { vary: ["accept-language"] }), french)
    yield* keep(itemOf("for everybody", french), french)
    assert.equal(yield* textOf(french), "for everybody")
  })
]

const replacing = [
  law("keeps an item that replaces the one in its place", function*() {
    const old = itemOf("old")
    yield* keep(old, lookupOf())
    assert.equal(yield* keep(itemOf("new", lookupOf(), { replaces: old.id }), lookupOf()), true)
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("changes nothing for an item that replaces one that was itself replaced", function*() {
    const old = itemOf("old")
    yield* keep(old, lookupOf())
    yield* keep(itemOf("new"), lookupOf())
    assert.equal(yield* keep(itemOf("late", lookupOf(), { replaces: old.id }), lookupOf()), false)
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("clears the place for a dead item, and keeps it not", function*() {
    yield* keep(itemOf("old"), lookupOf())
    assert.equal(yield* keep(itemOf("dead", lookupOf(), { retainUntil: 1000 }), lookupOf()), false)
    assert.equal(yield* textOf(lookupOf()), "CacheMiss")
  })
]

const refusing = (tooLarge: number) =>
  law("answers false for what is too large, and no longer has what that was to replace", function*() {
    yield* keep(itemOf("old"), lookupOf())
    assert.equal(yield* keep(itemOf("", lookupOf(), { body: new Uint8Array(tooLarge) }), lookupOf()), false)
    assert.equal(yield* textOf(lookupOf()), "CacheMiss")
  })

const collect = Effect.flatMap(
  CollectableCacheStorage.CollectableCacheStorage,
  (storage) => storage.collect(lookupOf().key)
)

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
    yield* storage.collect(collected.key)
    assert.deepEqual(
      yield* Effect.all([collected, ...others].map(textOf)),
      ["CacheMiss", ...others.map(({ key }) => key)]
    )
  }),

  law("succeeds where there is nothing", function*() {
    assert.equal((yield* Effect.exit(collect))._tag, "Success")
  }),

  law("refuses an item whose fence was taken before a collect", function*() {
    const fence = yield* fenceOf(lookupOf())
    yield* collect
    assert.equal(yield* set(itemOf("late", lookupOf(), { fence }), lookupOf()), false)
    assert.equal(yield* textOf(lookupOf()), "CacheMiss")
  }),

  law("keeps an item whose fence was taken after a collect, in the same millisecond", function*() {
    yield* collect
    const fence = yield* fenceOf(lookupOf())
    assert.equal(yield* set(itemOf("new", lookupOf(), { fence }), lookupOf()), true)
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("keeps an item that carries the fence which the collect answered", function*() {
    const fence = yield* collect
    assert.equal(yield* set(itemOf("new", lookupOf(), { fence }), lookupOf()), true)
  }),

  law("gives a hit the present fence, so that what it is refreshed with is kept", function*() {
    yield* keep(itemOf("old"), lookupOf())
    const storage = yield* CollectableCacheStorage.CollectableCacheStorage
    yield* storage.collect("http://localhost/elsewhere")
    const fence = yield* fenceOf(lookupOf())
    assert.equal(yield* set(itemOf("new", lookupOf(), { fence }), lookupOf()), true)
    yield* collect
    assert.equal(yield* set(itemOf("late", lookupOf(), { fence }), lookupOf()), false)
  }),

  law("refuses a fence before the first of two collects too", function*() {
    const fence = yield* fenceOf(lookupOf())
    yield* collect
    yield* collect
    assert.equal(yield* set(itemOf("late", lookupOf(), { fence }), lookupOf()), false)
  }),

  law("refuses a fence from another partition's lookup as well", function*() {
    const ada = lookupOf({}, { partition: "ada" })
    const fence = yield* fenceOf(ada)
    yield* collect
    assert.equal(yield* set(itemOf("late", ada, { fence }), ada), false)
  })
]

/**
 * What holds for every `CacheStorage`.
 *
 * @since 0.1.0
 * @category laws
 */
export const laws = ({ tooLarge }: LawOptions = {}): ReadonlyArray<Law<CacheStorage.CacheStorage>> => [
  ...dictionary,
  ...variants,
  ...replacing,
  ...(tooLarge === undefined ? [] : [refusing(tooLarge)])
]

/**
 * What holds for every `CollectableCacheStorage`: `laws`, and those of `collect`.
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
