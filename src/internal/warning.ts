/** What a route is warned of when its response is not stored: the reason and the remedy, once. */
import { RouteContext } from "@effect/platform/HttpRouter"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as EntityTag from "../protocol/EntityTag.js"
import * as Fields from "../protocol/Fields.js"

/** `unkeyed`: field names, and what has none, in words. */
const sentence = (detail: CacheStatus.Detail | undefined, unkeyed: ReadonlyArray<string>): string | undefined => {
  if (detail === "pre-response-handler") {
    return "a pre-response handler (cors, a cookie) was set inside the cache; " +
      "put it outside: handler.pipe(withCache(), HttpMiddleware.cors())"
  }
  if (detail !== "unkeyed") return undefined
  const read = `the handler read ${unkeyed.join(", ")}`
  const names = unkeyed.filter(Fields.isToken)
  return names.length === unkeyed.length
    ? `${read}; name what selects the response with vary: ${JSON.stringify(names)}, answer Cache-Control: public ` +
      "where it is for everybody, or set unkeyed: \"ignore\" where it makes no difference"
    : `${read}; let it read single fields, answer Cache-Control: public where the response is for everybody, or name ` +
      "what selects it with vary: [...] or partition and set unkeyed: \"ignore\""
}

/** A router has its routes once, but an `HttpApi` makes handlers for each request. */
export const routeOf = (handler: object): Effect.Effect<object> =>
  Effect.map(Effect.serviceOption(RouteContext), (routed) => Option.isSome(routed) ? routed.value.route : handler)

/** What a route was warned of. */
type Reason = CacheStatus.Detail | "name" | "etag"

const warned = new WeakMap<object, Set<Reason>>()

const once = (route: object, reason: Reason, sentence: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const reasons = warned.get(route) ?? new Set()
    if (reasons.has(reason)) return Effect.void
    warned.set(route, reasons.add(reason))
    return Effect.logWarning(`effect-http-cache: ${sentence}`)
  })

/** Two caches without a name answer for one URI: each drops what the other has kept. */
export const warnOfAnother = (route: object, key: string): Effect.Effect<void> =>
  once(
    route,
    "name",
    `two caches answer for ${key}, and neither is answered with what the other has kept; give each of them a name of its ` +
      "own: withCache({ name: \"…\" })"
  )

/** What is written without its quotes is no entity tag: no client can send it back (RFC 9110 §8.8.3). */
export const warnOfTag = (route: object, key: string, etag: string | undefined): Effect.Effect<void> =>
  etag === undefined || EntityTag.parse(etag) !== undefined
    ? Effect.void
    : once(
      route,
      "etag",
      `${key} has the ETag ${etag}, which is no entity tag, so that no client can ask with it; write it with quotes, such ` +
        `as { etag: '"v1"' }`
    )

export const warn = (
  route: object,
  key: string,
  detail: CacheStatus.Detail | undefined,
  unkeyed: ReadonlyArray<string>
): Effect.Effect<void> => {
  const because = sentence(detail, unkeyed)
  return detail === undefined || because === undefined
    ? Effect.void
    : once(route, detail, `${key} is not stored, since ${because}`)
}
