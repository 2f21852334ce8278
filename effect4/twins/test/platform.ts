/** The twin of `test/platform.ts` for Effect 4. */
import {
  Cause,
  Effect,
  Exit,
  type Fiber,
  type FileSystem,
  Layer,
  Logger,
  Metric,
  type Path,
  Random,
  References,
  Scope,
  Tracer
} from "effect"
import { type HttpApi, HttpApiBuilder, type HttpApiGroup, HttpApiSwagger } from "effect/http-api"
import {
  type Etag,
  Headers,
  HttpClientError,
  type HttpClientRequest,
  HttpEffect,
  type HttpPlatform,
  HttpRouter,
  type HttpServer,
  HttpServerError,
  type HttpServerRequest,
  type HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { TestClock } from "effect/testing"
import { NodeHttpServer } from "@effect/platform-node"

type Response = HttpServerResponse.HttpServerResponse

export type App<E = never, R = never> = Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest>

type Handler = Effect.Effect<Response | HttpServerRespondable.Respondable, unknown, unknown>

/** A router is made in one step. */
const router = <E, R>(
  make: (router: HttpRouter.HttpRouter) => ReadonlyArray<Effect.Effect<void, never, never>>
): App<E | HttpServerError.HttpServerError, R> =>
  Effect.runSync(
    Effect.flatMap(HttpRouter.make, (router) => Effect.as(Effect.all(make(router)), router.asHttpEffect()))
  ) as never

type Handlers<H> =
  | { readonly [methodAndPath: string]: H }
  | ReadonlyArray<readonly [methodAndPath: string, handler: H]>

const adding = <H extends Handler>(router: HttpRouter.HttpRouter, handlers: Handlers<H>) =>
  (Array.isArray(handlers) ? handlers : Object.entries(handlers)).map(([methodAndPath, handler]) => {
    const [method, path] = methodAndPath.split(" ") as ["GET" | "*", `/${string}`]
    return router.add(method, path, handler)
  })

export const routes = <H extends Handler>(handlers: Handlers<H>) =>
  router<Effect.Error<H>, Exclude<Effect.Services<H>, HttpRouter.Provided>>((router) => adding(router, handlers))

export const mounted = <E, R, H extends Handler = Effect.Effect<never>>(
  apps: { readonly [path: `/${string}`]: App<E, R> | { readonly [methodAndPath: string]: H } },
  handlers: { readonly [methodAndPath: string]: H } = {}
) =>
  router<E | Effect.Error<H>, Exclude<R | Effect.Services<H>, HttpRouter.Provided>>((router) =>
    [
      ...adding(router, handlers),
      ...Object.entries(apps).flatMap(([path, app]) =>
        Effect.isEffect(app) ? [router.prefixed(path).add("*", "/*", app)] : adding(router.prefixed(path), app)
      )
    ] as never
  )

/** A layer. */
export const appOfRouter = HttpRouter.toHttpEffect

export const appOfApi = <E, R, R2 = never>(
  api: Layer.Layer<never, E, R>,
  cache?: Effect.Effect<(app: App) => App, never, R2>
) =>
  HttpRouter.toHttpEffect(
    cache === undefined ? api : Layer.provide(api, HttpRouter.middleware(cache as never, { global: true }) as never)
  )

export type ServedApi = Layer.Layer<
  never,
  never,
  Etag.Generator | FileSystem.FileSystem | HttpPlatform.HttpPlatform | HttpRouter.HttpRouter | Path.Path
>

export type Asked<R> = HttpRouter.Request.From<"Requires", R>

/** There is one router, which `HttpLayerRouter` was. */
export const appsOfApi = <Id extends string, Groups extends HttpApiGroup.Constraint, E, R>(
  api: HttpApi.HttpApi<Id, Groups>,
  groups: Layer.Layer<HttpApiGroup.ToService<Id, Groups>, E, R>
) => ({
  HttpLayerRouter: HttpRouter.toHttpEffect(Layer.mergeAll(
    HttpApiBuilder.layer(api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(groups)),
    HttpApiSwagger.layer(api, { path: "/docs" })
  ))
})

/** It is around the endpoint. */
export const lettingIn = <A>(endpoint: A): A => endpoint

export const originalUrlOf = (port: number, path: string): string => `http://127.0.0.1:${port}${path}`

export const codeOfSignal = 130

export const otherwise = <E, R>(
  router: App<E | HttpServerError.HttpServerError, R>,
  response: Response
): App<Exclude<E, HttpServerError.HttpServerError>, R> =>
  Effect.catch(router, (error) =>
    HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"
      ? Effect.succeed(response)
      : Effect.fail(error as Exclude<E, HttpServerError.HttpServerError>))

export const webHandler = <E, R, R2 = never>(app: App<E, R>, middleware?: (app: App) => App<never, R2>) =>
  Effect.map(
    Effect.context<Exclude<R | R2, HttpServerRequest.HttpServerRequest | Scope.Scope>>(),
    (context) => HttpEffect.toWebHandlerWith(context)(app as Effect.Effect<Response, E>, middleware as never)
  )

/** The server starts fibers in a scope. */
export const listenerOf = <E>(app: App<E>) =>
  Effect.runSync(Effect.flatMap(Scope.make(), (scope) => NodeHttpServer.makeHandler(app, { scope })))

export const portOf = ({ address }: HttpServer.HttpServer["Service"]): number => "port" in address ? address.port : 0

export const forkAll = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.forkChild(Effect.all(effects, { concurrency: "unbounded" }))

export const isRunning = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() === undefined

export const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean => Exit.hasInterrupts(exit)

export const testClock = TestClock.layer()

/** Effect 4 makes no spans where nobody has provided a tracer. */
export const traced = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))

export const yieldingAfter = (operations: number) => Effect.provideService(References.MaxOpsBeforeYield, operations)

export const byRandom = (number: number) =>
  Effect.provideService(Random.Random, { nextIntUnsafe: () => number, nextDoubleUnsafe: () => number })

export const countsOf = (name: string): Effect.Effect<{ readonly [tag: string]: number }> =>
  Effect.map(
    Metric.snapshot,
    (snapshots) =>
      Object.fromEntries(snapshots.flatMap((snapshot) => {
        if (snapshot.id !== name) return []
        const number = snapshot.type === "Gauge" ? snapshot.state.value : (snapshot.state as { count: number }).count
        const tags = Object.entries(snapshot.attributes ?? {}).map((tag) => tag.join("=")).sort()
        return [[tags.join(), Number(number)]]
      }))
  )

export interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: { readonly [name: string]: unknown }
  readonly cause: string
}

export const logged = (list: Pick<Array<Logged>, "push">) =>
  Logger.layer([
    Logger.make(({ cause, fiber, logLevel, message }) => {
      list.push({
        level: logLevel.toUpperCase(),
        message: [message].flat().map(String).join(" "),
        annotations: fiber.getRef(References.CurrentLogAnnotations),
        cause: `${Cause.pretty(cause)}\n${String((Cause.squash(cause) as Error | undefined)?.stack)}`
      })
    })
  ])

export const redacting = (names: ReadonlyArray<string | RegExp>) =>
  Effect.provideService(Headers.CurrentRedactedNames, names)

export const noConnection = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.fail(
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.TransportError({ request, cause: new Error("no connection") })
    })
  )

export const troubleOf = (error: unknown): string => {
  if (!HttpClientError.isHttpClientError(error)) return String(error)
  const { reason } = error
  const name = reason._tag.replace(/Error$/, "")
  if ("response" in reason) return `${name} ${reason.response.status}`
  return reason.description === undefined ? name : `${name}: ${reason.description}`
}
