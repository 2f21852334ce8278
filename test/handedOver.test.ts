/** Requests that somebody was handed before the cache saw them, and reads while it runs the handler, over a real port. */
import { HttpApp, HttpLayerRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Queue, Stream, TestClock } from "effect"
import { type CacheStorage, HttpCache, withCache } from "effect-http-cache"
import { Readable } from "node:stream"
import { setFlagsFromString } from "node:v8"
import { runInThisContext } from "node:vm"
import { bytes, mounted, QuietServer, routes, send, serve } from "./harness.js"

const Request = HttpServerRequest.HttpServerRequest
type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse
type App = Effect.Effect<Response, unknown, Request | CacheStorage.CacheStorage>

const { text } = HttpServerResponse
const around = withCache({ expiry: 10 })

const userOf = (request: Request): string => `for ${request.cookies["sid"] ?? "nobody"}`
const pageOf = (request: Request) => text(userOf(request))
const contentOf = ({ body }: Response): string => body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""

/** A service of a middleware around the cache, which looks at its request when it is asked. */
class Session extends Context.Tag("Session")<Session, { readonly user: () => string }>() {}
const dashboard = Effect.map(Session, ({ user }) => text(user()))
const withSession = <E, R>(app: Effect.Effect<Response, E, R | Session>) =>
  Effect.flatMap(Request, (request) => Effect.provideService(app, Session, { user: () => userOf(request) }))

/** What two clients are answered at the same URI. A stream that reads after its head has gone out breaks off. */
const answersOf = (app: App, asking: { readonly method?: string; readonly body?: string } = {}) =>
  Effect.gen(function*() {
    const ask = yield* serve(app)
    const as = (user: string) =>
      ask("/m/me", {
        ...asking,
        headers: {
          cookie: `sid=${user}`,
          ...(asking.body === undefined
            ? {}
            : { "content-type": "text/plain", "content-length": `${asking.body.length}` })
        }
      }).pipe(Effect.map((answer) => answer.text), Effect.catchAllDefect(() => Effect.succeed("broke off")))
    return [yield* as("ada"), yield* as("alan"), yield* as("alan")]
  }).pipe(Effect.provide(QuietServer))

const own = ["for ada", "for alan", "for alan"]

const handed = (handler: (request: Request) => Effect.Effect<Response, never, Request>): App =>
  Effect.flatMap(Request, (request) => around(handler(request)))

describe("109: a copy of the request, as it was handed out", () => {
  it.scoped.each<[string, App]>([
    ["before a mount", withSession(mounted({ "/m": { "GET /me": around(dashboard) } })) as App],
    ["before a mounted app", withSession(mounted({ "/m": around(dashboard) })) as App],
    [
      "before a middleware put a copy in its place",
      withSession(
        Effect.flatMap(
          Request,
          (request) => Effect.provideService(around(dashboard), Request, request.modify({ headers: request.headers }))
        )
      ) as App
    ],
    [
      "after it was put in the place of the original",
      Effect.flatMap(Request, (request) => {
        const copy = request.modify({ headers: request.headers })
        return around(Effect.sync(() => pageOf(copy)))
      })
    ],
    [
      "in a cached handler",
      around(Effect.flatMap(Request, (request) =>
        Effect.provideService(
          withCache({ expiry: 10, name: "part" })(Effect.sync(() => pageOf(request))),
          Request,
          request.modify({ url: "/m/part" })
        )))
    ]
  ])("%s is read by the run", ([, app]) =>
    Effect.gen(function*() {
      expect(yield* answersOf(app)).toEqual(own)
    }))

  it.scoped("before a router beneath a prefix is read by the run", () =>
    Effect.gen(function*() {
      const session = HttpLayerRouter.middleware(withSession as never, { global: true }) as unknown as Layer.Layer<
        never
      >
      const route = HttpLayerRouter.use((router) => router.prefixed("/m").add("GET", "/me", around(dashboard) as never))
      const app = yield* HttpLayerRouter.toHttpEffect(Layer.mergeAll(route, session))
      expect(yield* answersOf(app as unknown as App)).toEqual(own)
    }))

  it.scoped("shows no part of a query that the key leaves out", () =>
    Effect.gen(function*() {
      const page = withCache({ expiry: 10, query: { only: ["page"] } })
      const ask = yield* serve(
        Effect.flatMap(Request, (request) => mounted({ "/m": page(Effect.sync(() => text(request.url))) }))
      )
      yield* ask("/m/first")
      yield* ask("/m/me?page=1&utm=evil")
      const { cacheStatus, text: shown } = yield* ask("/m/me?page=1")
      expect([shown, cacheStatus]).toEqual([expect.not.stringContaining("evil"), expect.stringContaining("hit")])
    }).pipe(Effect.provide(QuietServer)))
})

setFlagsFromString("--allow-natives-syntax")
const isQuick = runInThisContext("(object) => %HasFastProperties(object)") as (object: object) => boolean

/** Whether an object stays quick that loses its latest property, as with Node 20: newer ones make a dictionary of it. */
const staysQuick = () => {
  const object: { one?: number } = {}
  object.one = 1
  delete object.one
  return isQuick(object)
}

describe("109: a request that Node's adapter has made", () => {
  it.scoped.skipIf(!staysQuick())(
    "is no dictionary once it has been handed over, with a V8 that takes back properties",
    () =>
      Effect.gen(function*() {
        const app = handed((request) => Effect.sync(() => text(`${isQuick(request)} ${userOf(request)}`)))
        expect(yield* answersOf(app)).toEqual(own.map((answer) => `true ${answer}`))
      })
  )
})

describe("109: a request that is an object of somebody's own", () => {
  it.scoped("is recorded, and nothing is changed that other objects have", () =>
    Effect.gen(function*() {
      const app = Effect.flatMap(Request, (request) => {
        const { cookies, headers, method, originalUrl, remoteAddress, source, url } = request
        const modify: Request["modify"] = (options) => request.modify(options)
        const own = { cookies, headers, method, originalUrl, remoteAddress, source, url, modify } as Request
        return Effect.provideService(around(Effect.sync(() => pageOf(own))), Request, own)
      })
      expect(yield* answersOf(app)).toEqual(own)
      expect("modify" in {}).toBe(false)
    }))
})

describe("109: a request that was handed out is read", () => {
  it.scoped.each<[string, App]>([
    [
      "in a promise that runs an effect",
      handed((request) =>
        Effect.map(Effect.promise(() => Effect.runPromise(Effect.sync(() => userOf(request)))), (user) => text(user))
      )
    ],
    [
      "in an effect that is run within the handler",
      handed((request) => Effect.sync(() => text(Effect.runSync(Effect.sync(() => userOf(request))))))
    ],
    [
      "where a handler asks for an error that names it",
      around(Effect.map(Request, (request) => {
        const { onError } = request as unknown as {
          readonly onError: (cause: unknown) => { readonly request: Request }
        }
        return pageOf(onError("x").request)
      }))
    ]
  ])("%s", ([, app]) =>
    Effect.gen(function*() {
      expect(yield* answersOf(app)).toEqual(own)
    }))

  it.scoped("by the worker of a service", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<readonly [Request, Deferred.Deferred<string>]>()
      const work = Effect.flatMap(Queue.take(queue), ([request, done]) => Deferred.succeed(done, userOf(request)))
      yield* Effect.forkScoped(Effect.forever(work))
      const app = handed((request) =>
        Effect.gen(function*() {
          const done = yield* Deferred.make<string>()
          yield* Queue.offer(queue, [request, done])
          return text(yield* Deferred.await(done))
        })
      )
      expect(yield* answersOf(app)).toEqual(own)
    }))

  it.scoped("in a promise of one of two cached parts that run at once", () =>
    Effect.gen(function*() {
      const part = (name: string, content: Effect.Effect<string>) =>
        Effect.map(content, (content) => text(content)).pipe(withCache({ expiry: 10, name }))
      const app = Effect.flatMap(Request, (request) => {
        const later = new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
        return Effect.map(
          Effect.all([
            part("a", Effect.promise(() => new Promise((resolve) => setImmediate(() => resolve(userOf(request)))))),
            part("b", Effect.as(Effect.promise(() => later), ""))
          ], { concurrency: 2 }),
          ([a, b]) => text(contentOf(a) + contentOf(b))
        )
      })
      expect(yield* answersOf(app)).toEqual(own)
    }))

  it.scoped.each<[string, (request: Request) => unknown]>([
    ["of Node", (request) =>
      Readable.from((async function*() {
        yield userOf(request)
      })())],
    ["of the web", (request) =>
      new ReadableStream({
        pull: (controller) => {
          controller.enqueue(bytes(userOf(request)))
          controller.close()
        }
      }, { highWaterMark: 0 })]
  ])("by a raw body %s that is still made", ([, bodyOf]) =>
    Effect.gen(function*() {
      const app = routes({
        "GET /m/me": handed((request) => Effect.succeed(HttpServerResponse.raw(bodyOf(request))))
      })
      expect(yield* answersOf(app)).toEqual(["broke off", "for alan", "for alan"])
    }))

  it.scoped("by a handler of QUERY", () =>
    Effect.gen(function*() {
      const app = handed((request) => Effect.sync(() => pageOf(request)))
      expect(yield* answersOf(app, { method: "QUERY", body: "x=1" })).toEqual(own)
    }))

  it.scoped("in a refresh, where it is nobody's", () =>
    Effect.gen(function*() {
      let runs = 0
      const route = HttpLayerRouter.add("GET", "/", (request) =>
        Effect.sync(() =>
          text(`${++runs} in ${request.headers["accept-language"]}`)
        ).pipe(
          withCache({ expiry: 10, staleWhileRevalidate: 100 })
        ))
      const ask = yield* serve(yield* HttpLayerRouter.toHttpEffect(route))
      const as = (language: string) =>
        Effect.map(ask("/", { headers: { "accept-language": language } }), ({ text }) =>
          text)
      expect(yield* as("fr")).toBe("1 in fr")
      yield* TestClock.adjust("11 seconds")
      expect(yield* as("fr")).toBe("1 in fr")
      expect(yield* as("de")).toContain("in de")
      expect(yield* as("fr")).toContain("in fr")
    }).pipe(Effect.provide(QuietServer)))
})

describe("110: what a POST answers is not kept for GET", () => {
  it.scoped.each<[string, HttpCache.Options]>([
    ["where reads are refused", { unkeyed: "refuse" }],
    ["where reads are added to Vary", { unkeyed: "vary" }],
    ["where the route is public", { cacheControl: "public" }]
  ])("%s, since what it reads is not recorded", ([, options]) =>
    Effect.gen(function*() {
      const app = Effect.map(Request, (request) =>
        text(userOf(request), { headers: { "cache-control": "max-age=60", "content-location": request.url } }))
      const ask = yield* serve(HttpCache.middleware(options)(app))
      yield* ask("/", { method: "POST", headers: { cookie: "sid=ada" } })
      expect((yield* ask("/", { headers: { cookie: "sid=alan" } })).text).toBe("for alan")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("where something is to change the response on its way out", () =>
    Effect.gen(function*() {
      const change = HttpApp.appendPreResponseHandler((_, response) =>
        Effect.succeed(HttpServerResponse.setHeader(response, "x-frame-options", "DENY"))
      )
      const fields = { "cache-control": "max-age=60", "content-location": "/" }
      const ask = yield* serve(HttpCache.middleware()(Effect.as(change, text("page", { headers: fields }))))
      yield* ask("/", { method: "POST" })
      const { cacheStatus, headers } = yield* ask("/")
      expect([headers["x-frame-options"], cacheStatus]).toEqual(["DENY", expect.stringContaining("fwd=uri-miss")])
    }).pipe(Effect.provide(QuietServer)))
})

describe("149: what a POST answers is not kept for GET where its handler was shown more than the key has", () => {
  const host = "shop.example"
  const requests: ReadonlyArray<readonly [string, string, string, HttpCache.Options]> = [
    ["another host than the target names", `http://${host}/p`, "Host: evil.example", {}],
    ["a fragment", "/p#evil", `Host: ${host}`, {}],
    ["a parameter that is left out of the key", "/p?evil", `Host: ${host}`, { query: "none" }],
    ["a field of this hop", "/p", `Host: ${host}\r\nX-User: evil\r\nConnection: x-user`, {}],
    ["a request that the route leaves alone", "/p", `Host: ${host}`, { bypass: ({ method }) => method === "POST" }]
  ]

  it.scoped.each(requests)("%s", ([, target, fields, options]) =>
    Effect.gen(function*() {
      const app = Effect.map(Request, ({ headers, method, url }) => {
        const location = url.replace(/#.*/, "")
        const kept = { "cache-control": "max-age=60", "content-location": location, "vary": "x-user" }
        return text(`${method} ${headers["host"]} ${url} ${headers["x-user"]}`, { headers: kept })
      })
      const ask = yield* serve(HttpCache.middleware(options)(app))
      const end = "Content-Length: 0\r\n\r\n"
      const closing = fields.includes("Connection") ? `${fields}, close` : `${fields}\r\nConnection: close`
      expect(yield* send(ask.port, `POST ${target} HTTP/1.1\r\n${closing}\r\n${end}`)).toContain("POST ")
      const reply = yield* ask("/p", { headers: { host } })
      // With Effect 4 a handler is shown the host that the target names: what it answers may be kept.
      if (target.startsWith("http")) expect(reply.text).toMatch(new RegExp(`^(GET|POST) ${host} /p undefined$`))
      else expect(reply.text).toBe(`GET ${host} /p undefined`)
    }).pipe(Effect.provide(QuietServer)))
})

class User extends Context.Tag("User")<User, string>() {}

describe("111: a streamed page", () => {
  it.scoped("breaks off where a part of it is for one user, and is private from then on", () =>
    Effect.gen(function*() {
      const part = Effect.map(User, (user) => text(user)).pipe(
        withCache({ expiry: 60, name: "part", partition: User })
      )
      const page = Effect.map(Effect.context<User | Request | CacheStorage.CacheStorage>(), (context) => {
        const rest = Effect.map(part, (response) => bytes(contentOf(response)))
        const stream = Stream.concat(Stream.make(bytes("for ")), Stream.fromEffect(rest))
        return HttpServerResponse.stream(Stream.provideContext(stream, context))
      }).pipe(withCache({ expiry: 60, name: "page" }))
      const app = Effect.flatMap(Request, ({ headers }) =>
        Effect.provideService(page, User, headers["x-user"] ?? "nobody"))
      const ask = yield* serve(app)
      const answers = yield* Effect.forEach(["ada", "alan", "alan"], (user) =>
        ask("/", { headers: { "x-user": user } }).pipe(
          Effect.map(({ text }) =>
            text
          ),
          Effect.catchAllDefect(() =>
            Effect.succeed("broke off")
          )
        ))
      expect(answers).toEqual(["broke off", "for alan", "for alan"])
    }).pipe(Effect.provide(QuietServer)))
})
