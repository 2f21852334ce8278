/** What tests need of the platform that differs between Effect 3 and Effect 4 and is more than a name. */
import {
  Headers,
  type HttpApi,
  HttpApiBuilder,
  type HttpApiGroup,
  HttpApiSwagger,
  HttpApp,
  HttpClientError,
  type HttpClientRequest,
  HttpLayerRouter,
  type HttpMiddleware,
  HttpRouter,
  type HttpServer,
  HttpServerError,
  type HttpServerRequest,
  type HttpServerRespondable,
  type HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import {
  Cause,
  type Context,
  Effect,
  Exit,
  type Fiber,
  Layer,
  Logger,
  Metric,
  MetricState,
  Random,
  type Scope,
  TestContext
} from "effect"

export type App<E = never, R = never> = HttpApp.Default<E, R>

type Handler = Effect.Effect<HttpServerRespondable.Respondable, unknown, unknown>

/**
 * A router of these routes in order, by method and path, such as `"GET /users/:id"`; the method `*` is any. More come as a
 * list.
 */
export const routes = <H extends Handler>(
  handlers: { readonly [methodAndPath: string]: H } | ReadonlyArray<readonly [methodAndPath: string, handler: H]>
): HttpRouter.HttpRouter<Effect.Effect.Error<H>, HttpRouter.HttpRouter.ExcludeProvided<Effect.Effect.Context<H>>> =>
  HttpRouter.fromIterable(
    (Array.isArray(handlers) ? handlers : Object.entries(handlers)).map(([methodAndPath, handler]) => {
      const [method, path] = methodAndPath.split(" ") as ["GET" | "*", `/${string}`]
      return HttpRouter.makeRoute(method, path, handler)
    })
  )

/** A router of an app, or of more routes, beneath each of these paths, and of routes of its own. */
export const mounted = <E, R, H extends Handler = Effect.Effect<never>>(
  apps: { readonly [path: `/${string}`]: App<E, R> | { readonly [methodAndPath: string]: H } },
  handlers: { readonly [methodAndPath: string]: H } = {}
) =>
  Object.entries(apps).reduce(
    (router, [path, app]) =>
      Effect.isEffect(app)
        ? HttpRouter.mountApp(router, path as `/${string}`, app)
        : HttpRouter.mount(router, path as `/${string}`, routes(app) as typeof router),
    routes(handlers) as HttpRouter.HttpRouter<
      E | Effect.Effect.Error<H>,
      HttpRouter.HttpRouter.ExcludeProvided<R | Effect.Effect.Context<H>>
    >
  )

/** The app of the router of an example. */
export const appOfRouter = <E, R>(router: HttpRouter.HttpRouter<E, R>) => Effect.succeed(router)

/** The app of an `HttpApi`, with a cache around all of it where there is one. */
export const appOfApi = <E, R, R2 = never>(
  api: Layer.Layer<HttpApi.Api, E, R>,
  cache?: Effect.Effect<(app: App) => App, never, R2>
) =>
  Effect.gen(function*() {
    const around = cache === undefined ? Layer.empty : HttpApiBuilder.middleware(cache as Effect.Effect<never>)
    const context = yield* Layer.build(
      Layer.provideMerge(
        Layer.merge(api, around),
        Layer.merge(HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer)
      )
    )
    return yield* Effect.provide(HttpApiBuilder.httpApp, context)
  })

/** An `HttpApi` that the platform could serve. */
export type ServedApi = Layer.Layer<HttpApi.Api>

/** What a handler of an `HttpApi` asks for, as the layer of its group requires it. */
export type Asked<R> = R

/** The apps of an `HttpApi` by the routers that there are, each with Swagger at `/docs`. */
export const appsOfApi = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R, E2, R2>(
  api: HttpApi.HttpApi<Id, Groups, E, R>,
  groups: Layer.Layer<HttpApiGroup.HttpApiGroup.ToService<Id, Groups>, E2, R2>
) => ({
  HttpRouter: appOfApi(
    Layer.provideMerge(HttpApiSwagger.layer(), Layer.provide(HttpApiBuilder.api(api), groups))
  ),
  HttpLayerRouter: HttpLayerRouter.toHttpEffect(Layer.mergeAll(
    HttpLayerRouter.addHttpApi(api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(groups)),
    HttpApiSwagger.layerHttpLayerRouter({ api, path: "/docs" })
  ))
})

/** Security of an `HttpApi` that lets everybody in. */
export const lettingIn = () => Effect.void

/** What a request to Node says of where it was sent to. */
export const originalUrlOf = (_: number, path: string): string => path

/** The exit code of `runMain` after a signal. */
export const codeOfSignal = 0

/** Answers this where a router has no route. */
export const otherwise = <E, R>(
  router: App<E | HttpServerError.RouteNotFound, R>,
  response: HttpServerResponse.HttpServerResponse
): App<Exclude<E, HttpServerError.RouteNotFound>, R> =>
  Effect.catchAll(router, (error) =>
    error instanceof HttpServerError.RouteNotFound
      ? Effect.succeed(response)
      : Effect.fail(error as Exclude<E, HttpServerError.RouteNotFound>))

/** A web handler with the services of the present fiber, its clock among them. */
export const webHandler = <E, R, R2 = never>(app: App<E, R>, middleware?: (app: App) => App<never, R2>) =>
  Effect.map(
    Effect.runtime<Exclude<R | R2, HttpServerRequest.HttpServerRequest | Scope.Scope>>(),
    (runtime) =>
      HttpApp.toWebHandlerRuntime(runtime)(
        app as HttpApp.Default<E>,
        middleware as unknown as HttpMiddleware.HttpMiddleware
      )
  )

/** What Node's server calls with each request, so that the app answers it. */
export const listenerOf = <E>(app: App<E>) => Effect.runSync(NodeHttpServer.makeHandler(app))

/** Where a server listens. */
export const portOf = ({ address }: Context.Tag.Service<typeof HttpServer.HttpServer>): number =>
  address._tag === "TcpAddress" ? address.port : 0

/** A fiber for each, and one that ends with what they answer. */
export const forkAll = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) => Effect.forkAll(effects)

/** Whether a fiber has not ended. */
export const isRunning = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean => fiber.unsafePoll() === null

/** Whether it has ended by an interruption. */
export const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean => Exit.isInterrupted(exit)

/** A clock that stands still until a test moves it. */
export const testClock = TestContext.TestContext

/** Spans are made, as they are wherever a tracer is provided. */
export const traced = Layer.empty

/** Lets a fiber yield after so many operations. */
export const yieldingAfter = (operations: number) => Effect.withMaxOpsBeforeYield(operations)

/** Makes this number the next of all random ones. */
export const byRandom = (number: number) => Effect.withRandom(Random.fixed([number]))

/** What a counter has counted, how often a histogram was told, or what a gauge is at, by its tags as `key=value`, sorted. */
export const countsOf = (name: string): Effect.Effect<{ readonly [tag: string]: number }> =>
  Effect.map(
    Metric.snapshot,
    (pairs) =>
      Object.fromEntries(pairs.flatMap(({ metricKey, metricState }) => {
        if (metricKey.name !== name) return []
        const number = MetricState.isGaugeState(metricState)
          ? metricState.value
          : (metricState as MetricState.MetricState.Counter<number> | MetricState.MetricState.Histogram).count
        return [[Array.from(metricKey.tags, ({ key, value }) => `${key}=${value}`).sort().join(), Number(number)]]
      }))
  )

export interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: { readonly [name: string]: unknown }
  readonly cause: string
}

/** Keeps what is logged from the console, and in a list. */
export const logged = (list: Pick<Array<Logged>, "push">) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, cause, logLevel, message }) => {
      list.push({
        level: logLevel.label,
        message: [message].flat().map(String).join(" "),
        annotations: Object.fromEntries(annotations),
        cause: Cause.pretty(cause, { renderErrorCause: true })
      })
    })
  )

/** The values of fields of these names are not shown. */
export const redacting = (names: ReadonlyArray<string | RegExp>) => Effect.locally(Headers.currentRedactedNames, names)

/** A request of a client that was not answered. */
export const noConnection = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", cause: new Error("no connection") }))

/** Why a client has failed, with the status of the response that it is of, or with what it says. */
export const troubleOf = (error: unknown): string =>
  error instanceof HttpClientError.ResponseError
    ? `${error.reason} ${error.response.status}`
    : error instanceof HttpClientError.RequestError
    ? error.description === undefined ? error.reason : `${error.reason}: ${error.description}`
    : String(error)
