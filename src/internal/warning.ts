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

const warned = new WeakMap<object, Set<CacheStatus.Detail | "name">>()

/** Two caches without a name answer for one URI: each drops what the other has kept. */
export const warnOfAnother = (route: object, key: string): Effect.Effect<void> =>
  once(
    route,
    "name",
    `effect-http-cache: two caches answer for ${key}, and neither is answered with what the other has kept; ` +
      "give each of them a name of its own: withCache({ name: \"…\" })"
  )

const once = (route: object, what: CacheStatus.Detail | "name", sentence: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const said = warned.get(route) ?? new Set()
    if (said.has(what)) return Effect.void
    warned.set(route, said.add(what))
    return Effect.logWarning(sentence)
  })

export const warn = (
  route: object,
  key: string,
  detail: CacheStatus.Detail | undefined,
  unkeyed: ReadonlyArray<string>
): Effect.Effect<void> => {
  const because = sentence(detail, unkeyed)
  return detail === undefined || because === undefined
    ? Effect.void
    : once(route, detail, `effect-http-cache: ${key} is not stored, since ${because}`)
}
