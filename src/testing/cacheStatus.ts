/** What a response says of us in `Cache-Status` (RFC 9211). */
import { AssertionError } from "node:assert"
import { inspect } from "node:util"
import { type BareItem, parseList } from "structured-headers"

/**
 * The member of one cache. A flag that is not there is `false`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CacheStatus {
  readonly hit: boolean
  /** Seconds; negative when it was stale. */
  readonly ttl?: number | undefined
  /** Such as `"uri-miss"` or `"stale"` (RFC 9211 §2.2). */
  readonly fwd?: string | undefined
  /** The handler's status, where another one was sent. */
  readonly fwdStatus?: number | undefined
  readonly stored: boolean
  readonly collapsed: boolean
  readonly detail?: string | undefined
  readonly key?: string | undefined
}

type Fields = { readonly [name: string]: string | ReadonlyArray<string> | undefined }

interface WebHeaders {
  readonly get: (name: string) => string | null
}

/**
 * What has a `Cache-Status`: an `HttpServerResponse`, an `HttpClientResponse`, a `Response` of `fetch`, an
 * `IncomingMessage` of Node, or only the fields of one.
 *
 * @since 0.1.0
 * @category models
 */
export type Answered = Fields | {
  readonly headers: Fields | WebHeaders
}

/** A field may be named "headers", too. */
const isFieldValue = (value: unknown): boolean => typeof value !== "object" || Array.isArray(value)

const fieldOf = (response: Answered): string => {
  const fields = (isFieldValue(response.headers) ? response : response.headers) as Fields | WebHeaders
  if (typeof fields.get === "function") return fields.get("cache-status") ?? ""
  const lines = Object.entries(fields).filter(([name]) => name.toLowerCase() === "cache-status")
  return lines.flatMap(([, value]) => value ?? []).join(", ")
}

const parametersOf = (field: string, cache: string): ReadonlyMap<string, BareItem> | undefined => {
  try {
    return parseList(field).filter(([name]) => String(name) === cache).at(-1)?.[1]
  } catch {
    return undefined
  }
}

/**
 * What the cache of this name says: the last one of it, which is the nearest to the client. `undefined` when it says
 * nothing, and when the field can't be read. The name is `effect-http-cache` unless `cacheStatus.name` says otherwise.
 *
 * @example
 * ```ts
 * import { cacheStatus } from "effect-http-cache/testing"
 *
 * const ttl = cacheStatus({ "cache-status": "effect-http-cache; hit; ttl=7" })?.ttl // 7
 * ```
 *
 * @since 0.1.0
 * @category Cache-Status
 */
export const cacheStatus = (response: Answered, cache = "effect-http-cache"): CacheStatus | undefined => {
  const parameters = parametersOf(fieldOf(response), cache)
  if (parameters === undefined) return undefined
  const flag = (name: string) => parameters.get(name) === true
  const number = (name: string) => {
    const value = parameters.get(name)
    return typeof value === "number" ? value : undefined
  }
  const text = (name: string) => {
    const value = parameters.get(name)
    return value === undefined ? undefined : String(value)
  }
  return {
    hit: flag("hit"),
    ttl: number("ttl"),
    fwd: text("fwd"),
    fwdStatus: number("fwd-status"),
    stored: flag("stored"),
    collapsed: flag("collapsed"),
    detail: text("detail"),
    key: text("key")
  }
}

/**
 * Throws an `AssertionError` unless the response says all that is expected of it. What is not named may be anything;
 * `undefined` must not be there.
 *
 * @example
 * ```ts
 * import { expectCacheStatus } from "effect-http-cache/testing"
 *
 * const isHit = async () => expectCacheStatus(await fetch("http://localhost:3000/users/1"), { hit: true })
 * ```
 *
 * @since 0.1.0
 * @category Cache-Status
 */
export const expectCacheStatus = (
  response: Answered,
  expected: Partial<CacheStatus>,
  cache = "effect-http-cache"
): void => {
  const actual = cacheStatus(response, cache)
  const wanted = Object.entries(expected)
  if (actual !== undefined && wanted.every(([name, value]) => actual[name as keyof CacheStatus] === value)) return
  const field = fieldOf(response)
  throw new AssertionError({
    message: `expected Cache-Status to have ${cache} with ${inspect(expected)}, but ` +
      (field === "" ? "there is none" : `it is: ${field}`),
    actual,
    expected,
    operator: "expectCacheStatus",
    stackStartFn: expectCacheStatus
  })
}
