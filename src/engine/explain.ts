/** Says what `handle` would do, by the functions that `handle` calls. It reads the storage, runs no handler and counts no request. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CacheItem } from "../CacheItem.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as CacheStatus from "../protocol/CacheStatus.js"
import * as Explaining from "../protocol/Explaining.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Validation from "../protocol/Validation.js"
import { step } from "../runtime/effect.js"
import * as alike from "./alike.js"
import { type Bypass, mayAnswerGet } from "./bypass.js"
import { planOf } from "./collapse.js"
import type { Outgoing } from "./origin.js"
import { type Answering, type CacheRequest, now } from "./request.js"
import { respondStored } from "./respond.js"
import { lookup } from "./storageAccess.js"
import { reuseOf, wantedOf } from "./wanted.js"

/**
 * What would happen to a request, and why.
 *
 * @since 0.2.0
 * @category models
 */
export interface Explanation {
  /** The target URI of the request. */
  readonly uri: string
  /** The key under which the response would be stored; `undefined` where no cache saw the request. */
  readonly key: string | undefined
  /** What the cache would do; `undefined` where no cache saw the request. Times are milliseconds. */
  readonly outcome: CacheStatus.Outcome | CacheStatus.NotCached | undefined
  /**
   * The member of `Cache-Status` that the cache would add, without what depends on the handler's answer, such as `stored`;
   * `undefined` where it would add none.
   */
  readonly cacheStatus: string | undefined
  /** The status that the client would be sent; `undefined` where that is the handler's to say. */
  readonly status: number | undefined
  /** What is stored for such a request, whether or not it may be used now. It is the storage's own object: do not change it. */
  readonly item: CacheItem | undefined
  /** What would happen, and why, in sentences for a person to read. */
  readonly sentences: ReadonlyArray<string>
}

const explanationOf = (
  { key, policy: { cacheStatus }, view }: Pick<CacheRequest<never, never, never>, "key" | "policy" | "view">,
  would: Explaining.Would,
  item?: CacheItem
): Explanation => {
  const { outcome, status } = would
  const isTold = outcome._tag !== "NotCached" && cacheStatus !== undefined
  return {
    uri: CacheKey.make(view.target),
    key,
    outcome,
    cacheStatus: isTold ? CacheStatus.append({}, outcome, cacheStatus, key) : undefined,
    status,
    item,
    sentences: Explaining.sentences(would)
  }
}

/** Explains a request that passes by the cache, as `pass` lets it. */
export const explainPassing = <Res, E, R>(request: CacheRequest<Res, E, R>, bypass: Bypass): Explanation =>
  explanationOf(request, {
    outcome: { _tag: "Forwarded", stored: false, ...bypass },
    mayKeep: mayAnswerGet(request)
  })

/** Explains a request that the cache answers, as `handle` does. */
export const explain = <Res, E, R>(request: CacheRequest<Res, E, R>): Effect.Effect<Explanation> =>
  step(lookup(request), (found) => {
    const time = now(request)
    const wanted = wantedOf(request, found.item, time)
    const reuse = reuseOf(found, wanted, time)
    if (reuse._tag !== "Forward") {
      const { stored } = reuse
      const isRefreshed = reuse._tag !== "Serve" && (alike.failuresOf(request, stored, time) !== undefined ||
        request.runtime.singleFlight.has(alike.flightOf(request, stored)))
      const outcome = CacheStatus.hit(reuse)
      return Effect.map(
        respondStored(dryRun(request), stored, outcome, time),
        ({ response: { status } }) =>
          explanationOf(
            request,
            {
              outcome,
              status,
              vary: stored.vary,
              refreshed: isRefreshed ? request.policy.refreshWait : undefined
            },
            stored
          )
      )
    }
    if (request.asks.onlyIfCached) {
      return Exit.succeed(explanationOf(request, { outcome: { _tag: "NotCached" }, status: 504 }, found.item))
    }
    const { item } = found
    const { flight, mayKeep } = planOf(request, found, reuse.reason, wanted, { count: 0, since: time })
    const isJoining = flight !== undefined && request.runtime.singleFlight.has(flight)
    const outcome = {
      _tag: "Forwarded",
      reason: reuse.reason,
      stored: false,
      collapsed: isJoining ? true : undefined
    } as const
    return Exit.succeed(explanationOf(
      request,
      {
        outcome,
        mayKeep,
        vary: item?.vary,
        question: item === undefined || !mayKeep ? undefined : Validation.question(item, request.view.fields),
        standsIn: item !== undefined && Reuse.insteadOfError(item, 500, wanted, time)
      },
      item
    ))
  })

/** The same request with an origin that answers the data of a response, and makes none of the platform's. */
const dryRun = <Res, E, R>(request: CacheRequest<Res, E, R>): Answering<Outgoing> => ({
  ...request,
  origin: {
    respond: (outgoing) => outgoing,
    breakConnection: () => undefined,
    countAsRead: () => undefined,
    isNested: false
  }
})
