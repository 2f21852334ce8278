/** Which requests may wait for one run of the handler? (RFC 9111 §4) */
import * as Headers from "@effect/platform/Headers"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CacheItem } from "../CacheItem.js"
import type { Lookup } from "../CacheStorage.js"
import * as notes from "../home/notes.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Reuse from "../protocol/Reuse.js"
import type { Reading } from "./fill.js"
import type { Filled, Order } from "./filling.js"
import type * as flights from "./flights.js"
import { groupOf, variantOf } from "./group.js"
import { fenceWithout, type Place } from "./storages.js"
import type { Visit } from "./visit.js"

/** It asks for no more than what is stored for the next one: under `expiry` a part is cut from that. */
const mayJoin = <R>({ asks, policy, view }: Visit<R>, reason: Reuse.Forward["reason"]): boolean =>
  view.method === "GET" && reason !== "request" && !asks.noStore && !asks.noCache &&
  !Preconditions.isForOrigin(view.fields) &&
  (policy.expiry !== undefined || Fields.get(view.fields, "range") === undefined)

/** Key, partition and variant, as far as it is known, and the fence: who comes after a collect joins nothing older. */
export const nameOf = <R>(here: Visit<R>, place: Place): string => {
  const { found, lookup: { key, partition }, storage } = place
  return JSON.stringify([key, here.cache, partition, variantOf(here, place), found.fence ?? fenceWithout(storage)])
}

const maxTurns = 3

/** How often a request has looked up, and since when it waits. Epoch milliseconds. */
export interface Turn {
  readonly count: number
  readonly since: number
}

export const another = ({ count, since }: Turn): Turn => ({ count: count + 1, since })

/** `false` where another request's answer was not its own (RFC 9211 §2.6). */
export const toldOf = ({ count }: Turn): false | undefined => count === 0 ? undefined : false

/** What the handler is asked for, and whether with others. */
export const orderOf = <R>(
  here: Visit<R>,
  place: Place,
  wanted: Reuse.Request,
  reason: Reuse.Forward["reason"],
  turn: Turn,
  now: number
): Order<R> => {
  const isLikeOthers = mayJoin(here, reason)
  const isUnjoined = isLikeOthers && notes.isUnjoined(place.storage, groupOf(here, place), now)
  return {
    here,
    place,
    wanted,
    mayKeep: here.view.method !== "HEAD" && !here.asks.noStore,
    mayJoin: isLikeOthers,
    isJoined: isLikeOthers && !isUnjoined && turn.count < maxTurns
  }
}

export interface Shared {
  readonly item: CacheItem
  /** Its content, where it is a stream. */
  readonly reading: Reading | undefined
}

const keptOf = <E>(filled: Filled<E>): CacheItem | undefined =>
  filled._tag === "Answered" ? filled.judged?.item : undefined

/** The answer to another request, where it answers this one as what is stored would. */
export const shared = <E>(
  filled: Filled<E>,
  lookup: Lookup,
  wantedOf: (item: CacheItem) => Reuse.Request,
  now: number
): Effect.Effect<Shared | undefined> => {
  const item = keptOf(filled)
  const isOwn = filled._tag === "Answered" && item !== undefined && lookup.variantOf(item.vary) === item.variant &&
    Reuse.decide(item, wantedOf(item), now)._tag === "Fresh"
  if (!isOwn) return Effect.succeed(undefined)
  if (filled.fill === undefined) return Effect.succeed({ item, reading: undefined })
  return Effect.map(filled.fill.join, (reading) => reading === undefined ? undefined : { item, reading })
}

/**
 * After another request's answer was not its own: those who waited try again together, and alone where it is known by then
 * that nothing is shared. An error is tried again a few times, and not for ever.
 */
export const nextTurn = <E>(
  turn: Turn,
  filled: Exclude<Filled<E>, { readonly _tag: "Found" }>,
  now: number,
  deadline: number
): Turn | undefined => {
  if (keptOf(filled) !== undefined || !Reuse.isError(filled.status)) return another(turn)
  return turn.count + 1 < maxTurns && now - turn.since < deadline ? another(turn) : undefined
}

/** Whose request it is: a span of the client's, by the request's own fields. */
export const askerOf = <R>({ view }: Visit<R>): flights.Asker | undefined => {
  const fields = Headers.fromInput(
    Fields.only(view.fields, ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"])
  )
  return Option.getOrUndefined(HttpTraceContext.fromHeaders(fields))
}
