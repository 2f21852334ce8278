/** Caches that share a URI, and what of one user's never reaches another. The numbers are those of docs/failures.md. */
import { Headers, HttpLayerRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, TestClock } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import * as Http from "node:http"
import type { Socket } from "node:net"
import { type Ask, counted, isRunning, type Logged, logged, QuietServer, routes, serve, TestServer } from "./harness.js"

const Request = HttpServerRequest.HttpServerRequest

const text = (say: string, headers = {}) => Effect.sync(() => HttpServerResponse.text(say, { headers }))

const textOf = ({ body }: HttpServerResponse.HttpServerResponse): string =>
  body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""

describe("63: two caches at one URI", () => {
  const isAdmin = Effect.map(Request, ({ headers }) => headers["x-role"] === "admin")
  const page = (named: boolean) => {
    const as = (name: string) => withCache({ expiry: 10, ...(named ? { name } : {}) })
    return Effect.flatMap(
      isAdmin,
      (isAdmin) => isAdmin ? text("the salaries").pipe(as("admin")) : text("the news").pipe(as("everybody"))
    )
  }
  const router = (named: boolean) =>
    routes({
      "GET /page": page(named),
      "PATCH /page": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
    })
  const admin: Ask = { headers: { "x-role": "admin" } }

  it.scoped("with names, each keeps its own, and one collect forgets both", () =>
    Effect.gen(function*() {
      const ask = yield* serve(router(true))
      const seen = (ask: Effect.Effect<{ readonly text: string; readonly cacheStatus: string }>) =>
        Effect.map(ask, ({ cacheStatus, text }) => `${text}: ${cacheStatus}`)
      expect(yield* seen(ask("/page", admin))).toBe("the salaries: fwd=uri-miss; stored")
      expect(yield* seen(ask("/page"))).toBe("the news: fwd=vary-miss; stored")
      expect(yield* seen(ask("/page", admin))).toBe("the salaries: hit; ttl=10")
      expect(yield* seen(ask("/page"))).toBe("the news: hit; ttl=10")
      yield* ask("/page", { method: "PATCH" })
      expect(yield* seen(ask("/page"))).toBe("the news: fwd=uri-miss; stored")
      expect(yield* seen(ask("/page", admin))).toBe("the salaries: fwd=vary-miss; stored")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("without names, neither is given the other's, in whatever order, and that is told once", () =>
    Effect.gen(function*() {
      const log: Array<Logged> = []
      const ask = yield* Effect.provide(serve(router(false)), logged(log))
      for (
        const [asked, text] of [[admin, "the salaries"], [{}, "the news"], [{}, "the news"], [admin, "the salaries"]]
      ) {
        expect((yield* ask("/page", asked as Ask)).text).toBe(text)
      }
      expect((yield* ask("/page", admin)).cacheStatus).toBe("hit; ttl=10")
      const warnings = log.filter(({ message }) => message.includes("name"))
      expect(warnings.map(({ message }) => message)).toEqual([
        expect.stringContaining("give each a name of its own: withCache({ name: \"…\" })")
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a page of two cached parts is of both, named or not, one after the other or at once", () =>
    Effect.gen(function*() {
      const part = (say: string, name?: string) => text(say).pipe(withCache({ expiry: 10, ...name && { name } }))
      const joined = (parts: ReadonlyArray<ReturnType<typeof part>>, concurrency?: "unbounded") =>
        Effect.map(
          Effect.all(parts, { concurrency: concurrency ?? 1 }),
          (parts) => HttpServerResponse.text(parts.map(textOf).join(" "))
        )
      const ask = yield* serve(routes({
        "GET /named": joined([part("head", "head"), part("body", "body")]),
        "GET /unnamed": Effect.suspend(() => joined([part("head"), part("body")])),
        "GET /once": joined([part("head"), part("body")]),
        "GET /at-once": joined([part("head"), part("body")], "unbounded")
      }))
      for (const path of ["/named", "/unnamed", "/once", "/at-once"]) {
        for (const _ of [1, 2, 3]) expect([path, (yield* ask(path)).text]).toEqual([path, "head body"])
      }
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("concurrent requests of two caches don't wait for each other", () =>
    Effect.gen(function*() {
      const slow = (say: string) => Effect.delay(text(say), "1 second")
      const ask = yield* serve(Effect.flatMap(
        isAdmin,
        (isAdmin) =>
          isAdmin
            ? slow("the salaries").pipe(withCache({ expiry: 10 }))
            : slow("the news").pipe(withCache({ expiry: 10 }))
      ))
      const other = yield* ask.another
      const [one, two] = [yield* Effect.fork(ask("/", admin)), yield* Effect.fork(other("/"))]
      while (isRunning(one) || isRunning(two)) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        yield* TestClock.adjust("100 millis")
      }
      expect([(yield* Fiber.join(one)).text, (yield* Fiber.join(two)).text]).toEqual(["the salaries", "the news"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("an app that is built anew, in another order, gives each its own", () =>
    Effect.gen(function*() {
      const routesOf = (order: ReadonlyArray<string>, named: boolean) => {
        const cached = new Map(
          order.map((say) => [say, text(say).pipe(withCache({ expiry: 10, ...named && { name: say } }))])
        )
        return Effect.flatMap(Request, ({ headers }) => cached.get(headers["x-say"]!)!)
      }
      const ask = yield* serve(routes({
        "GET /named": Effect.flatMap(Request, ({ headers }) => routesOf(headers["x-order"]!.split("-"), true)),
        "GET /unnamed": Effect.flatMap(Request, ({ headers }) => routesOf([headers["x-say"]!], false))
      }))
      const said = (path: string, say: string, order: string) =>
        Effect.map(
          ask(path, { headers: { "x-say": say, "x-order": order } }),
          ({ cacheStatus, text }) => [text, cacheStatus.split(";")[0]]
        )
      expect(yield* said("/named", "a", "a-b")).toEqual(["a", "fwd=uri-miss"])
      expect(yield* said("/named", "b", "a-b")).toEqual(["b", "fwd=vary-miss"])
      expect(yield* said("/named", "a", "b-a")).toEqual(["a", "hit"])
      expect(yield* said("/named", "b", "b-a")).toEqual(["b", "hit"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("one that the platform puts around a handler, as a layer, is told from another", () =>
    Effect.gen(function*() {
      const layers = [
        HttpLayerRouter.middleware(withCache({ expiry: 10 }), { global: true }),
        HttpLayerRouter.middleware(withCache({ expiry: 10 }), { global: true })
      ] as const
      const app = (say: string, cache: (typeof layers)[number]) =>
        Effect.flatMap(Layer.makeMemoMap, (map) =>
          Effect.provideService(
            HttpLayerRouter.toHttpEffect(Layer.provide(HttpLayerRouter.add("GET", "/page", text(say)), cache)),
            Layer.CurrentMemoMap,
            map
          ))
      const admins = yield* app("the salaries", layers[0])
      const everybody = yield* app("the news", layers[1])
      const ask = yield* serve(Effect.flatMap(isAdmin, (isAdmin) => isAdmin ? admins : everybody))
      for (let times = 0; times < 2; times++) {
        expect((yield* ask("/page", admin)).text).toBe("the salaries")
        expect((yield* ask("/page")).text).toBe("the news")
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("one that is built for each request is one", () =>
    Effect.gen(function*() {
      let runs = 0
      const ask = yield* serve(routes({
        "GET /built": Effect.suspend(() =>
          Effect.sync(() => HttpServerResponse.text(`run ${++runs}`)).pipe(withCache({ expiry: 10 }))
        )
      }))
      yield* ask("/built")
      expect((yield* ask("/built")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))
})

describe("65: private in a browser", () => {
  class Session extends Context.Tag("Session")<Session, { readonly userId: string }>() {}
  const bySid = Effect.map(Request, ({ cookies }) => cookies["sid"])
  const byHeader = Effect.map(Request, ({ headers }) => headers["x-user"])
  const bySession = Effect.map(Session, ({ userId }) => userId)
  const session = Effect.provideServiceEffect(
    Session,
    Effect.map(Request, ({ cookies }) => ({ userId: cookies["sid"] ?? "" }))
  )

  it.scoped("what partition and handler read is in Vary; what can't be named is told no-cache", () =>
    Effect.gen(function*() {
      const readsCookie = Effect.zipRight(Effect.map(Request, ({ cookies }) => cookies["theme"]), counted())
      const ask = yield* serve(routes({
        "GET /cookie": counted().pipe(withCache({ expiry: 30, partition: bySid })),
        "GET /header": counted().pipe(withCache({ expiry: 30, partition: byHeader })),
        "GET /both": readsCookie.pipe(withCache({ expiry: 30, partition: byHeader })),
        "GET /session": counted().pipe(withCache({ expiry: 30, partition: bySession }), session),
        "GET /own": counted({ headers: { "cache-control": "private, max-age=5" } }).pipe(
          withCache({ expiry: 30, partition: bySession }),
          session
        )
      }))
      const told = (path: string) =>
        Effect.map(
          ask(path, { headers: { "cookie": "sid=ada; theme=dark", "x-user": "ada" } }),
          ({ headers }) => [headers["cache-control"], headers["vary"]]
        )
      for (const _ of ["miss", "hit"]) {
        expect(yield* told("/cookie")).toEqual(["private, max-age=30", "cookie"])
        expect(yield* told("/header")).toEqual(["private, max-age=30", "x-user"])
        expect(yield* told("/both")).toEqual(["private, max-age=30", "cookie, x-user"])
        expect(yield* told("/session")).toEqual(["private, no-cache", undefined])
        expect(yield* told("/own")).toEqual(["private, max-age=5", undefined])
      }
      const nobody = yield* ask("/cookie")
      expect([nobody.headers["cache-control"], nobody.headers["vary"]]).toEqual(["max-age=30", "cookie"])
    }).pipe(Effect.provide(TestServer)))
})

describe("66: a cache above is told of what is for one user", () => {
  const byUser = Effect.map(Request, ({ headers }) => headers["x-user"])
  const byTeam = Effect.map(Request, ({ headers }) => headers["x-team"])
  const greeting = Effect.map(Request, ({ headers }) => HttpServerResponse.text(`hello ${headers["x-user"]}`))
  // Without `expiry` and `unkeyed` nothing of what the handler reads is known.
  const ignoring = { expiry: 10, unkeyed: "ignore" } as const

  it.scoped.each<[
    string,
    HttpCache.Options<HttpServerRequest.HttpServerRequest>,
    HttpCache.Options<
      HttpServerRequest.HttpServerRequest
    >,
    Record<string, string>
  ]>([
    ["kept for a partition", { ...ignoring, partition: byUser }, ignoring, {}],
    ["kept for a partition of another one", { ...ignoring, partition: byUser }, { ...ignoring, partition: byTeam }, {}],
    ["refused as private", ignoring, ignoring, { "cache-control": "private" }],
    ["refused as private by an origin", {}, ignoring, { "cache-control": "private, max-age=10" }],
    ["refused for a cookie", ignoring, ignoring, { "set-cookie": "sid=1" }],
    ["not to be stored", ignoring, ignoring, { "cache-control": "no-store" }]
  ])("%s", ([, inner, outer, headers]) =>
    Effect.gen(function*() {
      const fragment = Effect.map(greeting, HttpServerResponse.setHeaders(headers)).pipe(withCache(inner))
      const page = Effect.map(fragment, (response) => HttpServerResponse.text(`page: ${textOf(response)}`))
      const ask = yield* serve(page.pipe(withCache(outer)))
      const as = (user: string) =>
        Effect.map(
          ask("/", { headers: { "x-user": user, "x-team": "red" } }),
          ({ headers, text }) => [text, /private|no-store/.test(headers["cache-control"] ?? "")]
        )
      for (const user of ["ada", "alan", "ada", "alan"]) {
        expect(yield* as(user)).toEqual([`page: hello ${user}`, true])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a page for the same partition is kept for it", () =>
    Effect.gen(function*() {
      const fragment = greeting.pipe(withCache({ ...ignoring, partition: byUser }))
      const page = Effect.map(fragment, (response) => HttpServerResponse.text(`page: ${textOf(response)}`))
      const ask = yield* serve(page.pipe(withCache({ ...ignoring, partition: byUser })))
      for (const status of ["fwd=uri-miss; stored", "hit; ttl=10"]) {
        for (const user of ["ada", "alan"]) {
          const reply = yield* ask("/", { headers: { "x-user": user } })
          expect([reply.text, reply.cacheStatus]).toEqual([`page: hello ${user}`, status])
        }
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("an empty body of one's own is not taken for that of the cache beneath", () =>
    Effect.gen(function*() {
      const beneath = Effect.succeed(HttpServerResponse.empty()).pipe(withCache({ expiry: 5 }))
      const ask = yield* serve(
        Effect.as(beneath, HttpServerResponse.empty({ headers: { "x-own": "1" } })).pipe(withCache({ expiry: 10 }))
      )
      yield* ask("/")
      const hit = yield* ask("/")
      expect([hit.headers["x-own"], hit.cacheStatus]).toEqual(["1", "hit; ttl=10"])
    }).pipe(Effect.provide(TestServer)))
})

describe("67, 69: the message and its connection", () => {
  it.scoped("67: a field that Connection nominates is absent for the key as for the handler", () =>
    Effect.gen(function*() {
      const language = Effect.map(
        Request,
        ({ headers }) =>
          HttpServerResponse.text(`in ${headers["accept-language"]}`, {
            headers: { "vary": "accept-language", "cache-control": "max-age=10" }
          })
      )
      const ask = yield* serve(routes({
        "GET /route": language.pipe(withCache({ expiry: 10 })),
        "GET /proxied": language.pipe(withCache())
      }))
      for (const path of ["/route", "/proxied"]) {
        const hop = { "accept-language": "fr", "connection": "Accept-Language" }
        expect((yield* ask(path, { headers: hop })).text).toBe("in undefined")
        expect((yield* ask(path, { headers: { "accept-language": "fr" } })).text).toBe("in fr")
        expect((yield* ask(path)).cacheStatus).toBe("hit; ttl=10")
      }
    }).pipe(Effect.provide(TestServer)))

  it.effect("69: a web Request whose URL differs from its Host is cached under origin", () =>
    Effect.gen(function*() {
      const app = counted().pipe(withCache({ expiry: 10 }))
      const ask = (defaults: HttpCache.DefaultOptions) =>
        Effect.scoped(app).pipe(
          Effect.provideService(
            Request,
            HttpServerRequest.fromWeb(
              new globalThis.Request("http://localhost:3000/x", { headers: { host: "shop.example" } })
            )
          ),
          Effect.provideService(HttpCache.Defaults, defaults),
          Effect.map(({ headers }) => headers["cache-status"]?.replace("effect-http-cache; ", ""))
        )
      expect(yield* ask({})).toBe("fwd=bypass")
      expect(yield* ask({ origin: "https://shop.example" })).toBe("fwd=uri-miss; stored")
      expect(yield* ask({ origin: "https://shop.example" })).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))

  const handshake = {
    "connection": "keep-alive, Upgrade",
    "upgrade": "foo, websocket",
    "sec-websocket-key": Buffer.alloc(16).toString("base64"),
    "sec-websocket-version": "13"
  }

  it.effect("69: an upgrade that Connection names passes by; h2c and an Upgrade that it does not name do not", () =>
    Effect.gen(function*() {
      const app = counted().pipe(HttpCache.middleware({ expiry: 10 }))
      const ask = (fields: Record<string, string>) => {
        const request = HttpServerRequest.fromWeb(new globalThis.Request("http://localhost/"))
        return Effect.scoped(app).pipe(
          Effect.provideService(Request, request.modify({ headers: Headers.fromInput(fields) })),
          Effect.map(({ headers }) => headers["cache-status"]?.replace("effect-http-cache; ", ""))
        )
      }
      yield* ask({})
      expect(yield* ask({ connection: "close, Upgrade", upgrade: "foo, websocket" })).toBe("fwd=bypass")
      expect(yield* ask({ connection: "Upgrade, HTTP2-Settings", upgrade: "h2c" })).toBe("hit; ttl=10")
      expect(yield* ask({ connection: "close", upgrade: "websocket" })).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("69: each WebSocket behind a cached router is opened, also where a page of that URI is stored", () =>
    Effect.gen(function*() {
      const opened = Effect.gen(function*() {
        const socket = yield* (yield* Request).upgrade
        yield* Effect.orDie(socket.run(() => Effect.void))
        return HttpServerResponse.empty()
      })
      const ask = yield* serve(
        routes({
          "GET /": Effect.flatMap(
            Request,
            ({ headers }) => headers["upgrade"] === undefined ? counted() : Effect.orDie(opened)
          )
        }).pipe(HttpCache.middleware({ expiry: 10 }))
      )
      yield* ask("/")
      const open = (): Effect.Effect<Socket> =>
        Effect.promise(() =>
          new Promise((resolve, reject) => {
            const headers = { ...handshake, upgrade: "websocket" }
            const request = Http.request({ port: ask.port, host: "127.0.0.1", headers })
            request.on("upgrade", (_, socket) => resolve(socket)).on("error", reject)
            request.on("response", ({ statusCode }) => reject(new Error(`answered ${statusCode}`))).end()
          })
        )
      const sockets = [yield* open(), yield* open()]
      for (const socket of sockets) socket.destroy()
      expect(sockets.length).toBe(2)
    }).pipe(Effect.provide(TestServer)))
})
