/** Revalidates what is stale in the background, on behalf of nobody (stale-while-revalidate, RFC 5861 §3). */
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as Fields from "../protocol/Fields.js"
import * as Reads from "../protocol/Reads.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import { limitReached } from "../runtime/limits.js"
import type { Handle } from "../runtime/flight.js"
import { fetchInFlight, FlightPlan } from "./collapse.js"
import { unheard } from "./enclosing.js"
import { type Fetched, FetchPlan, type RunResult } from "./fetch.js"
import * as alike from "./alike.js"
import * as hiddenErrors from "./hiddenErrors.js"
import { type CacheRequest, change, now } from "./request.js"
import type { Found } from "./storageAccess.js"

/** So many refreshes run in the background at one time. */
const maxRevalidations = 100

/** The request without what is its client's own: what the handler reads beyond that, it finds absent. */
const onBehalfOfNobody = <Res, E, R>(request: CacheRequest<Res, E, R>, item: CacheItem): CacheRequest<Res, E, R> => {
  const { identity, origin, view } = request
  const identifying = Reads.namesOf(identity.reads, view.fields)
  const names = Vary.union(item.vary, Vary.union(alike.nominatedOf(request), identifying))
  const fields = Validation.fieldsForNobody(view.fields, names, item.partition !== "")
  return change(request, {
    origin: origin.forNobody(fields),
    view: { ...view, method: "GET", fields: Fields.copy(fields) },
    asks: CacheControl.noRequestDirectives,
    waited: { millis: 0 }
  })
}

/** An answer that says of the resource what it is now, to its end, or that it is gone. */
const isAnswered = <Res, E>(fetched: RunResult<Res, E>): boolean => {
  if (fetched._tag === "Answered" && fetched.shared?.isWhole === false) return false
  const status = fetched._tag === "Failed" ? fetched.status : fetched.answer.status
  return Validation.saysWhatIs(status)
}

/** Waits for the running refresh of this item, for `refreshWait` at most, unless too many requests wait for it. */
export const waitForRefresh = <Res, E, R>(request: CacheRequest<Res, E, R>, item: CacheItem): Effect.Effect<void> => {
  const { clock, policy: { maxWaiters, refreshWait }, runtime } = request
  return Effect.flatMap(
    runtime.singleFlight.watch(alike.flightOf(request, item), clock, refreshWait, maxWaiters),
    (refused) =>
      refused === undefined
        ? Effect.void
        : limitReached(runtime, refused, "and requests are answered with what is stale")
  )
}

/**
 * Starts a revalidation in the background, unless one is running for the same or the back-off of the last failure lasts. It
 * ends at its deadline or when the storage's layer closes.
 */
export const revalidate = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  found: Found,
  item: CacheItem
): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    const { runtime } = request
    const { failedRefreshes } = runtime.memory
    if (runtime.isClosed) return Effect.void
    const flight = alike.flightOf(request, item)
    const failures = alike.failuresOf(request, item, now(request))
    if (failures === undefined) return Effect.void
    const asked = onBehalfOfNobody(request, item)
    const plan = new FetchPlan(asked, found, Reuse.anybody, { mayKeep: true, mayWait: true, flight })
    let came: Fetched<Res, E> | undefined
    const run = (handle: Handle<Fetched<Res, E>>) =>
      Effect.suspend(() => {
        // Until it has been answered it counts as failed: so does what hangs, or is interrupted.
        const hasFailed = () => failedRefreshes.set(flight, { count: failures + 1, at: now(request) })
        hasFailed()
        return Effect.ensuring(
          unheard(fetchInFlight(plan, handle), request.above),
          Effect.suspend(() => {
            if (came !== undefined && (came._tag === "StoredMeanwhile" || isAnswered(came))) {
              failedRefreshes.delete(flight)
              return Effect.void
            }
            hasFailed()
            return came === undefined ? Effect.void : hiddenErrors.tell("refresh", request, came)
          })
        )
      })
    const own = new FlightPlan(plan, flight, run)
    const late = () => came = own.late()
    // Nobody leads it, so nobody takes what it comes to.
    const untaken = (fetched: Fetched<Res, E>, isGone: boolean) => {
      came = fetched
      return own.untaken(fetched, isGone)
    }
    return Effect.flatMap(
      runtime.singleFlight.startInBackground({ ...own, asker: undefined, late, untaken }, maxRevalidations),
      (refused) =>
        refused === "full"
          ? limitReached(runtime, "refreshes", "and stale responses are refreshed later")
          : Effect.void
    )
  })
