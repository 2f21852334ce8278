/** The contract in `CacheStorage.ts`, as tests for any runner. */
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import { types } from "node:util"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStorage from "../CacheStorage.js"
import type { Yielded } from "../runtime/effect.js"
import { fillOf, itemOf, lookupOf } from "./items.js"

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
 * What is known of the storage that the laws are about.
 *
 * @since 0.1.0
 * @category models
 */
export interface LawOptions {
  /** The bytes of a body that the storage has no room for. A storage that has no bound leaves it out, and that law. */
  readonly tooLarge?: number | undefined
}

export const law = <Steps extends Yielded>(
  title: string,
  test: () => Generator<Steps, void, never>
) => ({ title, test: Effect.gen(test) })

/** What is stored for a request, or that it is a miss. */
export const textOf = (lookup: CacheStorage.Lookup) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.get(lookup)).pipe(
    Effect.map((item) => new TextDecoder().decode(item.body)),
    Effect.catchTag("CacheMiss", (miss) => Effect.succeed(miss._tag))
  )

/** What the storage makes of an item. */
export const set = (item: CacheItem | undefined, fill: CacheStorage.Fill) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.set(item, fill))

/** Stores, with no time for a handler. */
export const keep = (item: CacheItem, lookup: CacheStorage.Lookup) =>
  Effect.flatMap(fillOf(lookup), (fill) => set(item, fill))

/** To compare: `Buffer` and `Uint8Array`, and records with and without a prototype, are different to `node:assert`. */
export const plain = (item: CacheItem) => ({ ...item, headers: { ...item.headers }, body: Buffer.from(item.body) })

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
      cache: "of a name",
      vary: ["accept"],
      groups: ["users", "group \"2\""],
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
    assert.equal(yield* keep(item, lookup), "kept")
    const storage = yield* CacheStorage.CacheStorage
    const found = yield* storage.get(lookup)
    assert.ok(types.isUint8Array(found.body), "the body is a Uint8Array")
    assert.deepEqual(plain(found), plain(item))
  }),

  law("begins with what the request selects, and with nothing where that is nothing", function*() {
    assert.equal((yield* fillOf(lookupOf())).item, undefined)
    const item = itemOf("body")
    yield* keep(item, lookupOf())
    const fill = yield* fillOf(lookupOf())
    assert.equal(fill.item?.id, item.id)
    assert.deepEqual([fill.lookup.key, fill.lookup.partition], [lookupOf().key, ""])
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

/** Requests for two variants. */
export const french = lookupOf({ "accept-language": "fr" })
export const german = lookupOf({ "accept-language": "de" })

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
  law("keeps an item in place of the one that the fill found", function*() {
    yield* keep(itemOf("old"), lookupOf())
    assert.equal(yield* keep(itemOf("new", lookupOf(), { vary: ["accept"] }), lookupOf()), "kept")
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("is overtaken, and changes nothing, where another item is in place of the one that the fill found", function*() {
    yield* keep(itemOf("old"), lookupOf())
    const fill = yield* fillOf(lookupOf())
    yield* keep(itemOf("new"), lookupOf())
    assert.equal(yield* set(itemOf("late"), fill), "overtaken")
    assert.equal(yield* textOf(lookupOf()), "new")
    assert.equal(yield* set(undefined, fill), "overtaken")
    assert.equal(yield* textOf(lookupOf()), "new")
  }),

  law("keeps both of two fills that found nothing, the later in place of the other", function*() {
    const [first, second] = [yield* fillOf(lookupOf()), yield* fillOf(lookupOf())]
    assert.equal(yield* set(itemOf("first"), first), "kept")
    assert.equal(yield* set(itemOf("second"), second), "kept")
    assert.equal(yield* textOf(lookupOf()), "second")
  }),

  law("drops what the fill found where there is no item, and nothing else", function*() {
    yield* keep(itemOf("bonjour", french, { vary: ["accept-language"] }), french)
    yield* keep(itemOf("guten Tag", german, { vary: ["accept-language"] }), german)
    assert.notEqual(yield* set(undefined, yield* fillOf(french)), "overtaken")
    assert.equal(yield* textOf(french), "CacheMiss")
    assert.equal(yield* textOf(german), "guten Tag")
  })
]

const refusing = (tooLarge: number) =>
  law("refuses what is too large, and no longer has what that was to replace", function*() {
    yield* keep(itemOf("old"), lookupOf())
    assert.equal(yield* keep(itemOf("", lookupOf(), { body: new Uint8Array(tooLarge) }), lookupOf()), "refused")
    assert.equal(yield* textOf(lookupOf()), "CacheMiss")
  })

/**
 * What holds for every `CacheStorage`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { InMemoryCacheStorage } from "effect-http-cache"
 * import { laws } from "effect-http-cache/testing"
 * import { test } from "node:test"
 *
 * for (const { test: holds, title } of laws()) {
 *   test(title, () => Effect.runPromise(Effect.provide(holds, InMemoryCacheStorage.layer)))
 * }
 * ```
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
