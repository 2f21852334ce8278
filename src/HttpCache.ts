/**
 * Caching for `@effect/platform`, around a route, a router or an app.
 *
 * A request runs through `cached` from top to bottom: view, key, look up, decide, run the handler, keep, respond. Each
 * rule is in the leaf that is asked there. `collecting` is the same for what must be forgotten.
 *
 * @since 0.1.0
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { CacheMiss } from "./CacheError.js"
import { CacheStorage, type Lookup, type Service } from "./CacheStorage.js"
import { CollectableCacheStorage } from "./CollectableCacheStorage.js"
import { resolve } from "./internal/byUri.js"
import { callSite } from "./internal/callSite.js"
import * as enclosing from "./internal/enclosing.js"
import { closed, discard, fill, type Filled, otherwise } from "./internal/filling.js"
import * as flights from "./internal/flights.js"
import * as hidden from "./internal/hidden.js"
import * as joining from "./internal/joining.js"
import { keepingForGet } from "./internal/keeping.js"
import * as routeOptions from "./internal/options.js"
import { pass, passesBy } from "./internal/passing.js"
import * as recorder from "./internal/recorder.js"
import { refresh } from "./internal/refreshing.js"
import { respondFailed, respondFilled, respondShared, respondStored } from "./internal/responding.js"
import * as serverResponse from "./internal/serverResponse.js"
import * as spellings from "./internal/spellings.js"
import * as storages from "./internal/storages.js"
import * as varying from "./internal/varying.js"
import { accepts, identified, lookupOf, type Policies, type Visit, visit, withContent } from "./internal/visit.js"
import type * as CacheKey from "./protocol/CacheKey.js"
import * as Invalidation from "./protocol/Invalidation.js"
import * as Preconditions from "./protocol/Preconditions.js"
import * as Reuse from "./protocol/Reuse.js"

export { type DefaultOptions, Defaults, defaults, type Options } from "./internal/options.js"

/** The page to read first. */
const cached = <RP>(
  policies: Policies<RP>,
  // Where it is the platform that puts the cache around a handler, only this is a place in the program.
  made: () => string = callSite(policies),
  isPlaced = false
) =>
<A extends Respondable.Respondable, E, R>(
  handler: Effect.Effect<A, E, R>
): HttpApp.Default<E, R | RP | CacheStorage> => {
  const placed = isPlaced ? made : callSite(handler)
  const cache = () => placed() || made()
  return Effect.gen(function*() {
    const visited = yield* visit(policies, cache())
    const aside = yield* passesBy(handler, visited)
    if (aside !== undefined) {
      return yield* keepingForGet(visited, (keep) => pass(handler, visited, aside, keep))
    }
    const asked = visited.view.method === "QUERY" ? yield* withContent(visited) : visited
    if (asked === undefined) return yield* pass(handler, visited, { reason: "bypass", detail: "body" })
    const here = yield* identified(asked)
    if (here === undefined) return yield* pass(handler, asked, { reason: "bypass", detail: "partition" })

    const since = yield* Clock.currentTimeMillis
    return yield* attend(handler, here, lookupOf(here), yield* CacheStorage, { count: 0, since })
  })
}

/** Whoever waited for another request, and for nothing, takes another turn: a few times with others, then alone. */
const attend = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  here: Visit<RP>,
  lookup: Lookup,
  storage: Service,
  turn: joining.Turn
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | RP> =>
  Effect.gen(function*() {
    const { asks, key, policy, view } = here

    // Look up
    const place = yield* storages.look(storage, lookup, policy.storageTimeout, accepts(here))
    const { item } = place.found
    if (item !== undefined) recorder.countAsRead(here.request, item.vary)

    // May I answer without the handler?
    const now = yield* Clock.currentTimeMillis
    const wantedOf = (stored: typeof item) => ({
      ...asks,
      forOrigin: Preconditions.isForOrigin(view.fields),
      isHeld: stored === undefined || serverResponse.isHeld(stored, view, now),
      isRepeatable: view.method !== "QUERY"
    })
    const wanted = wantedOf(item)
    const reuse = place.found.item === undefined
      ? Reuse.forward(place.found.reason)
      : Reuse.decide(place.found.item, wanted, now)
    if (reuse._tag !== "Forward") {
      if (reuse.stored.vary.length > policy.vary.length) yield* varying.hit(handler, here, reuse.stored)
      if (reuse._tag === "Revalidate") yield* refresh(handler, here, place, reuse.stored)
      return yield* respondStored(here, reuse.stored, { _tag: "Hit", ttl: reuse.ttl }, now)
    }
    if (asks.onlyIfCached) return yield* Respondable.toResponse(new CacheMiss({ key, reason: reuse.reason, fence: "" }))

    // Run the handler, once for all who wait for the same, and keep what it answers
    const order = joining.orderOf(here, place, wanted, reuse.reason, turn, now)
    const { exit, isJoined } = yield* flights.board<Filled<E>, R>(storage, policy.maxWaiters, {
      name: order.isJoined ? joining.nameOf(here, place) : undefined,
      asker: joining.askerOf(here),
      deadline: policy.deadline,
      ...otherwise,
      fly: fill(handler, order)
    })
    const filled = Exit.isFailure(exit) && Cause.isInterrupted(exit.cause) ? closed : yield* exit
    if (filled._tag === "Found") return yield* attend(handler, here, lookup, storage, joining.another(turn))
    const responseTime = yield* Clock.currentTimeMillis
    const outcome = { _tag: "Forwarded", reason: reuse.reason, stored: false, collapsed: joining.toldOf(turn) } as const
    const isError = item !== undefined && Reuse.insteadOfError(item, filled.status, wanted, responseTime)
    const standIn = isError ? yield* storages.present(place) : undefined
    if (standIn !== undefined && Reuse.insteadOfError(standIn, filled.status, wantedOf(standIn), responseTime)) {
      yield* hidden.tell("stale-if-error", here, filled)
      if (!isJoined) yield* discard(filled)
      return yield* respondStored(here, standIn, { ...outcome, status: filled.status }, responseTime)
    }
    if (!isJoined || filled === closed) return yield* respondFilled(here, filled, outcome)

    // It waited for another request: is that one's answer its own too?
    const shared = yield* joining.shared(filled, lookup, wantedOf, responseTime)
    if (shared !== undefined) {
      recorder.countAsRead(here.request, shared.item.vary)
      yield* varying.hit(handler, here, shared.item)
      return yield* respondShared(here, shared, { ...outcome, collapsed: true }, responseTime)
    }
    const next = joining.nextTurn(turn, filled, responseTime, policy.deadline)
    if (next !== undefined) return yield* attend(handler, here, lookup, storage, next)
    yield* hidden.tell("waiting", here, filled)
    return yield* respondFailed(here, filled.status, outcome)
  })

const collecting =
  <RP>(policies: Policies<RP>, also: CollectOptions["also"], tells: boolean) =>
  <A extends Respondable.Respondable, E, R>(
    handler: Effect.Effect<A, E, R>
  ): HttpApp.Default<E, R | CacheStorage | CollectableCacheStorage> =>
    Effect.gen(function*() {
      const { method } = yield* HttpServerRequest
      const storage = yield* CollectableCacheStorage
      if (storage !== (yield* CacheStorage)) {
        return yield* Effect.dieMessage(
          "withCollect: CacheStorage and CollectableCacheStorage are two storages, so that nothing would be collected; " +
            "provide both from one layer, such as InMemoryCacheStorage.layerCollectable"
        )
      }
      if (Invalidation.isSafe(method)) return yield* Effect.flatMap(handler, Respondable.toResponse)
      const here = yield* visit(policies, "")
      const forget = (response: HttpServerResponse.HttpServerResponse) =>
        Effect.flatMap(toForget(storage, here, response, also), (keys) =>
          Effect.zipRight(
            enclosing.tellCollected(keys),
            Effect.forEach(keys, (key) => storages.forget(storage, key, here.policy.storageTimeout), { discard: true })
          ))
      // Once the handler has succeeded nothing interrupts the collect, and the answer goes out after it. A handler that
      // was interrupted may have written before.
      const collects = Effect.uninterruptibleMask((restore) =>
        Effect.onExit(Effect.flatMap(restore(handler), Respondable.toResponse), (exit) => {
          if (exit._tag === "Success") return forget(exit.value)
          if (Cause.isInterrupted(exit.cause)) return forget(HttpServerResponse.empty())
          return Effect.flatMap(HttpServerError.causeResponse(exit.cause), ([response]) => forget(response))
        })
      )
      return yield* tells ? pass(collects, here, { reason: "method" }, undefined, handler) : collects
    })

/** What must be forgotten? */
const toForget = <R>(
  storage: object,
  { policy, request, view }: Visit<R>,
  response: HttpServerResponse.HttpServerResponse,
  also: CollectOptions["also"]
): Effect.Effect<ReadonlyArray<CacheKey.CacheKey>> => {
  const targets = Invalidation.targets(view.method, view.target, response.status, response.headers)
  const listed = targets.length === 0 || also === undefined ?
    Effect.succeed([]) :
    Effect.try(() =>
      Array.from(also(request, response)).flatMap((uri) => resolve("withCollect: also", uri, view.target))
    )
  return listed.pipe(
    Effect.catchAll(({ error }) => Effect.as(Effect.logWarning(`effect-http-cache: ${error}`), [])),
    Effect.map((more) => {
      const all = [...targets, ...more]
      // Before a deploy with a canonical origin, the same storage was keyed by what requests say of theirs.
      const others = all.filter(({ origin }) => origin === view.target.origin && origin !== view.ownOrigin)
        .map((target) => ({ ...target, origin: view.ownOrigin }))
      return spellings.keysOf(storage, [...all, ...others], policy.query)
    })
  )
}

/**
 * Caches a route: `handler.pipe(withCache({ expiry: 10 }))`. It goes innermost; authentication, `cors` and what else
 * must run for each request go outside it; a handler that answers by who is asking needs a `partition` then. With no
 * `expiry` the response's own fields decide. What it keeps is the response to the request, not a part of one.
 *
 * Only `GET`, `HEAD` and `QUERY` are answered; `HttpRouter` routes no `QUERY`, a bare app does. A typed failure is not stored. Throws a `TypeError` when an option is wrong.
 *
 * @since 0.1.0
 * @category middleware
 */
export const withCache = <RP = never>(
  options: routeOptions.Options<RP> = {}
): <A extends Respondable.Respondable, E, R>(
  handler: Effect.Effect<A, E, R>
) => HttpApp.Default<E, R | RP | CacheStorage> => cached(routeOptions.resolve("withCache", options))

/**
 * @since 0.1.0
 * @category models
 */
export interface CollectOptions {
  /** Which search parameters are part of the key: as the cached route has it. Default: as `Defaults` has it. */
  readonly query?: routeOptions.Options["query"]
  /**
   * More to forget, such as the list pages that show what was changed: paths, or absolute URIs. It is asked when the
   * handler has answered `2xx` or `3xx`.
   */
  readonly also?:
    | ((request: HttpServerRequest, response: HttpServerResponse.HttpServerResponse) => Iterable<string>)
    | undefined
}

/**
 * Forgets what is stored for the URI when the handler succeeds with an unsafe method, and what `Location` and
 * `Content-Location` name within the same origin (RFC 9111 §4.4). The answer goes out after the collect, which nothing
 * interrupts. A `4xx`, a `5xx` or a failure forgets nothing; a handler that was interrupted may have written, and forgets.
 *
 * A collect can't reach a browser's copy: tell clients to ask each time, with `clients: "revalidate"`.
 *
 * @since 0.1.0
 * @category middleware
 */
export const withCollect = (options: CollectOptions = {}): <A extends Respondable.Respondable, E, R>(
  handler: Effect.Effect<A, E, R>
) => HttpApp.Default<E, R | CacheStorage | CollectableCacheStorage> =>
  collecting(routeOptions.resolveCollect(options), options.also, true)

/**
 * `withCache` and `withCollect` in one, for a router or an app. A cache beneath it, around a single route, wins there.
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware = <RP = never>(
  options: routeOptions.Options<RP> = {}
): <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R | RP | CacheStorage | CollectableCacheStorage> =>
  both(options)

/** `site`: where in the program it is, where what puts it around the app is not a part of the program. */
const both = <RP>(
  options: routeOptions.Options<RP>,
  site?: () => string
): <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R | RP | CacheStorage | CollectableCacheStorage> => {
  const policies = routeOptions.resolve("HttpCache.middleware", options)
  const cache = cached(policies, site, site !== undefined)
  const collect = collecting(policies, undefined, false)
  return (app) => cache(collect(app))
}

/**
 * For a handler, at any depth: "do not keep this response". It goes out with `Cache-Control: no-store`, so that no other cache
 * keeps it either. What was said once is not taken back; without a cache above nothing happens.
 *
 * @since 0.1.0
 * @category handlers
 */
export const refuse: Effect.Effect<void> = enclosing.refuse

/**
 * For a handler, at any depth: what it knows late of its response. `expiry` is its freshness, in seconds where it is a bare
 * number, as if its `Cache-Control` said `max-age`; freshness that the response states itself is left alone. Of several calls
 * the last counts. Dies with a `TypeError` when it is no duration.
 *
 * @since 0.1.0
 * @category handlers
 */
export const annotate = ({ expiry }: { readonly expiry: routeOptions.Seconds }): Effect.Effect<void> =>
  Effect.suspend(() => enclosing.annotate(routeOptions.durationOf("HttpCache.annotate", "expiry", expiry)))

/**
 * `middleware` with its services resolved now, for `HttpApiBuilder.middleware`. It runs outside the security of the
 * endpoints: a hit skips it. Where there is any, use `handleRaw` and `withCache` instead.
 *
 * @since 0.1.0
 * @category middleware
 */
export const make = <RP = never>(options: routeOptions.Options<RP> = {}): Effect.Effect<
  <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>,
  never,
  CacheStorage | CollectableCacheStorage | Exclude<RP, HttpServerRequest>
> => {
  const around = both(options, callSite(options))
  return Effect.map(
    Effect.context<CacheStorage | CollectableCacheStorage | Exclude<RP, HttpServerRequest>>(),
    (services) => <E, R>(app: HttpApp.Default<E, R>) =>
      Effect.mapInputContext(
        around(app),
        // What RP needs is in `services`, or is the request itself.
        (context: Context.Context<R | HttpServerRequest>) =>
          Context.merge(services, context) as Context.Context<
            R | RP | HttpServerRequest | CacheStorage | CollectableCacheStorage
          >
      )
  )
}

/**
 * `middleware` for `HttpLayerRouter`: the routes that are provided with its `layer` are cached and collected.
 *
 * @since 0.1.0
 * @category middleware
 */
export const routerMiddleware = <RP = never>(options: routeOptions.Options<RP> = {}) =>
  HttpLayerRouter.middleware(
    Effect.map(make(options), (around) => (app: HttpApp.Default<HttpLayerRouter.unhandled>) => around(app))
  )

export { collect, collectAll, lookup } from "./internal/byUri.js"
export { type Validators, withPreconditions } from "./internal/preconditions.js"
