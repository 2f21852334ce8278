/** What a route is warned of when its response is not stored: the reason and the remedy, once. */
import { RouteContext } from "@effect/platform/HttpRouter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
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

/** What answered: `handler` is a route, or what is cached; `place` tells the routes within it apart. */
export interface Route {
  readonly handler: object
  readonly place: string
}

/** A router has its routes once, but an `HttpApi` makes handlers for each request. */
export const routeOf = (handler: object): Effect.Effect<object> =>
  Effect.map(Effect.serviceOption(RouteContext), (routed) => Option.isSome(routed) ? routed.value.route : handler)

/**
 * The route of a router beneath is known by what the router tells the request's span; where there is none, its URIs are
 * told apart.
 */
export const placeOf = (handler: object, key: string): Effect.Effect<Route> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const route = Option.map(Context.getOption(context, RouteContext), (routed) => routed.route)
    const span = Option.getOrUndefined(Context.getOption(context, Tracer.ParentSpan))
    const path = span?._tag === "Span" ? span.attributes.get("http.route") : undefined
    const isSingle = Option.isSome(route) && !route.value.path.endsWith("*")
    return {
      handler: Option.getOrElse(route, () => handler),
      place: typeof path === "string" ? path : isSingle ? "" : key
    }
  })

const latecomers = new WeakMap<object, Set<string>>()
const maxPlaces = 1000

/** Its streams read what selects them while they are sent; of many such places all others are taken to do so too. */
export const readsLate = ({ handler, place }: Route): void => {
  const places = latecomers.get(handler) ?? new Set()
  if (places.size < maxPlaces) places.add(place)
  latecomers.set(handler, places)
}

export const isKnownToReadLate = ({ handler, place }: Route): boolean => {
  const places = latecomers.get(handler)
  return places !== undefined && (places.has(place) || places.size >= maxPlaces)
}

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
