/** Sends a request through an app as a dry run: the first cache that sees it says what it would do, and runs nothing. */
import * as HttpServerError from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as requests from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import type * as Scope from "effect/Scope"
import { Defaults } from "../CachePolicy.js"
import { handled } from "../engine/bypass.js"
import { ofNoRun } from "../engine/enclosing.js"
import { explain as explained, explainPassing, type Explanation } from "../engine/explain.js"
import type { Served } from "../engine/report.js"
import * as Explaining from "../protocol/Explaining.js"
import { catchCause, withFiber } from "../runtime/effect.js"
import { type App, preResponseHandlerOf, setPreResponseHandler } from "./platform.js"
import { CurrentWay, type Way } from "./way.js"

type Response = HttpServerResponse.HttpServerResponse

/** The way of a request that is explained: `tell` is given what the first cache says. */
const dryRun = (tell: (explanation: Explanation) => void): Way => {
  const told = (explanation: Explanation): Served<Response> => {
    tell(explanation)
    return { response: HttpServerResponse.empty(), outcome: undefined }
  }
  return {
    pass: (request, bypass) => Exit.succeed(told(explainPassing(request, bypass))),
    handle: (request) => Effect.map(explained(request), told)
  }
}

const ofNoCache = (uri: string, would: Pick<Explanation, "outcome" | "status" | "sentences">): Explanation => ({
  uri,
  key: undefined,
  cacheStatus: undefined,
  item: undefined,
  ...would
})

const requestOf = (given: Request | string, origin: string | undefined): Request => {
  if (typeof given !== "string") return given
  if (URL.canParse(given, origin)) return new Request(new URL(given, origin))
  throw new TypeError(
    `HttpCache.explain: ${
      JSON.stringify(given)
    } is no URL; give an absolute one such as "https://api.example.com/users/1", ` +
      `a path where HttpCache.Defaults has an origin, or a web Request`
  )
}

/**
 * What would happen to a request, and why: `HttpCache.explain(app, "http://localhost/users/1")`. A web `Request` has a method
 * and fields of its own. The request goes through `app` until the first cache sees it. That cache decides as for any other
 * request, and runs no handler, stores nothing and counts nothing; what other caches beneath it would do is not said.
 *
 * What stands before the cache runs: a router, authentication, logging. Where no cache stands before a handler of `GET`, that
 * handler runs too, as for any request. Other methods than `GET`, `HEAD` and `QUERY` are not sent through the app. It dies with
 * a `TypeError` where the text is no URL.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { Console, Effect } from "effect"
 * import { HttpCache, withCache } from "effect-http-cache"
 *
 * const app = HttpRouter.empty.pipe(HttpRouter.get("/hello", withCache(HttpServerResponse.text("hello"), { expiry: 10 })))
 * const program = Effect.flatMap(HttpCache.explain(app, "http://localhost/hello"), ({ sentences }) => Console.log(sentences))
 * ```
 *
 * @since 0.2.0
 * @category storage
 */
export const explain: {
  (request: Request | string): <E, R>(
    app: App<E, R>
  ) => Effect.Effect<Explanation, never, Exclude<R, HttpServerRequest | Scope.Scope>>
  <E, R>(
    app: App<E, R>,
    request: Request | string
  ): Effect.Effect<Explanation, never, Exclude<R, HttpServerRequest | Scope.Scope>>
} = dual(
  2,
  <E, R>(app: App<E, R>, given: Request | string) =>
    Effect.flatMap(Defaults, ({ origin }) => {
      const source = requestOf(given, origin)
      const uri = source.url
      if (!handled.has(source.method)) {
        return Effect.succeed(ofNoCache(uri, {
          outcome: { _tag: "Forwarded", reason: "method", stored: false },
          status: undefined,
          sentences: [`The handler is asked: ${Explaining.reasons.method}.`]
        }))
      }
      let explanation: Explanation | undefined
      const answered = catchCause(app, (cause) =>
        Effect.map(HttpServerError.causeResponse(cause), ([response]) => response))
      const alone = answered.pipe(
        Effect.provideService(HttpServerRequest, requests.fromWeb(source)),
        Effect.provideService(
          CurrentWay,
          dryRun((told) =>
            explanation ??= told
          )
        ),
        // Within a cached handler, too, it is a request of its own.
        ofNoRun,
        Effect.scoped
      )
      // The app's pre-response handlers must not change the caller's response.
      const apart = withFiber((_: Context.Context<unknown>, __, fiber) => {
        const before = preResponseHandlerOf(fiber)
        return Effect.ensuring(alone, Effect.suspend(() => setPreResponseHandler(fiber, before)))
      })
      return Effect.map(
        apart,
        ({ status }) =>
          explanation ?? ofNoCache(uri, { outcome: undefined, status, sentences: Explaining.noCache(status) })
      )
    })
)
