/** Puts a cache around a handler of the platform's server. */
import { causeResponse } from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Defaults } from "../CachePolicy.js"
import { CacheStorage } from "../CacheStorage.js"
import { CollectableCacheStorage, type CollectStyle } from "../CollectableCacheStorage.js"
import { bypassOf, pass } from "../engine/bypass.js"
import { callSite } from "../engine/callSite.js"
import * as invalidate from "../engine/invalidate.js"
import { resolve } from "../engine/operations.js"
import { report, type Served } from "../engine/report.js"
import * as requests from "../engine/request.js"
import { groupsOf, listFrom } from "../policy/checks.js"
import type { Policies } from "../policy/policy.js"
import * as Fields from "../protocol/Fields.js"
import * as Invalidation from "../protocol/Invalidation.js"
import { isInterrupted, step, withFiber } from "../runtime/effect.js"
import { tell } from "./lane.js"
import { ServerOrigin } from "./origin.js"
import { type App, isWithinTransaction, type Respondable, toResponse } from "./platform.js"
import { sign } from "./response.js"
import { isSentByNode, sendAtOnce } from "./send.js"
import { type Way, wayOf } from "./way.js"

type Response = HttpServerResponse.HttpServerResponse

type Request<E, R> = requests.CacheRequest<Response, E, R>

/** Where a cache was made. `isPlaced`: the platform puts it around the handler, so no other place in the program is known. */
interface MadeAt {
  readonly made: () => string
  readonly isPlaced: boolean
}

/** A cache around a handler. */
export const cached = <RP>(
  policies: Policies<RP>,
  { isPlaced, made }: MadeAt = { made: callSite(policies), isPlaced: false }
) =>
<A extends Respondable, E, R>(
  handler: Effect.Effect<A, E, R>
): App<E, R | RP | CacheStorage> => {
  const placed = isPlaced ? made : callSite(handler)
  let site: string | undefined
  const cache = () => site ??= placed() || made()
  return withFiber((context, clock, caller) => {
    const native = Context.unsafeGet(context, HttpServerRequest)
    const request = arrived<A, E, R | RP>(handler, policies as Policies<R | RP>, context, clock, cache)
    const way = wayOf(context)
    return step(bypassOf(request), (bypass) => {
      // Once the request has been handed over, it takes longer to look. One that is upgraded has no response yet.
      const isSentAtOnce = bypass === undefined && request.above.depth < 0 && isSentByNode(native)
      const answering = bypass === undefined ? identified(request, way) : way.pass(request, bypass)
      return step(answering, (answered) => {
        tell(native, request, answered, caller)
        report(request, answered.outcome)
        const signed = sign(answered.response, request.above, native, isAsAsked(request, answered))
        return isSentAtOnce ? sendAtOnce(caller, signed) : Exit.succeed(signed)
      })
    })
  })
}

/** The answer follows this client's own directives: the `504` of only-if-cached, or a stale hit of max-stale. */
const isAsAsked = <E, R>({ asks }: Request<E, R>, { outcome }: Served<Response>): boolean =>
  outcome?._tag === "NotCached" || (outcome?._tag === "Hit" && outcome.ttl <= 0 && asks.maxStale !== undefined)

/** The request that the fiber answers, as the engine has it. */
const arrived = <A extends Respondable, E, R>(
  handler: Effect.Effect<A, E, R>,
  policies: Policies<R>,
  context: Context.Context<never>,
  clock: Clock.Clock,
  cache: () => string,
  given: object = handler
): Request<E, R> => {
  const request = Context.unsafeGet(context, HttpServerRequest)
  const policy = policies(Context.get(context, Defaults))
  const origin = new ServerOrigin<A, E, R>(handler, request, policy, context, clock, undefined, given)
  const asked = new requests.CacheRequest(origin, policy, cache, context, clock)
  // What a transaction reads may be out of date or rolled back, and another request's run may wait for the transaction to end.
  return isWithinTransaction(context)
    ? requests.change(asked, { asks: { ...asked.asks, noCache: true, noStore: true } })
    : asked
}

/** Answers the request, once it is known what it asks by and for whom. */
const identified = <E, R>(request: Request<E, R>, way: Way): Effect.Effect<Served<Response>, E, R> => {
  if (request.view.method === "QUERY") {
    return Effect.flatMap(request.origin.readContent, (read) =>
      read === undefined
        ? way.pass(request, { reason: "bypass", detail: "body" })
        : forWhom(
          requests.change(request, {
            origin: read.origin,
            selection: requests.selectionWith(request, read.content)
          }),
          way
        ))
  }
  return request.policy.isPartitioned ? forWhom(request, way) : way.handle(request)
}

const forWhom = <E, R>(request: Request<E, R>, way: Way): Effect.Effect<Served<Response>, E, R> =>
  Effect.flatMap(request.origin.identify, (identity) =>
    identity === undefined
      ? way.pass(request, { reason: "bypass", detail: "partition" })
      : way.handle(requests.change(request, { identity })))

const orLogged = <A>(evaluate: () => ReadonlyArray<A>): Effect.Effect<ReadonlyArray<A>> =>
  Effect.catchAll(
    Effect.try({ try: evaluate, catch: (error) => error }),
    (error) => Effect.as(Effect.logWarning(`effect-http-cache: ${error}`), [])
  )

/** Reads the names that `also` or `groups` gives. What fails is logged, one by one, and the rest is collected. */
const readEach = <A>(
  option: "also" | "groups",
  names: () => Iterable<string>,
  read: (name: string) => ReadonlyArray<A>
): Effect.Effect<ReadonlyArray<A>> =>
  orLogged(() => listFrom(`withCollect: ${option}`, option === "also" ? "URIs" : option, names())).pipe(
    Effect.flatMap(Effect.forEach((name) => orLogged(() => read(name)))),
    Effect.map((lists) => lists.flat())
  )

const twoStorages =
  "withCollect: CacheStorage and CollectableCacheStorage are two storages, so that nothing would be collected; " +
  "provide both from one layer, such as InMemoryCacheStorage.layerCollectable"

type NamesOf = ((request: HttpServerRequest, response: Response) => Iterable<string>) | undefined

/** What is collected beside the target, and how. */
export interface Collects extends CollectStyle {
  /** URIs, such as those of the list pages that show what was changed. */
  readonly also?: NamesOf
  readonly groups?: NamesOf
}

/**
 * `tells`: it writes `Cache-Status`, since no cache around it does. `hasWritten`: whether a handler that fails has written.
 * One that is interrupted may have, and one whose answer can't be made a response has.
 */
export const collecting =
  <RP>(policies: Policies<RP>, { also, groups, soft }: Collects, tells: boolean, hasWritten = () => false) =>
  <A extends Respondable, E, R>(
    handler: Effect.Effect<A, E, R>
  ): App<E, R | CacheStorage | CollectableCacheStorage> =>
    withFiber((context, clock) => {
      const storage = Context.unsafeGet(context, CollectableCacheStorage)
      if (storage !== Context.unsafeGet(context, CacheStorage)) return Effect.die(new Error(twoStorages))
      let hasAnswered = false
      const answering = Effect.flatMap(handler, (answer) => {
        hasAnswered = true
        return toResponse(answer)
      })
      const native = Context.unsafeGet(context, HttpServerRequest)
      if (Invalidation.isSafe(native.method)) return answering
      // A collect never runs the `partition` of a route, which is all that needs RP.
      const plain = policies as unknown as Policies<R>
      const asked = arrived<Response, E, R>(answering, plain, context, clock, () => "", handler)
      const changed = (response: Response): invalidate.Changed => {
        const named = (names: NamesOf) => names === undefined ? [] : names(native, response)
        const { view: { target } } = asked
        return {
          status: response.status,
          fields: Fields.texts(response.headers),
          more: Effect.all({
            targets: readEach("also", () => named(also), (uri) => resolve("withCollect: also", uri, target)),
            groups: readEach("groups", () => named(groups), (group) => groupsOf("withCollect: groups", [group]))
          })
        }
      }
      const collects = invalidate.collecting(answering, asked, storage, {
        changed,
        changedBy: (cause) =>
          hasAnswered || hasWritten() || isInterrupted(cause)
            ? Effect.succeed(changed(HttpServerResponse.empty()))
            : Effect.map(causeResponse(cause), ([response]) => changed(response)),
        style: { soft }
      })
      if (!tells) return collects
      const passing = arrived<Response, E, R>(collects, plain, context, clock, () => "", handler)
      return Effect.map(
        pass(passing, { reason: "method" }),
        ({ outcome, response }) => {
          report(passing, outcome)
          return sign(response, passing.above, native)
        }
      )
    })
