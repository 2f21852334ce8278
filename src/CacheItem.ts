/**
 * One stored response.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Fields from "./protocol/Fields.js"

const FieldValue = Schema.String.pipe(Schema.filter(Fields.isValue))
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

const isText = (value: unknown): value is string => typeof value === "string"
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)
const isDuration = (value: unknown): boolean => isNumber(value) && value >= 0
const isPosition = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0
const isFlag = (value: unknown): boolean => typeof value === "boolean"
const isValue = (value: unknown): boolean => isText(value) && Fields.isValue(value)

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isHeaders = (value: unknown): boolean => {
  if (!isRecord(value)) return false
  for (const name in value) {
    if (!Fields.isToken(name) || name !== name.toLowerCase() || !isValue(value[name])) return false
  }
  return true
}

const isRange = (value: unknown): boolean =>
  isRecord(value) && isPosition(value["first"]) && isPosition(value["last"]) && isPosition(value["size"])

const checks: { readonly [Part in keyof CacheItem]-?: (value: unknown) => boolean } = {
  id: (value) => isText(value) && value !== "",
  key: isText,
  partition: isText,
  variant: isText,
  cache: isText,
  vary: isTexts,
  groups: isTexts,
  status: (value) => isPosition(value) && Number(value) >= 200 && Number(value) <= 599,
  headers: isHeaders,
  cookies: (value) => Array.isArray(value) && value.every(isValue),
  body: (value) => value instanceof Uint8Array,
  range: isRange,
  date: isNumber,
  requestTime: isNumber,
  responseTime: isNumber,
  initialAge: isDuration,
  lifetime: isDuration,
  alwaysValidate: isFlag,
  staleForbidden: isFlag,
  staleWhileRevalidateUntil: isNumber,
  staleIfErrorUntil: isNumber,
  retainUntil: isNumber
}

const parts = Object.entries(checks)

/**
 * Whether a value is an item, as the schema says of a decoded one. It is written by hand, since a storage outside the process
 * asks it for each read, and the schema takes ten times as long.
 *
 * @example
 * ```ts
 * import { CacheItem } from "effect-http-cache"
 * import { itemOf } from "effect-http-cache/testing"
 *
 * const answers = [CacheItem.isItem(itemOf("hello")), CacheItem.isItem({ status: 200 })] // [true, false]
 * ```
 *
 * @since 0.2.0
 * @category guards
 */
export const isItem = (value: unknown): value is CacheItem =>
  isRecord(value) && parts.every(([part, isRight]) => isRight(value[part]) || (part === "range" && !("range" in value)))

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
