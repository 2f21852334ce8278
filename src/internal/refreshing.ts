/** What is stale is asked for again in the background, on behalf of nobody (RFC 5861 §3). */
import type * as Respondable from "@effect/platform/HttpServerRespondable"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import { isAhead, isClosed } from "../home/home.js"
import { limitReached } from "../home/limits.js"
import * as notes from "../home/notes.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as Fields from "../protocol/Fields.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Vary from "../protocol/Vary.js"
import { fill, type Filled, type Order, otherwise } from "./filling.js"
import * as flights from "./flights.js"
import * as hidden from "./hidden.js"
import { nameOf } from "./joining.js"
import * as recorder from "./recorder.js"
import * as serverRequest from "./serverRequest.js"
import type { Place } from "./storages.js"
import { lookupOf, type Visit } from "./visit.js"

const maxRefreshes = 100
const firstPause = 1000
const longestPause = 60_000

/** What a request must have to be for the stored response, and whose it is: a partition's, with all that names it. */
const nominated = (item: CacheItem, vary: Vary.Vary): ReadonlySet<string> =>
  new Set(["host", ":authority", ...item.vary, ...vary, ...(item.partition === "" ? [] : ["cookie", "authorization"])])

const onBehalfOfNobody = <R>(here: Visit<R>, item: CacheItem, vary: Vary.Vary): Visit<R> => {
  const names = nominated(item, vary)
  const fields = Fields.from(Object.entries(here.view.fields).filter(([name]) => names.has(name)))
  return {
    ...here,
    request: serverRequest.withOnly(here.request, here.view, fields),
    view: { ...here.view, method: "GET", fields },
    asks: CacheControl.noRequestDirectives
  }
}

const orderOf = <RP>(here: Visit<RP>, place: Place, item: CacheItem): Order<RP> => {
  const { lookup, storage } = place
  const identifying = recorder.readOf(here.identity.reads, here.view.fields)
  const anonymous = onBehalfOfNobody(here, item, Vary.union(notes.nominated(storage, lookup), identifying))
  return {
    here: anonymous,
    // What the handler reads beyond that, it finds absent.
    place: { ...place, lookup: lookupOf(anonymous) },
    wanted: Reuse.anybody,
    mayKeep: true,
    mayJoin: true,
    isJoined: true
  }
}

/** An answer that says of the resource what it is now, to its end, or that it is gone. */
const isAnswered = <E>(filled: Exclude<Filled<E>, { readonly _tag: "Found" }>): boolean => {
  if (filled._tag === "Answered" && filled.fill?.isWhole === false) return false
  const status = filled._tag === "Failed" ? filled.status : filled.asked.answer.status
  return status < 400 || status === 404 || status === 410
}

/** One at a time for what `name` says, a bounded number for all, and after a failure a pause that grows. */
export const refresh = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  here: Visit<RP>,
  place: Place,
  item: CacheItem
): Effect.Effect<void, never, R | RP> =>
  Effect.gen(function*() {
    const { storage } = place
    if (isClosed(storage)) return
    const name = nameOf(here, place)
    const refused = notes.refused.of(storage)
    const now = yield* Clock.currentTimeMillis
    const { failures, until } = refused.get(name) ?? { failures: 0, until: now }
    if (isAhead(until, now, longestPause)) return
    let landed: Filled<E> | undefined
    const sent = yield* flights.send<Filled<E>, R | RP>(storage, maxRefreshes, {
      name,
      deadline: here.policy.deadline,
      ...otherwise,
      late: () => landed = otherwise.late(),
      fly: (air) =>
        Effect.suspend(() => {
          // Until it has been answered it counts as failed: so does what hangs, or is interrupted.
          const pause = Math.min(firstPause * 2 ** failures, longestPause)
          refused.set(name, { failures: failures + 1, until: now + pause })
          const land = (filled: Filled<E>) => {
            landed = filled
            return air.land(filled)
          }
          return Effect.ensuring(
            fill(handler, orderOf(here, place, item))({ ...air, land }),
            Effect.suspend(() => {
              if (landed === undefined) return Effect.void
              if (landed._tag !== "Found" && !isAnswered(landed)) return hidden.tell("refresh", here, landed)
              refused.delete(name)
              return Effect.void
            })
          )
        })
    })
    if (sent === "full") yield* limitReached(storage, "refreshes", "and stale responses are refreshed later")
  })
