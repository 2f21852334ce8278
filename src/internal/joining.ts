/** Which requests may wait for one run of the handler? (RFC 9111 §4) */
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import type { Lookup } from "../CacheStorage.js"
import * as notes from "../home/notes.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Vary from "../protocol/Vary.js"
import type { Reading } from "./fill.js"
import type { Filled, Order } from "./filling.js"
import { fenceWithout, type Place } from "./storages.js"
import type { Visit } from "./visit.js"

/** It asks for no more than what is stored for the next one: under `expiry` a part is cut from that. */
const mayJoin = <R>({ asks, policy, view }: Visit<R>, reason: Reuse.Forward["reason"]): boolean =>
  view.method === "GET" && reason !== "request" && !asks.noStore && !asks.noCache &&
  !Preconditions.isForOrigin(view.fields) &&
  (policy.expiry !== undefined || Fields.get(view.fields, "range") === undefined)

/** Those whose responses turned out not to be shared are of one kind; who sends one of these decides only for such. */
export const groupOf = <R>({ cache, selection, view }: Visit<R>, { key, partition }: Lookup): string => {
  const sends = ["authorization", "range"].map((name) => Fields.get(view.fields, name) !== undefined)
  return JSON.stringify([key, cache, partition, selection.depth, ...sends])
}

/** Key, partition and variant, as far as it is known, and the fence: who comes after a collect joins nothing older. */
export const nameOf = <R>({ cache, policy }: Visit<R>, { found, lookup, storage }: Place): string => {
  const { key, partition, variantOf } = lookup
  const nominated = found.item?.vary ?? notes.nominated(storage, lookup)
  return JSON.stringify([
    key,
    cache,
    partition,
    variantOf(Vary.union(policy.vary, nominated)),
    found.fence ?? fenceWithout(storage)
  ])
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
  const group = mayJoin(here, reason) ? groupOf(here, place.lookup) : undefined
  const isUnjoined = group !== undefined && notes.isUnjoined(place.storage, group, now)
  return {
    here,
    place,
    wanted,
    mayKeep: here.view.method !== "HEAD" && !here.asks.noStore,
    group,
    isJoined: group !== undefined && !isUnjoined && turn.count < maxTurns
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
 * After another request's answer was not its own. An error is tried again with the others, a few times and not for ever;
 * so is another variant; what can't be shared at all is asked for alone.
 */
export const nextTurn = <E>(
  turn: Turn,
  filled: Exclude<Filled<E>, { readonly _tag: "Found" }>,
  lookup: Lookup,
  now: number,
  deadline: number
): Turn | undefined => {
  const item = keptOf(filled)
  // The next one asks for another part, or for the whole.
  const isOfRange = filled.status === 206 || filled.status === 416
  if (isOfRange || (item !== undefined && lookup.variantOf(item.vary) !== item.variant)) return another(turn)
  if (item !== undefined || !Reuse.isError(filled.status)) return { ...turn, count: maxTurns }
  return turn.count + 1 < maxTurns && now - turn.since < deadline ? another(turn) : undefined
}
