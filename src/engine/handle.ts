/**
 * READ FIRST. One request's way through the cache, read once downwards: look up, serve what is stored, or fetch, and then
 * answer with what came of that. Each rule is decided in the module that is called at that step.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStatus from "../protocol/CacheStatus.js"
import * as Collapsing from "../protocol/Collapsing.js"
import * as Reuse from "../protocol/Reuse.js"
import { step } from "../runtime/effect.js"
import { fetchOnce, planOf, sharedBy, storedBy } from "./collapse.js"
import { discard, type RunResult } from "./fetch.js"
import * as alike from "./alike.js"
import * as hiddenErrors from "./hiddenErrors.js"
import type { Served } from "./report.js"
import { type Answering, type CacheRequest, now } from "./request.js"
import { gatewayTimeout, respondFailed, respondFetched, respondStored } from "./respond.js"
import { revalidate, waitForRefresh } from "./revalidate.js"
import { type Access, type Found, lookup, lookupAgain } from "./storageAccess.js"
import { reuseOf, wantedOf } from "./wanted.js"
import * as varyingWarning from "./varyingWarning.js"

/**
 * Answers one request. If it waited for another request and could not use that response, it starts over: twice with others,
 * then alone.
 */
export const handle = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  attempt: Collapsing.Attempt = { count: 0, since: now(request) }
): Effect.Effect<Served<Res>, E, R> => {
  const { collectsBegun } = request.runtime
  return step(lookup(request), (found) => {
    const time = now(request)
    const wanted = wantedOf(request, found.item, time)
    const reuse = reuseOf(found, wanted, time)

    // What is stored may be reused: the handler is not asked. If it is stale, it is revalidated in the background.
    if (reuse._tag !== "Forward") return serve(request, found, reuse, time, attempt)
    // The client has said only-if-cached: the handler must not run.
    if (request.asks.onlyIfCached) {
      return Exit.succeed({ response: gatewayTimeout(request), outcome: { _tag: "NotCached" } })
    }

    // Run the handler, once for all who wait for the same, and store its response.
    return step(fetchOnce(planOf(request, found, reuse.reason, wanted, attempt)), ({ fetched, isJoined }) => {
      // Another run has stored a response meanwhile: it is looked up.
      if (fetched._tag === "StoredMeanwhile") return again(request, attempt)

      const outcome = forwarded(reuse.reason, attempt)
      const came = now(request)
      // The handler has failed, and what is stored may stand in for its error.
      return step(standInOf(request, found, fetched, wanted, came, collectsBegun), (standIn) => {
        if (standIn !== undefined) return stand(request, standIn, fetched, isJoined, outcome, came)
        // It is another request's response: it is shared, or this request starts over.
        if (isJoined) return share(request, fetched, outcome, attempt, came)
        // It is this request's own response.
        return respondFetched(request, fetched, outcome)
      })
    })
  })
}

/**
 * Looks up, in the same step, a stored response that is fresh for a request without conditions and directives. `undefined` means
 * that the request has to go through `handle`, such as where a response varies by a field that the route does not name:
 * `handle` tells `varyingWarning` of such hits.
 */
export const freshAtOnce = (access: Access): Reuse.Serve<CacheItem> | undefined => {
  const item = valueOf(lookup(access))?.item
  if (item === undefined || item.range !== undefined || item.vary.length > access.policy.vary.length) return undefined
  const reuse = Reuse.decide(item, Reuse.anybody, now(access))
  return reuse._tag === "Serve" ? reuse : undefined
}

/** Answers with what `freshAtOnce` has found; `undefined` where that would have to wait. */
export const hitAtOnce = <Res>(
  request: Answering<Res>,
  reuse: Reuse.Serve<CacheItem>
): Served<Res> | undefined => valueOf(respondStored(request, reuse.stored, CacheStatus.hit(reuse), now(request)))

const valueOf = <A>(effect: Effect.Effect<A>): A | undefined =>
  Exit.isExit(effect) && Exit.isSuccess(effect) ? effect.value as A : undefined

/** Answers with what is stored. */
const serve = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  found: Found,
  reuse: Exclude<Reuse.Reuse<CacheItem>, Reuse.Forward>,
  time: number,
  attempt: Collapsing.Attempt
): Effect.Effect<Served<Res>, E, R> => {
  const { stored } = reuse
  const outcome = CacheStatus.hit(reuse)
  const answered = Effect.suspend(() => respondStored(request, stored, outcome, time))
  if (reuse._tag === "Revalidate") {
    const revalidating = revalidate(request, found, stored)
    if (request.policy.refreshWait === 0) return Effect.andThen(revalidating, answered)
    return step(Effect.andThen(revalidating, waitForRefresh(request, stored)), () => afterRefresh(request, attempt))
  }
  if (stored.vary.length > request.policy.vary.length) {
    return Effect.andThen(varyingWarning.hit(request, stored), answered)
  }
  return respondStored(request, stored, outcome, time)
}

/**
 * Looks up again, after the request has waited for the refresh. Answers with the new response, or with the stale one where the
 * refresh is not done. Where the response was collected meanwhile, the request starts over.
 */
const afterRefresh = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  attempt: Collapsing.Attempt
): Effect.Effect<Served<Res>, E, R> =>
  step(lookup(request), (found) => {
    const time = now(request)
    const reuse = reuseOf(found, wantedOf(request, found.item, time), time)
    if (reuse._tag === "Forward") return again(request, attempt)
    const outcome = reuse._tag === "Serve"
      ? { ...forwarded("stale", attempt), collapsed: true }
      : CacheStatus.hit(reuse)
    return respondStored(request, reuse.stored, outcome, time)
  })

const again = <Res, E, R>(request: CacheRequest<Res, E, R>, attempt: Collapsing.Attempt) =>
  handle(request, Collapsing.again(attempt))

const forwarded = (reason: CacheStatus.ForwardReason, attempt: Collapsing.Attempt): CacheStatus.Forwarded => (
  { _tag: "Forwarded", reason, stored: false, collapsed: Collapsing.collapsedOf(attempt) }
)

/**
 * The stored response that may be answered instead of the handler's error. It is looked up again, since it may have been
 * collected since the request found it. `collectsBegun`: how many collects this process had begun by then.
 */
const standInOf = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  { item }: Found,
  fetched: RunResult<Res, E>,
  wanted: Reuse.Request,
  time: number,
  collectsBegun: number
): Effect.Effect<CacheItem | undefined> => {
  if (item === undefined || !Reuse.insteadOfError(item, fetched.status, wanted, time)) return Exit.succeed(undefined)
  return Effect.flatMap(lookupAgain(request, item, collectsBegun), (present) =>
    present !== undefined &&
      Reuse.insteadOfError(present, fetched.status, wantedOf(request, present, time), time)
      ? Effect.as(hiddenErrors.tell("stale-if-error", request, fetched), present)
      : Effect.succeed(undefined))
}

/** Answers with what is stored, instead of an error. */
const stand = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  standIn: CacheItem,
  fetched: RunResult<Res, E>,
  isJoined: boolean,
  outcome: CacheStatus.Forwarded,
  time: number
): Effect.Effect<Served<Res>> => {
  alike.backOff(request, standIn, time)
  return Effect.andThen(
    isJoined ? Effect.void : discard(fetched),
    Effect.suspend(() => respondStored(request, standIn, { ...outcome, status: fetched.status }, time))
  )
}

/**
 * Answers with the response of another request, where this request may use it. Otherwise the request starts over, or is answered
 * with the failure when it has no attempts left.
 */
const share = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  fetched: RunResult<Res, E>,
  outcome: CacheStatus.Forwarded,
  attempt: Collapsing.Attempt,
  time: number
): Effect.Effect<Served<Res>, E, R> =>
  Effect.gen(function*() {
    const shared = yield* sharedBy(fetched, request, time)
    if (shared !== undefined) {
      const { item, reader } = shared
      yield* varyingWarning.hit(request, item)
      return yield* respondStored(request, item, { ...outcome, collapsed: true }, time, reader)
    }
    const isError = storedBy(fetched) === undefined && Reuse.isError(fetched.status)
    const next = isError
      ? Collapsing.afterError(attempt, time, request.policy.deadline)
      : Collapsing.again(attempt)
    // The storage's layer has closed: there is nothing to wait for any more.
    if (next !== undefined && !request.runtime.isClosed) return yield* handle(request, next)
    yield* hiddenErrors.tell("waiting", request, fetched)
    return respondFailed(request, fetched.status, outcome)
  })
