/**
 * One stored response.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Fields from "./protocol/Fields.js"

// RFC 9110 §5.5: a line break in a value would split the response in two.
const FieldValue = Schema.String.pipe(Schema.pattern(/^[\t\x20-\x7e\x80-\xff]*$/))
const Headers = Schema.Record({ key: Schema.String, value: FieldValue }).pipe(
  Schema.filter((headers) => Object.keys(headers).every((name) => Fields.isToken(name) && name === name.toLowerCase()))
)
const Millis = Schema.JsonNumber.pipe(Schema.greaterThanOrEqualTo(0))
const Position = Schema.NonNegativeInt
const Time = Schema.JsonNumber

/**
 * For storages outside the process: JSON with the content in base64. Decoding refuses what isn't a stored response, a
 * field value with a line break among it; a storage answers such a record with `CacheMiss`.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { CacheItem } from "effect-http-cache"
 *
 * const record = Schema.parseJson(CacheItem.CacheItem)
 * const [write, read] = [Schema.encode(record), Schema.decode(record)]
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const CacheItem = Schema.Struct({
  /** Names this item among all that ever were in its place. */
  id: Schema.NonEmptyString,
  key: Schema.String,
  /** Whose response it is; `""` for everybody's. */
  partition: Schema.String,
  /** Which of the URI's representations it is: what `lookup.variantOf(vary)` answers for a request that selects it. */
  variant: Schema.String,
  /** Which of several caches at one URI keeps it: by its name, or by its place in the program; `""` is any. */
  cache: Schema.String,
  /** The field names that `Vary` nominates, lower-case, sorted. */
  vary: Schema.Array(Schema.String),
  /** Names by which it can be collected together with others. */
  groups: Schema.Array(Schema.String),
  status: Schema.Int.pipe(Schema.between(200, 599)),
  /** End-to-end fields only, names in lower case, without `Set-Cookie` and `Age`. */
  headers: Headers,
  /** `Set-Cookie` lines as they stand, in order; empty unless the route says `cookies: "store"`. */
  cookies: Schema.Array(FieldValue),
  body: Schema.Uint8ArrayFromBase64,
  /** Which bytes of the whole the body is, where it is not the whole: the item was a `206` (RFC 9111 §3.3). */
  range: Schema.optionalWith(Schema.Struct({ first: Position, last: Position, size: Position }), { exact: true }),
  /** The `Date` of the response. Epoch milliseconds, as are the times below. */
  date: Time,
  requestTime: Time,
  responseTime: Time,
  /** How old it was at `responseTime` (RFC 9111 §4.2.3). Milliseconds. */
  initialAge: Millis,
  /** How long it is fresh (RFC 9111 §4.2.1). Milliseconds. */
  lifetime: Millis,
  /** It is never served before the handler has been asked: `no-cache`. */
  alwaysValidate: Schema.Boolean,
  /** It is never served stale: `must-revalidate` and its kin. */
  staleForbidden: Schema.Boolean,
  /** Until then it is served stale while it is validated in the background (RFC 5861 §3); 0 when it never is. */
  staleWhileRevalidateUntil: Time,
  /** Until then it stands in for an error of the handler (RFC 5861 §4); 0 when it never does. */
  staleIfErrorUntil: Time,
  /** From then on a storage may drop it. */
  retainUntil: Time
})

/**
 * One stored response, as the schema of the same name has it.
 *
 * @since 0.1.0
 * @category models
 */
export interface CacheItem extends Schema.Schema.Type<typeof CacheItem> {}

/**
 * What names an item, and what it has of its response beside the terms.
 *
 * @since 0.1.0
 * @category models
 */
export type Own = Pick<
  CacheItem,
  "id" | "key" | "partition" | "cache" | "variant" | "vary" | "groups" | "headers" | "cookies" | "body"
>

/**
 * An item with these terms, of which `own` replaces what it names: a storage makes its copies so. The properties are written
 * out, since a spread of so many costs more than all else that a miss does.
 *
 * @example
 * ```ts
 * import { CacheItem } from "effect-http-cache"
 *
 * const copyOf = (item: CacheItem.CacheItem): CacheItem.CacheItem =>
 *   CacheItem.compose(item, { ...item, body: new Uint8Array(item.body) })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const compose = (terms: Omit<CacheItem, keyof Own>, own: Own): CacheItem => {
  const item: CacheItem = {
    id: own.id,
    key: own.key,
    partition: own.partition,
    cache: own.cache,
    variant: own.variant,
    vary: own.vary,
    groups: own.groups,
    status: terms.status,
    headers: own.headers,
    cookies: own.cookies,
    body: own.body,
    date: terms.date,
    requestTime: terms.requestTime,
    responseTime: terms.responseTime,
    initialAge: terms.initialAge,
    lifetime: terms.lifetime,
    alwaysValidate: terms.alwaysValidate,
    staleForbidden: terms.staleForbidden,
    staleWhileRevalidateUntil: terms.staleWhileRevalidateUntil,
    staleIfErrorUntil: terms.staleIfErrorUntil,
    retainUntil: terms.retainUntil
  }
  return terms.range === undefined ? item : { ...item, range: terms.range }
}
