/** The laws of the contract in `CacheStorage.ts`: written once, called by the test of each storage. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, type Layer } from "effect"
import { type CacheItem, CacheStorage, CollectableCacheStorage } from "effect-http-cache"

type RequestFields = { readonly [name: string]: string }

export const key = "http://localhost/users/1"

export const variantOf = (fields: RequestFields) => (vary: ReadonlyArray<string>): string =>
  vary.length === 0 ? "" : JSON.stringify(vary.map((name) => [name, fields[name] ?? null]))

export const lookupOf = (fields: RequestFields = {}, over: Partial<CacheStorage.Lookup> = {}): CacheStorage.Lookup => ({
  key,
  partition: "",
  variantOf: variantOf(fields),
  ...over
})

let made = 0

/** An item as the hub makes one, for a request with these fields. */
export const itemOf = (
  text: string,
  lookup: CacheStorage.Lookup = lookupOf(),
  over: Partial<CacheItem.CacheItem> = {}
): CacheItem.CacheItem => ({
  id: `item-${++made}`,
  fence: "",
  key: lookup.key,
  partition: lookup.partition,
  variant: lookup.variantOf(over.vary ?? []),
  vary: [],
  status: 200,
  headers: { "content-type": "text/plain" },
  cookies: [],
  body: new TextEncoder().encode(text),
  date: 1000,
  requestTime: 1000,
  responseTime: 1000,
  initialAge: 0,
  lifetime: 60_000,
  alwaysValidate: false,
  staleForbidden: false,
  staleWhileRevalidateUntil: 0,
  staleIfErrorUntil: 0,
  retainUntil: 121_000,
  ...over
})

const textOf = (lookup: CacheStorage.Lookup) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.get(lookup)).pipe(
    Effect.map((item) => new TextDecoder().decode(item.body)),
    Effect.catchTag("CacheMiss", (miss) => Effect.succeed(miss._tag))
  )

/** The present state of the key. */
export const fenceOf = (lookup: CacheStorage.Lookup) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.get(lookup)).pipe(
    Effect.map((item) => item.fence),
    Effect.catchTag("CacheMiss", (miss) => Effect.succeed(miss.fence))
  )

const set = (item: CacheItem.CacheItem, lookup: CacheStorage.Lookup) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.set(item, lookup))

export interface SuiteOptions<R> {
  readonly layer: Layer.Layer<R, unknown>
  /** The bytes of a body that the storage has no room for; leave it out where there is no bound. */
  readonly tooLarge?: number
}

export const cacheStorageSuite = (name: string, options: SuiteOptions<CacheStorage.CacheStorage>): void => {
  const law = (title: string, test: () => Effect.Effect<void, unknown, CacheStorage.CacheStorage>) =>
    it.effect(title, () => Effect.provide(test(), options.layer))

  describe(`${name}: a dictionary`, () => {
    law("answers a miss with the key and a reason where there is nothing", () =>
      Effect.gen(function*() {
        const storage = yield* CacheStorage.CacheStorage
        const miss = yield* Effect.flip(storage.get(lookupOf()))
        expect(miss).toMatchObject({ _tag: "CacheMiss", key, reason: "uri-miss" })
      }))

    law("answers what was set, every part of it", () =>
      Effect.gen(function*() {
        const lookup = lookupOf({ accept: "text/html" }, { partition: "ada" })
        const item = itemOf("body", lookup, {
          vary: ["accept"],
          headers: { etag: "\"1\"", "content-type": "text/html", constructor: "plain data" },
          cookies: ["a=1; Path=/", "b=2"],
          body: Uint8Array.from({ length: 256 }, (_, byte) => byte)
        })
        expect(yield* set(item, lookup)).toBe(true)
        const storage = yield* CacheStorage.CacheStorage
        expect(yield* storage.get(lookup)).toEqual(item)
      }))

    law("keeps the later of two in one place", () =>
      Effect.gen(function*() {
        yield* set(itemOf("old"), lookupOf())
        yield* set(itemOf("new"), lookupOf())
        expect(yield* textOf(lookupOf())).toBe("new")
      }))

    law("keeps keys apart", () =>
      Effect.gen(function*() {
        yield* set(itemOf("1"), lookupOf())
        const other = lookupOf({}, { key: "http://localhost/users/2" })
        expect(yield* textOf(other)).toBe("CacheMiss")
        yield* set(itemOf("2", other), other)
        expect(yield* textOf(lookupOf())).toBe("1")
        expect(yield* textOf(other)).toBe("2")
      }))

    law("keeps partitions apart", () =>
      Effect.gen(function*() {
        const [everybody, ada, alan] = [
          lookupOf(),
          lookupOf({}, { partition: "ada" }),
          lookupOf({}, { partition: "alan" })
        ]
        yield* set(itemOf("everybody's"), everybody)
        yield* set(itemOf("Ada's", ada), ada)
        expect(yield* Effect.all([everybody, ada, alan].map(textOf))).toEqual(["everybody's", "Ada's", "CacheMiss"])
      }))
  })

  describe(`${name}: variants`, () => {
    const french = lookupOf({ "accept-language": "fr" })
    const german = lookupOf({ "accept-language": "de" })

    law("keeps one item per variant and answers the one that the request selects", () =>
      Effect.gen(function*() {
        yield* set(itemOf("bonjour", french, { vary: ["accept-language"] }), french)
        yield* set(itemOf("guten Tag", german, { vary: ["accept-language"] }), german)
        expect(yield* textOf(french)).toBe("bonjour")
        expect(yield* textOf(german)).toBe("guten Tag")
        expect(yield* textOf(lookupOf())).toBe("CacheMiss")
      }))

    law("answers the latest date across lists of field names", () =>
      Effect.gen(function*() {
        const first = lookupOf({ a: "1", b: "1" })
        const second = lookupOf({ a: "2", b: "2" })
        yield* set(itemOf("newer, by a", first, { vary: ["a"], date: 2000 }), first)
        yield* set(itemOf("older, by b", second, { vary: ["b"], date: 1000 }), second)
        expect(yield* textOf(lookupOf({ a: "1", b: "2" }))).toBe("newer, by a")
      }))

    law("answers one with a Vary before a later one without", () =>
      Effect.gen(function*() {
        yield* set(itemOf("bonjour", french, { vary: ["accept-language"], date: 1000 }), french)
        yield* set(itemOf("hello", german, { date: 2000 }), german)
        expect(yield* textOf(french)).toBe("bonjour")
        expect(yield* textOf(german)).toBe("hello")
      }))

    law("drops what else the request selects when it keeps an item", () =>
      Effect.gen(function*() {
        yield* set(itemOf("bonjour", french, { vary: ["accept-language"] }), french)
        yield* set(itemOf("for everybody", french), french)
        expect(yield* textOf(french)).toBe("for everybody")
      }))
  })

  describe(`${name}: replacing and clearing`, () => {
    law("keeps an item that replaces the one in its place", () =>
      Effect.gen(function*() {
        const old = itemOf("old")
        yield* set(old, lookupOf())
        expect(yield* set(itemOf("new", lookupOf(), { replaces: old.id }), lookupOf())).toBe(true)
        expect(yield* textOf(lookupOf())).toBe("new")
      }))

    law("changes nothing for an item that replaces one that was itself replaced", () =>
      Effect.gen(function*() {
        const old = itemOf("old")
        yield* set(old, lookupOf())
        yield* set(itemOf("new"), lookupOf())
        expect(yield* set(itemOf("late", lookupOf(), { replaces: old.id }), lookupOf())).toBe(false)
        expect(yield* textOf(lookupOf())).toBe("new")
      }))

    law("clears the place for a dead item, and keeps it not", () =>
      Effect.gen(function*() {
        yield* set(itemOf("old"), lookupOf())
        expect(yield* set(itemOf("dead", lookupOf(), { retainUntil: 1000 }), lookupOf())).toBe(false)
        expect(yield* textOf(lookupOf())).toBe("CacheMiss")
      }))

    if (options.tooLarge !== undefined) {
      const body = new Uint8Array(options.tooLarge)
      law(
        "answers false for what is too large, and no longer has what that was to replace",
        () =>
          Effect.gen(function*() {
            yield* set(itemOf("old"), lookupOf())
            expect(yield* set(itemOf("", lookupOf(), { body }), lookupOf())).toBe(false)
            expect(yield* textOf(lookupOf())).toBe("CacheMiss")
          })
      )
    }
  })
}

export const collectableCacheStorageSuite = (
  name: string,
  options: SuiteOptions<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage>
): void => {
  cacheStorageSuite(name, options)

  const law = (
    title: string,
    test: () => Effect.Effect<
      void,
      unknown,
      CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage
    >
  ) => it.effect(title, () => Effect.provide(test(), options.layer))

  const collect = Effect.flatMap(CollectableCacheStorage.CollectableCacheStorage, (storage) => storage.collect(key))

  describe(`${name}: collecting`, () => {
    law("is the one instance behind both tags", () =>
      Effect.gen(function*() {
        expect(yield* CollectableCacheStorage.CollectableCacheStorage).toBe(yield* CacheStorage.CacheStorage)
      }))

    law("forgets every partition and variant of a URI, and of no other", () =>
      Effect.gen(function*() {
        const french = lookupOf({ "accept-language": "fr" })
        const ada = lookupOf({}, { partition: "ada" })
        const other = lookupOf({}, { key: "http://localhost/users/2" })
        yield* set(itemOf("bonjour", french, { vary: ["accept-language"] }), french)
        yield* set(itemOf("Ada's", ada), ada)
        yield* set(itemOf("other", other), other)
        yield* collect
        expect(yield* Effect.all([french, ada, other].map(textOf))).toEqual(["CacheMiss", "CacheMiss", "other"])
      }))

    law("succeeds where there is nothing", () =>
      Effect.gen(function*() {
        expect(Exit.isSuccess(yield* Effect.exit(collect))).toBe(true)
      }))

    law("refuses an item whose fence was taken before a collect", () =>
      Effect.gen(function*() {
        const fence = yield* fenceOf(lookupOf())
        yield* collect
        expect(yield* set(itemOf("late", lookupOf(), { fence }), lookupOf())).toBe(false)
        expect(yield* textOf(lookupOf())).toBe("CacheMiss")
      }))

    law("keeps an item whose fence was taken after a collect, in the same millisecond", () =>
      Effect.gen(function*() {
        yield* collect
        const fence = yield* fenceOf(lookupOf())
        expect(yield* set(itemOf("new", lookupOf(), { fence }), lookupOf())).toBe(true)
        expect(yield* textOf(lookupOf())).toBe("new")
      }))

    law("keeps an item that carries the fence which the collect answered", () =>
      Effect.gen(function*() {
        const fence = yield* collect
        expect(yield* set(itemOf("new", lookupOf(), { fence }), lookupOf())).toBe(true)
      }))

    law("gives a hit the present fence, so that what it is refreshed with is kept", () =>
      Effect.gen(function*() {
        yield* set(itemOf("old"), lookupOf())
        const storage = yield* CollectableCacheStorage.CollectableCacheStorage
        yield* storage.collect("http://localhost/elsewhere")
        const fence = yield* fenceOf(lookupOf())
        expect(yield* set(itemOf("new", lookupOf(), { fence }), lookupOf())).toBe(true)
        yield* collect
        expect(yield* set(itemOf("late", lookupOf(), { fence }), lookupOf())).toBe(false)
      }))

    law("refuses a fence before the first of two collects too", () =>
      Effect.gen(function*() {
        const fence = yield* fenceOf(lookupOf())
        yield* collect
        yield* collect
        expect(yield* set(itemOf("late", lookupOf(), { fence }), lookupOf())).toBe(false)
      }))

    law("refuses a fence from another partition's lookup as well", () =>
      Effect.gen(function*() {
        const ada = lookupOf({}, { partition: "ada" })
        const fence = yield* fenceOf(ada)
        yield* collect
        expect(yield* set(itemOf("late", ada, { fence }), ada)).toBe(false)
      }))
  })
}
