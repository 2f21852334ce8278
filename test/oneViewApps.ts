/** Random apps, whose handlers say exactly what they see of their request. */
import {
  Headers,
  type HttpApp,
  HttpMiddleware,
  HttpRouter,
  HttpServerRequest,
  HttpServerResponse,
  HttpTraceContext
} from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Context, Effect, Option, Schema, Stream } from "effect"
import { CachePolicy, type CacheStorage, type CollectableCacheStorage, HttpCache, withCache } from "effect-http-cache"
import type * as Http from "node:http"
import type { Dice } from "./simulation.js"

const Request = HttpServerRequest.HttpServerRequest
type Request = HttpServerRequest.HttpServerRequest
export type Storages = CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage
type Route = HttpRouter.HttpRouter.Provided
export type App = HttpApp.Default<never, Storages>
type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, never, Route | Storages>

/** What is read of a request, and the `Vary` of a handler that says so itself; `undefined` where none can. */
interface Door {
  readonly read: (request: Request) => Effect.Effect<unknown, never, Route>
  readonly vary: ReadonlyArray<string> | undefined
}

const door = (vary: Door["vary"], read: (request: Request) => unknown): Door => ({
  vary,
  read: (request) => Effect.sync(() => read(request))
})

const byEffect = (vary: Door["vary"], read: (request: Request) => Effect.Effect<unknown, unknown, Route>): Door => ({
  vary,
  read: (request) => Effect.orElseSucceed(read(request), () => "failed")
})

/** The readers of the platform that ask for the request themselves. */
const asService = (read: Effect.Effect<unknown, unknown, Route>) => (request: Request) =>
  Effect.provideService(read, Request, request)

const fields = [
  "x-a",
  "x-b",
  "accept",
  "accept-language",
  "accept-encoding",
  "cookie",
  "authorization",
  "x-tenant",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-for",
  "traceparent",
  "te",
  "upgrade",
  "connection",
  "keep-alive",
  "forwarded"
] as const

const Optional = Schema.optional(Schema.String)
const Strings = Schema.Record({ key: Schema.String, value: Schema.Union(Schema.String, Schema.Array(Schema.String)) })

const sourceOf = (request: Request): unknown => {
  const { source } = request
  if (source instanceof globalThis.Request) return [source.url, [...source.headers]]
  const { headers, headersDistinct, method, rawHeaders, url } = source as Http.IncomingMessage
  return [method, url, headers, rawHeaders, headersDistinct]
}

const doors: ReadonlyArray<Door> = [
  ...fields.map((name) => door([name], ({ headers }) => headers[name])),
  ...fields.map((name) => door([name], ({ headers }) => name in headers)),
  door(["host"], ({ headers }) => headers["host"]),
  door(["host"], ({ headers }) => Object.hasOwn(headers, "host")),
  door(["x-a"], ({ headers }) => Object.hasOwn(headers, "x-a")),
  door(["x-b"], ({ headers }) => Option.getOrNull(Headers.get(headers, "X-B"))),
  door(["x-a", "x-b"], ({ headers }) => headers["x-a"] === "1" ? headers["x-b"] : "unread"),
  door(
    ["accept-language", "cookie"],
    ({ cookies, headers }) => headers["accept-language"]?.startsWith("en") && cookies
  ),
  door(["x-a"], (request) => request.modify({ url: "/elsewhere" }).headers["x-a"]),
  door([], (request) => request.modify({ headers: Headers.empty }).originalUrl),
  door([], ({ url }) => url),
  door([], ({ originalUrl }) => originalUrl),
  door([], ({ method, url }) => [method, new URLSearchParams(url.split("?")[1]).get("q")]),
  // On the web it says all fields.
  door(undefined, String),
  door(undefined, ({ headers }) => ({ ...headers })),
  door(undefined, ({ headers }) => Object.keys(headers).sort()),
  door(undefined, (request) => JSON.stringify(request)),
  door(["cookie"], ({ cookies }) => cookies["sid"]),
  door(["cookie"], ({ cookies }) => ({ ...cookies })),
  door(undefined, ({ remoteAddress }) => Option.getOrNull(remoteAddress)),
  door(undefined, sourceOf),
  door(
    undefined,
    (request) => request.source instanceof globalThis.Request || NodeHttpServerRequest.toIncomingMessage(request).url
  ),
  door(["host", "x-forwarded-proto"], (request) => Option.map(HttpServerRequest.toURL(request), String)),
  door(
    ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid"],
    ({ headers }) => Option.map(HttpTraceContext.fromHeaders(headers), ({ traceId }) => traceId)
  ),
  byEffect(["x-a"], (request) =>
    Effect.promise(async () => {
      await Promise.resolve()
      return request.headers["x-a"]
    })),
  byEffect(
    ["x-a", "x-b"],
    asService(HttpServerRequest.schemaHeaders(Schema.Struct({ "x-a": Optional, "x-b": Optional })))
  ),
  byEffect(["cookie"], asService(HttpServerRequest.schemaCookies(Schema.Struct({ sid: Optional })))),
  byEffect([], asService(HttpServerRequest.schemaSearchParams(Strings))),
  byEffect([], asService(HttpRouter.schemaParams(Strings))),
  byEffect([], asService(HttpRouter.params)),
  byEffect(["x-b"], asService(HttpRouter.schemaNoBody(Schema.Struct({ headers: Schema.Struct({ "x-b": Optional }) })))),
  byEffect(
    undefined,
    (request) => Effect.map(HttpServerRequest.toWeb(request), ({ headers, url }) => [url, [...headers]])
  )
]

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Says in its body exactly what it saw of the request that it is given, in JSON. */
const seeing = (dice: Dice, ownVary: boolean) => {
  const through = [dice.one(doors), ...dice.some(doors, 3)]
  const names = through.flatMap(({ vary }) => vary ?? "*")
  const isSlow = dice.is(0.3)
  const isStream = dice.is(0.1)
  const told = !ownVary ? {} : { "vary": names.join(", "), "cache-control": "max-age=600" }
  return (request: Request): Handler => {
    const text = Effect.map(
      Effect.forEach(through, ({ read }) => read(request)),
      (seen) => JSON.stringify(seen, (_, value: unknown) => value === undefined ? "undefined" : value)
    )
    const response = isStream
      ? Effect.map(Effect.context<Route>(), (context) =>
        HttpServerResponse.stream(
          Stream.encodeText(Stream.fromEffect(text)).pipe(
            Stream.mapInputContext((own: Context.Context<never>) => Context.merge(context, own))
          ),
          { headers: told }
        ))
      : Effect.map(text, (text) => HttpServerResponse.text(text, { headers: told }))
    return isSlow ? Effect.zipRight(turn, response) : response
  }
}

/** All that says who is asking. */
const partition = Effect.map(Request, ({ headers }) => JSON.stringify([headers["cookie"], headers["authorization"]]))

const varying: ReadonlyArray<string | CachePolicy.VaryField> = [
  "X-A",
  "x-b",
  "Accept-Language",
  CachePolicy.acceptLanguage(["en", "fr"]),
  CachePolicy.acceptEncoding(["gzip"]),
  { field: "X-A", as: (value) => value?.startsWith("1") === true ? undefined : "another" },
  {
    field: "x-b",
    as: (value) => {
      if (value === "1") throw new Error("one")
      return value
    }
  }
]

const optionsOf = (dice: Dice): HttpCache.Options<HttpServerRequest.HttpServerRequest> => ({
  query: dice.one(["all", "all", "none", { only: ["q"] }, { except: ["utm"] }] as const),
  ...(dice.is(0.2) ? { vary: [dice.one(varying)] } : {}),
  ...(dice.is(0.2) ? { partition } : {}),
  ...(dice.is(0.1) ? { cacheControl: "public" } : {})
})

/** A handler with a cache around it, which gets its request in one of the ways there are. */
const leaf = (dice: Dice, ownVary: boolean): Handler => {
  const see = seeing(dice, ownVary)
  const options = optionsOf(dice)
  const around = withCache(
    ownVary ? options : { ...options, expiry: 600, unkeyed: dice.is(0.9) ? "vary" : "refuse" }
  )
  const bare = Effect.flatMap(Request, see)
  const ofError = HttpRouter.empty.pipe(Effect.catchTag("RouteNotFound", ({ request }) => see(request)))
  return dice.one<() => Handler>([
    () => around(bare),
    () => around(bare),
    () => bare,
    () => Effect.flatMap(Request, (request) => around(see(request))),
    () => around(Effect.flatMap(Request, (request) => around(see(request)))),
    () => around(ofError)
  ])()
}

type Middleware = (app: App) => App

/** `isInside` a cache that goes by the response's own `Vary`. */
const changing = (isInside: boolean, change: (request: Request) => Request): Middleware => (app) =>
  Effect.flatMap(Request, (request) => Effect.provideService(app, Request, change(request))).pipe(
    Effect.map((response) =>
      isInside
        ? HttpServerResponse.setHeader(
          response,
          "vary",
          `${response.headers["vary"] ?? "accept"}, x-tenant, x-forwarded-host, x-forwarded-for`
        )
        : response
    )
  )

const middlewares = (isInside: boolean): ReadonlyArray<Middleware> => [
  changing(isInside, (request) => {
    const tenant = request.headers["x-tenant"]
    return tenant === undefined ? request : request.modify({ url: `/${tenant}${request.url}` })
  }),
  changing(
    isInside,
    (request) =>
      request.headers["x-tenant"] === "ada" ? request.modify({ url: request.url.replace("/m", "") }) : request
  ),
  changing(
    isInside,
    (request) => request.modify({ headers: Headers.set(request.headers, "x-b", request.headers["x-tenant"] ?? "") })
  ),
  changing(isInside, (request) => request.modify({ remoteAddress: request.headers["x-forwarded-for"] ?? "unknown" })),
  (app) => isInside ? app : HttpMiddleware.xForwardedHeaders(app)
]

const lost = HttpServerResponse.text("no such page", { status: 404 })

/** Routes within mounts, with caches and with what changes requests at any depth. */
export const appOf = (dice: Dice): App => {
  const ownVary = dice.is(0.3)
  const routes = () =>
    HttpRouter.empty.pipe(
      HttpRouter.get("/", leaf(dice, ownVary)),
      HttpRouter.get("/a", leaf(dice, ownVary)),
      HttpRouter.get("/b/:id", leaf(dice, ownVary)),
      HttpRouter.get("/:tenant/a", leaf(dice, ownVary))
    )
  const around = (chance: number) => (app: App): App => {
    const changed = dice.is(0.3) ? dice.one(middlewares(ownVary))(app) : app
    if (!dice.is(chance)) return changed
    const options = optionsOf(dice)
    return HttpCache.middleware(ownVary ? options : { ...options, expiry: 600 })(changed)
  }
  const found = (router: HttpRouter.HttpRouter<never, Storages>): App =>
    Effect.catchTag(router, "RouteNotFound", () => Effect.succeed(lost))
  const inner = HttpRouter.empty.pipe(HttpRouter.mount("/n", routes()))
  const router = routes().pipe(
    HttpRouter.mountApp("/m", around(0.3)(found(inner.pipe(HttpRouter.mountApp("/o", around(0.3)(found(routes()))))))),
    HttpRouter.mountApp("/p", around(0.3)(found(routes())), { includePrefix: true })
  )
  const app = around(0.4)(found(router))
  const outside = dice.is(0.4) ? dice.one(middlewares(false))(app) : app
  return dice.is(0.2)
    ? Effect.provideService(outside, HttpCache.Defaults, { origin: "https://shop.example" })
    : outside
}
