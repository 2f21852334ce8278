/** What tests need of the platform that differs between Effect 3 and Effect 4 and is more than a name. */
import {
  HttpApp,
  HttpRouter,
  type HttpServer,
  HttpServerError,
  type HttpServerRequest,
  type HttpServerRespondable,
  type HttpServerResponse
} from "@effect/platform"
import { type Context, Effect, Logger, type Scope } from "effect"

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

/** A router of an app beneath each of these paths. */
export const mounted = <E, R>(apps: { readonly [path: `/${string}`]: App<E, R> }) =>
  Object.entries(apps).reduce(
    (router, [path, app]) => HttpRouter.mountApp(router, path as `/${string}`, app),
    HttpRouter.empty as HttpRouter.HttpRouter<E, HttpRouter.HttpRouter.ExcludeProvided<R>>
  )

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
export const webHandler = <E, R>(app: App<E, R>) =>
  Effect.map(
    Effect.runtime<Exclude<R, HttpServerRequest.HttpServerRequest | Scope.Scope>>(),
    (runtime) => HttpApp.toWebHandlerRuntime(runtime)(app as HttpApp.Default<E>)
  )

/** Where a server listens. */
export const portOf = ({ address }: Context.Tag.Service<typeof HttpServer.HttpServer>): number =>
  address._tag === "TcpAddress" ? address.port : 0

export interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: { readonly [name: string]: unknown }
}

/** Keeps what is logged from the console, and in a list. */
export const logged = (list: Array<Logged>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) => {
      list.push({ level: logLevel.label, message: String(message), annotations: Object.fromEntries(annotations) })
    })
  )
