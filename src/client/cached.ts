/** Puts the engine around a client. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { CacheStorage } from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { type Bypass, bypassOf, pass } from "../engine/bypass.js"
import { handle } from "../engine/handle.js"
import * as invalidate from "../engine/invalidate.js"
import { gatewayTimeout } from "../engine/respond.js"
import { report, type Served } from "../engine/report.js"
import * as requests from "../engine/request.js"
import type { Policy } from "../policy/policy.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Invalidation from "../protocol/Invalidation.js"
import { step, withFiber } from "../runtime/effect.js"
import { CurrentMode, meanings, type Mode } from "./modes.js"
import { changedBy, type Client, ClientOrigin } from "./origin.js"
import { type ClientError, failed, partsOf, redirectedTo } from "./platform.js"
import { arrived } from "./request.js"
import { contentOf } from "./response.js"

type Response = HttpClientResponse

interface Request<E, R> extends requests.CacheRequest<Response, E, R> {
  readonly origin: ClientOrigin<E, R>
}

/** The client with a cache around what it sends: what is done to requests before, such as adding credentials, has been done. */
export const cached = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  policy: Policy,
  storage: CollectableCacheStorage.Service
): HttpClient.HttpClient.With<E | ClientError, R> => {
  const { postprocess, preprocess } = partsOf(client)
  const beneath: Client<E, R> = { policy, send: (request) => postprocess(Effect.succeed(request)) }
  const services = Context.make(CacheStorage, storage) as Context.Context<never>
  const execute = (given: HttpClientRequest.HttpClientRequest): Effect.Effect<Response, E | ClientError, R> =>
    withFiber((context: Context.Context<R>, clock) => {
      const mode = Context.get(context as Context.Context<never>, CurrentMode)
      const asked = askedOf(beneath, given, mode, services, clock)
      // The client beneath says what is wrong with its URL.
      if (asked === undefined) return beneath.send(given)
      const request = Invalidation.isSafe(asked.view.method) ? asked : collecting(asked, storage, given)
      return step(bypassOf(request), (bypass) => {
        const passing = bypass ?? byAsking(request, mode)
        if (passing === undefined) return answered(request, given)
        return mode === "only-if-cached"
          ? Exit.succeed(gatewayTimeout(request))
          : Effect.map(pass(request, passing), ({ outcome, response }) => {
            report(request, outcome)
            return response
          })
      })
    })
  return HttpClient.makeWith((request) => Effect.flatMap(request, execute), preprocess)
}

/** The request as the engine has it; `undefined` where its URL is none. */
const askedOf = <E, R>(
  client: Client<E, R>,
  given: HttpClientRequest.HttpClientRequest,
  mode: Mode,
  services: Context.Context<never>,
  clock: Clock.Clock
): Request<E, R> | undefined => {
  const { asks, fields } = meanings[mode]
  // The platform knows a request, and no copy of it, by the scope that `withScope` gives it.
  const sent = mode === "default" ? given : HttpClientRequest.setHeaders(given, Fields.merged(fields, given.headers))
  const own = arrived(sent, client.policy.shared)
  if (own === undefined) return undefined
  const origin = new ClientOrigin(client, own, clock, mode === "reload")
  const request = new requests.CacheRequest(origin, client.policy, () => "", services, clock)
  return { ...requests.change(request, { asks: { ...request.asks, ...asks }, identity: origin.identity }), origin }
}

/** Why a request that the cache could answer passes by. */
const byAsking = <E, R>({ view }: Request<E, R>, mode: Mode): Bypass | undefined =>
  mode === "no-store"
    ? { reason: "bypass" }
    : view.method === "QUERY"
    ? { reason: "bypass", detail: "body" }
    : undefined

/** What an unsafe method has changed is forgotten before its response is there (RFC 9111 §4.4). */
const collecting = <E, R>(
  request: Request<E, R>,
  storage: CollectableCacheStorage.Service,
  given: HttpClientRequest.HttpClientRequest
): Request<E, R> => ({
  ...request,
  origin: request.origin.with((sent) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        invalidate.collecting(restore(sent), request, storage, {
          changed: (response) => ({
            status: response.status,
            fields: response.headers,
            more: Effect.sync(() => ({ targets: changedElsewhere(request, given, response), groups: [] }))
          }),
          changedBy: (cause) => Effect.succeed({ ...changedBy(cause), more: invalidate.nothing }),
          style: {}
        }),
        // Who has left meanwhile reads nothing of it.
        (response) => Effect.onInterrupt(restore(Effect.succeed(response)), () => contentOf(response).close)
      )
    )
  )
})

/** A redirection that is followed beneath, such as a `307`, leads to another URI, which was changed too. */
const changedElsewhere = <E, R>(
  { view }: Request<E, R>,
  given: HttpClientRequest.HttpClientRequest,
  response: Response
): ReadonlyArray<CacheKey.Target> => {
  const url = redirectedTo(response, given)
  return url === undefined
    ? []
    : Invalidation.targets(view.method, CacheKey.target(url, view.target.origin), response.status, response.headers)
}

/** What runs for several requests has the scope of none of them. */
const answered = <E, R>(
  request: Request<E, R>,
  given: HttpClientRequest.HttpClientRequest
): Effect.Effect<Response, E | ClientError, R> =>
  Effect.flatMap(
    Effect.mapInputContext(
      handle(request),
      (context: Context.Context<R>) =>
        Context.omit(Scope.Scope)(context as Context.Context<R | Scope.Scope>) as Context.Context<R>
    ),
    (answered) => {
      report(request, answered.outcome)
      return isAnswered(answered) ? Effect.succeed(answered.response) : Effect.fail(unanswered(given, answered))
    }
  )

/** What an origin has answered has a date: an error without one is the engine's word for a request that was not answered. */
const isAnswered = ({ outcome, response: { headers, status } }: Served<Response>): boolean =>
  outcome?._tag !== "Forwarded" || outcome.status !== status || headers["date"] !== undefined

const unanswered = (
  request: HttpClientRequest.HttpClientRequest,
  { response: { status } }: Served<Response>
): ClientError =>
  failed(
    request,
    status === 504
      ? "it took too long"
      : status === 503
      ? "what it waited for was unavailable, or the storage of the cache has closed"
      : `the request for the same that it waited for came to ${status}; the log has the cause`
  )
