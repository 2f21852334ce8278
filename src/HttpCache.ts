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
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { randomUUID } from "node:crypto"
import { CacheMiss } from "./CacheError.js"
import { CacheStorage, type Lookup } from "./CacheStorage.js"
import { CollectableCacheStorage } from "./CollectableCacheStorage.js"
import { resolve } from "./internal/byUri.js"
import * as handlers from "./internal/handler.js"
import * as routeOptions from "./internal/options.js"
import * as report from "./internal/report.js"
import * as serverRequest from "./internal/serverRequest.js"
import * as serverResponse from "./internal/serverResponse.js"
import * as storages from "./internal/storages.js"
import * as CacheControl from "./protocol/CacheControl.js"
import * as CacheKey from "./protocol/CacheKey.js"
import type * as CacheStatus from "./protocol/CacheStatus.js"
import * as Fields from "./protocol/Fields.js"
import * as Invalidation from "./protocol/Invalidation.js"
import * as Preconditions from "./protocol/Preconditions.js"
import * as Reuse from "./protocol/Reuse.js"
import * as Storability from "./protocol/Storability.js"
import * as Vary from "./protocol/Vary.js"

export {
  /**
   * @since 0.1.0
   * @category models
   */
  type DefaultOptions,
  /**
   * The options of every route, and `origin`, `version` and `enabled`. It needs no layer:
   * `Layer.succeed(HttpCache.Defaults, { vary: ["Accept-Language"] })` replaces it.
   *
   * @since 0.1.0
   * @category defaults
   */
  Defaults,
  /**
   * What a route is cached by. Durations: a bare number is seconds.
   *
   * @since 0.1.0
   * @category models
   */
  type Options
} from "./internal/options.js"

type Policies<R> = (defaults: routeOptions.DefaultOptions) => routeOptions.Policy<R>

/** One request at one cache. */
interface Visit<R> {
  readonly request: HttpServerRequest
  readonly view: serverRequest.View
  readonly policy: routeOptions.Policy<R>
  readonly key: CacheKey.CacheKey
}

const visit = <R>(policies: Policies<R>): Effect.Effect<Visit<R>, never, HttpServerRequest> =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest
    const policy = policies(yield* routeOptions.Defaults)
    const view = serverRequest.view(request, policy.origin)
    return { request, view, policy, key: CacheKey.make(view.target, policy.query, policy.version) }
  })

/** The page to read first. */
const cached = <RP>(policies: Policies<RP>) =>
<A extends Respondable.Respondable, E, R>(
  handler: Effect.Effect<A, E, R>
): HttpApp.Default<E, R | RP | CacheStorage> =>
  Effect.gen(function*() {
    const here = yield* visit(policies)
    const { key, policy, request, view } = here
    const aside = yield* passesBy(here)
    if (aside !== undefined) return yield* pass(handler, here, aside)
    const whose = policy.partition === undefined ? Option.some("") : yield* orNone(policy.partition)
    if (Option.isNone(whose)) return yield* pass(handler, here, { reason: "bypass", detail: "partition" })
    const partition = String(whose.value ?? "")

    // Look up
    const storage = yield* CacheStorage
    const depth = yield* handlers.depth
    const lookup: Lookup = { key, partition, variantOf: (vary) => Vary.variant(vary, view.fields, depth) }
    const found = yield* storages.read(storage, lookup)

    // May I answer without the handler?
    const requestTime = yield* Clock.currentTimeMillis
    const asks = policy.honorsRequest ? CacheControl.request(view.fields) : CacheControl.noRequestDirectives
    const reuse = found.item === undefined
      ? Reuse.forward(found.reason)
      : Reuse.decide(found.item, { ...asks, forOrigin: Preconditions.isForOrigin(view.fields) }, requestTime)
    if (reuse._tag === "Fresh") {
      const answer = serverResponse.fromItem(reuse.stored, reuse.age)
      const told = Storability.answerOf(reuse.stored, policy)
      return yield* respond(here, answer, told, { _tag: "Hit", ttl: reuse.ttl }, requestTime)
    }
    if (asks.onlyIfCached) return yield* Respondable.toResponse(new CacheMiss({ key, reason: reuse.reason, fence: "" }))

    // Run the handler
    const mayKeep = view.method === "GET" && !asks.noStore && found.fence !== undefined
    const asked = mayKeep ? serverRequest.without(request, Preconditions.clientCopy) : request
    const answered = yield* handlers.run(handler, asked, policy.expiry !== undefined)
    const { responseTime } = answered
    const answer = serverResponse.fromHandler(answered.response, view.method, policy, responseTime)
    if (answered.isFromBeneath) {
      const judge = { now: responseTime, isOrigin: false, isCache: false }
      const verdict = Preconditions.evaluateResponse(view.method, view.fields, answer, judge)
      return yield* handlers.sign(
        verdict === "proceed" ? answered.response : serverResponse.render(answer, view.method, verdict)
      )
    }

    // May I keep what it answered?
    const cookies = serverResponse.cookieLines(answer)
    const content = serverResponse.bytes(answer)
    const storability = Storability.decide({
      ...answered,
      method: view.method,
      request: view.fields,
      requestNoStore: asks.noStore,
      requestTime,
      partition,
      status: answer.status,
      response: answer.fields,
      setsCookies: policy.cookies === "refuse" && cookies.length > 0,
      bodyBytes: content?.byteLength
    }, policy)
    const keep = (kept: Storability.Kept, body: Uint8Array, fence: string) =>
      storages.write(storage, {
        ...kept,
        ...(found.item === undefined ? {} : { replaces: found.item.id }),
        id: randomUUID(),
        fence,
        key,
        partition,
        variant: lookup.variantOf(kept.vary),
        cookies: policy.cookies === "store" ? cookies : [],
        body: serverResponse.copy(body)
      }, lookup)
    const detail = storability._tag === "Refuse"
      ? storability.detail
      : content === undefined || found.fence === undefined
      ? "storage"
      : yield* keep(storability.kept, content, found.fence)
    if (detail === "pre-response-handler") yield* handlers.warnOfPreResponseHandler(handler, key)
    const outcome = { _tag: "Forwarded", reason: reuse.reason, stored: detail === undefined, detail } as const
    return yield* respond(here, answer, storability.answer, outcome, responseTime)
  })

interface Aside {
  readonly reason: CacheStatus.ForwardReason
  readonly detail?: CacheStatus.Detail
}

/** Requests that are not ours to answer. */
const passesBy = <R>({ policy, request, view }: Visit<R>): Effect.Effect<Aside | undefined> => {
  if (view.method !== "GET" && view.method !== "HEAD") return Effect.succeed({ reason: "method" })
  if (view.isAmbiguous || Either.getOrElse(Either.try(() => policy.bypass(request)), () => true)) {
    return Effect.succeed({ reason: "bypass" })
  }
  if (view.hasBody) return Effect.succeed({ reason: "bypass", detail: "body" })
  if (policy.enabled === undefined) return Effect.succeed(undefined)
  return Effect.map(
    orNone(policy.enabled),
    (isEnabled) => Option.contains(isEnabled, true) ? undefined : { reason: "bypass", detail: "disabled" }
  )
}

/** A policy that can't be asked never fails a request. */
const orNone = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, never, R> =>
  Effect.catchAllCause(Effect.asSome(effect), () => Effect.succeed(Option.none()))

/** The handler's response as it is, with a word on why. */
const pass = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  here: Visit<RP>,
  aside: Aside
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> =>
  Effect.flatMap(handlers.run(handler, here.request, false), ({ isFromBeneath, response }) => {
    if (isFromBeneath) return handlers.sign(response)
    const fields = Fields.from(Object.entries(response.headers))
    const outcome = { _tag: "Forwarded", stored: false, ...aside } as const
    if (aside.detail === "partition") report.tell(fields, here, { private: true, expires: false }, outcome)
    else report.tellStatus(fields, here, outcome)
    return handlers.sign(HttpServerResponse.setHeaders(response, fields))
  })

/** What does this client need of it? */
const respond = <R>(
  here: Visit<R>,
  answer: serverResponse.Answer,
  told: CacheControl.Answer,
  outcome: CacheStatus.Outcome,
  now: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { policy, view } = here
  const isHit = outcome._tag === "Hit"
  const isOrigin = policy.expiry !== undefined
  const verdict = Preconditions.evaluateResponse(view.method, view.fields, answer, {
    now,
    isOrigin: isOrigin && !isHit,
    isCache: isHit && !isOrigin
  })
  const status = outcome._tag === "Forwarded" && verdict !== "proceed" ? { status: answer.status } : {}
  report.tell(answer.fields, here, told, { ...outcome, ...status })
  return handlers.sign(serverResponse.render(answer, view.method, verdict))
}

const collecting =
  <RP>(policies: Policies<RP>, also: CollectOptions["also"]) =>
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
      const here = yield* visit(policies)
      const forget = (response: HttpServerResponse.HttpServerResponse) =>
        Effect.flatMap(
          toForget(here, response, also),
          Effect.forEach((key) => storages.forget(storage, key), { discard: true })
        )
      // Once the handler has succeeded nothing interrupts the collect, and the answer goes out after it. A handler that
      // was interrupted may have written before.
      const collects = Effect.uninterruptibleMask((restore) =>
        Effect.onExit(Effect.flatMap(restore(handler), Respondable.toResponse), (exit) => {
          if (exit._tag === "Success") return forget(exit.value)
          if (Cause.isInterrupted(exit.cause)) return forget(HttpServerResponse.empty())
          return Effect.flatMap(HttpServerError.causeResponse(exit.cause), ([response]) => forget(response))
        })
      )
      return yield* pass(collects, here, { reason: "method" })
    })

/** What must be forgotten? */
const toForget = <R>(
  { policy, request, view }: Visit<R>,
  response: HttpServerResponse.HttpServerResponse,
  also: CollectOptions["also"]
): Effect.Effect<ReadonlySet<CacheKey.CacheKey>> => {
  const targets = Invalidation.targets(view.method, view.target, response.status, response.headers)
  const listed = targets.length === 0 || also === undefined ?
    Effect.succeed([]) :
    Effect.try(() =>
      Array.from(also(request, response)).flatMap((uri) => resolve("withCollect: also", uri, view.target))
    )
  return listed.pipe(
    Effect.catchAll(({ error }) => Effect.as(Effect.logWarning(`effect-http-cache: ${error}`), [])),
    Effect.map((more) =>
      new Set([...targets, ...more].map((target) => CacheKey.make(target, policy.query, policy.version)))
    )
  )
}

/**
 * Caches a route: `handler.pipe(withCache({ expiry: 10 }))`. It goes innermost; authentication, `cors` and what else
 * must run for each request go outside it; a handler that answers by who is asking needs a `partition` then. With no
 * `expiry` the response's own fields decide. What it keeps is the response to the request, not a part of one.
 *
 * Only `GET` and `HEAD` are answered. A typed failure is not stored. Throws a `TypeError` when an option is wrong.
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
  collecting(routeOptions.resolve<never>("withCollect", { query: options.query }), options.also)

/**
 * `withCache` and `withCollect` in one, for a router or an app. A cache beneath it, around a single route, wins there.
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware = <RP = never>(
  options: routeOptions.Options<RP> = {}
): <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R | RP | CacheStorage | CollectableCacheStorage> => {
  const policies = routeOptions.resolve("HttpCache.middleware", options)
  const cache = cached(policies)
  const collect = collecting(policies, undefined)
  return (app) => cache(collect(app))
}

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
  const around = middleware(options)
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
