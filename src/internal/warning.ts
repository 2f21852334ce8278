/** What a route is warned of when its response is not stored: the reason and the remedy, once. */
import { RouteContext } from "@effect/platform/HttpRouter"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as CacheStatus from "../protocol/CacheStatus.js"
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

const warned = new WeakMap<object, Set<CacheStatus.Detail>>()

export const warn = (
  route: object,
  key: string,
  detail: CacheStatus.Detail | undefined,
  unkeyed: ReadonlyArray<string>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const because = sentence(detail, unkeyed)
    if (detail === undefined || because === undefined) return Effect.void
    const details = warned.get(route) ?? new Set()
    if (details.has(detail)) return Effect.void
    warned.set(route, details.add(detail))
    return Effect.logWarning(`effect-http-cache: ${key} is not stored, since ${because}`)
  })
