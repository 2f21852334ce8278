/** What a route is warned of when its response is not stored: the reason and the remedy, once. */
import * as Effect from "effect/Effect"
import * as CacheGroups from "../protocol/CacheGroups.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as EntityTag from "../protocol/EntityTag.js"
import * as Fields from "../protocol/Fields.js"
import { isOfThisProcess } from "./callSite.js"
import type { Answer, Route } from "./origin.js"
import type { Asked } from "./request.js"
import type { Found } from "./storageAccess.js"
import type { Judged } from "./store.js"

/** `unkeyed`: field names, and what has none, in words. */
const sentence = (detail: CacheStatus.Detail | undefined, unkeyed: ReadonlyArray<string>): string | undefined => {
  if (detail === "pre-response-handler") {
    return "a pre-response handler (cors, a cookie) was set inside the cache; " +
      "put it outside: handler.pipe(withCache(), HttpMiddleware.cors())"
  }
  if (detail === "groups") return CacheGroups.remedy
  if (detail !== "unkeyed") return undefined
  const read = `the handler read ${unkeyed.join(", ")}`
  const names = unkeyed.filter(Fields.isToken)
  return names.length === unkeyed.length
    ? `${read}; name what selects the response with vary: ${JSON.stringify(names)}, answer Cache-Control: public ` +
      "where it is for everybody, or set unkeyed: \"ignore\" where it makes no difference"
    : `${read}; let it read single fields, answer Cache-Control: public where the response is for everybody, or name ` +
      "what selects it with vary: [...] or partition and set unkeyed: \"ignore\""
}

const latecomers = new WeakMap<object, Set<string>>()
const maxPlaces = 1000

/** Remembers a place whose streams read fields after their head. From 1,000 places on, all of the handler count as such. */
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
type Reason = CacheStatus.Detail | "name" | "tag"

const warned = new WeakMap<object, Set<Reason>>()

const once = (route: object, reason: Reason, sentence: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const reasons = warned.get(route) ?? new Set()
    if (reasons.has(reason)) return Effect.void
    warned.set(route, reasons.add(reason))
    return Effect.logWarning(`effect-http-cache: ${sentence}`)
  })

/** Two caches without a name answer for one URI: each drops what the other has kept. */
const ofAnother = (found: Found, { cache, key }: Asked, route: object): Effect.Effect<void> => {
  if (found.item !== undefined || found.keptBy === undefined) return Effect.void
  if (found.keptBy === cache || !isOfThisProcess(found.keptBy)) return Effect.void
  return once(
    route,
    "name",
    `two caches answer for ${key}, and neither is answered with what the other has kept; give each a name of its own: ` +
      "withCache({ name: \"…\" })"
  )
}

/** What is written without its quotes is no entity tag: no client can send it back (RFC 9110 §8.8.3). */
const ofTag = ({ key, policy }: Asked, route: object, answer: Answer): Effect.Effect<void> => {
  const etag = policy.expiry === undefined ? undefined : EntityTag.textIn(answer.fields)
  return etag === undefined || EntityTag.parse(etag) !== undefined
    ? Effect.void
    : once(
      route,
      "tag",
      `${key} has the ETag ${etag}, which is no entity tag: no client can ask with it; write it with quotes, as in ` +
        `{ etag: '"v1"' }`
    )
}

/** Why it is not stored, where there is a remedy. */
const ofDetail = (
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

/** Warns of what the handler read, which is why its response is not stored. */
export const ofReads = (route: object, key: string, unkeyed: ReadonlyArray<string>): Effect.Effect<void> =>
  ofDetail(route, key, "unkeyed", unkeyed)

/** Warns of all that one answer gives reason for; `Effect.void` where that is nothing. `own`: as the handler answered. */
export const ofAnswer = (
  found: Found,
  asked: Asked,
  { handler }: Route,
  { detail, unkeyed }: Judged,
  own: Answer
): Effect.Effect<void> => {
  const warnings = [
    ofAnother(found, asked, handler),
    ofDetail(handler, asked.key, detail, unkeyed),
    ofTag(asked, handler, own)
  ]
  return warnings.every((warning) => warning === Effect.void) ? Effect.void : Effect.all(warnings, { discard: true })
}
