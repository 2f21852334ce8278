/** What a storage is asked with, and what it is given. */
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStorage from "../CacheStorage.js"

const key = "http://localhost/users/1"

const variantOf = (fields: { readonly [name: string]: string }) => (vary: ReadonlyArray<string>): string =>
  vary.length === 0 ? "" : JSON.stringify(vary.map((name) => [name, fields[name] ?? null]))

/**
 * What a request with these fields asks for, their names in lower case: `http://localhost/users/1`, everybody's, unless
 * `over` says otherwise.
 *
 * @example
 * ```ts
 * import { lookupOf } from "effect-http-cache/testing"
 *
 * const french = lookupOf({ "accept-language": "fr" })
 * const other = lookupOf({}, { key: "http://localhost/users/2" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const lookupOf = (
  fields: { readonly [name: string]: string } = {},
  over: Partial<CacheStorage.Lookup> = {}
): CacheStorage.Lookup => ({ key, partition: "", variantOf: variantOf(fields), ...over })

let made = 0

/** A time that no storage's clock has reached, so that none drops the item. */
const farFuture = Date.UTC(2100, 0)

/**
 * A `200` with this text, as the cache makes one for a request that asks for `lookup`. It is of 1970, and retained until
 * 2100. Times and durations are milliseconds.
 *
 * @example
 * ```ts
 * import { itemOf, lookupOf } from "effect-http-cache/testing"
 *
 * const french = lookupOf({ "accept-language": "fr" })
 * const item = itemOf("bonjour", french, { vary: ["accept-language"], lifetime: 10_000 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const itemOf = (
  text: string,
  lookup: CacheStorage.Lookup = lookupOf(),
  over: Partial<CacheItem> = {}
): CacheItem => ({
  id: `item-${++made}`,
  key: lookup.key,
  partition: lookup.partition,
  cache: "",
  variant: lookup.variantOf(over.vary ?? []),
  vary: [],
  groups: [],
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
  retainUntil: farFuture,
  ...over
})

/**
 * A fill of what is looked up, as for a handler that is about to be asked.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CacheStorage } from "effect-http-cache"
 * import { fillOf, itemOf, lookupOf } from "effect-http-cache/testing"
 *
 * const kept = Effect.gen(function*() {
 *   const storage = yield* CacheStorage.CacheStorage
 *   return yield* storage.set(itemOf("hello"), yield* fillOf(lookupOf()))
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const fillOf = (lookup: CacheStorage.Lookup) =>
  Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.begin(lookup))
