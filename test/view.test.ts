/** One view of the request: key, variant and handler are made of the same value. The numbers are those of docs/failures.md. */
import {
  HttpLayerRouter,
  HttpMiddleware,
  HttpRouter,
  type HttpServerError,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import { router as quickstart, services } from "../examples/quickstart.js"
import { type App, appOfRouter, counted, mounted, otherwise, routes, send, serve, TestServer } from "./harness.js"

type Request = HttpServerRequest.HttpServerRequest
const Request = HttpServerRequest.HttpServerRequest

const saying = (say: (request: Request) => unknown) =>
  Effect.map(Request, (request) => HttpServerResponse.text(String(say(request))))

const notFound = HttpServerResponse.text("no such page", { status: 404 })

/** What `node:http` won't send: a head as it stands. */
const raw = (port: number, head: string): Effect.Effect<string> => send(port, `${head}\r\nConnection: close\r\n\r\n`)

describe("60: what the key makes equal, the handler sees equal", () => {
  const users = routes({
    "GET /": Effect.succeed(HttpServerResponse.text("home")),
    "GET /users/:id": Effect.map(HttpRouter.params, ({ id }) => HttpServerResponse.text(`user ${id}`))
  })
  const answering = <R>(router: App<HttpServerError.RouteNotFound, R>) =>
    otherwise(router, notFound).pipe(HttpCache.middleware({ expiry: 10 }))

  it.scoped("a target in absolute form is answered as the path that it names", () =>
    Effect.gen(function*() {
      const apps = {
        plain: answering(users),
        mounted: answering(mounted({ "/api": users })),
        origin: answering(users).pipe(
          Effect.provideService(HttpCache.Defaults, { origin: "https://shop.example" })
        )
      }
      for (const [name, app] of Object.entries(apps)) {
        yield* Effect.gen(function*() {
          const ask = yield* serve(app)
          const base = name === "mounted" ? "/api" : ""
          const host = name === "origin" ? "elsewhere.example" : "shop.example"
          for (
            const [target, path, text] of [
              [`HTTP://shop.example${base}/users/1`, `${base}/users/1`, "user 1"],
              [`https://SHOP.example:80${base}/users/2`, `${base}/users/2`, "user 2"],
              [`http://shop.example${base}/users/3#x`, `${base}/users/3`, "user 3"],
              ["http://shop.example", "/", name === "mounted" ? "no such page" : "home"],
              ["http://shop.example?a", "/?a", name === "mounted" ? "no such page" : "home"]
            ] as const
          ) {
            expect([
              name,
              target,
              (yield* raw(ask.port, `GET ${target} HTTP/1.1\r\nHost: ${host}`)).split("\r\n\r\n")[1]
            ])
              .toEqual([name, target, text])
            const victim = yield* ask(path, { headers: { host: "shop.example" } })
            expect([name, path, victim.text]).toEqual([name, path, text])
          }
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(TestServer)))
      }
    }))

  it.scoped("the scheme is that of the connection, whatever the target says", () =>
    Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
      yield* raw(ask.port, "GET https://shop.example/ HTTP/1.1\r\nHost: shop.example")
      expect((yield* ask("/", { headers: { host: "shop.example" } })).text).toBe("run 1")
      const ftp = yield* raw(ask.port, "GET ftp://shop.example/ HTTP/1.1\r\nHost: shop.example")
      expect(ftp).toContain("fwd=bypass")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a host is shown lower-case and without the default port", () =>
    Effect.gen(function*() {
      const tenants: { readonly [host: string]: string } = { "shop.example": "the shop" }
      const ask = yield* serve(routes({
        "GET /tenant": saying((r) => tenants[r.headers["host"]!] ?? "nobody").pipe(withCache({ expiry: 10 })),
        "GET /link": saying((r) => `https://${r.headers["host"]}`).pipe(withCache({ expiry: 10 }))
      }))
      const as = (host: string, path: string) => Effect.map(ask(path, { headers: { host } }), ({ text }) => text)
      for (const host of ["SHOP.example", "shop.example:80", "Shop.Example:80", "shop.example"]) {
        expect([yield* as(host, "/tenant"), yield* as(host, "/link")]).toEqual(["the shop", "https://shop.example"])
      }
      expect(yield* as("shop.example:8080", "/link")).toBe("https://shop.example:8080")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("the host that is shown is the one that the key has, wherever that came from", () =>
    Effect.gen(function*() {
      const app = saying(({ headers }) => `host ${headers["host"] ?? "unsaid"}`).pipe(withCache({ expiry: 10 }))
      const ask = yield* serve(app)
      const heads = {
        nominated: ["GET /nominated HTTP/1.1\r\nHost: Shop.example\r\nConnection: Host", "shop.example"],
        targeted: ["GET http://SHOP.example:80/targeted HTTP/1.0", "shop.example"],
        empty: ["GET /empty HTTP/1.1\r\nHost:", ""],
        absent: ["GET /absent HTTP/1.0", ""]
      } as const
      for (const [name, [head, host]] of Object.entries(heads)) {
        const text = `host ${host || "unsaid"}`
        expect([name, (yield* raw(ask.port, head)).split("\r\n\r\n")[1]]).toEqual([name, text])
        const plain = yield* raw(ask.port, `GET /${name} HTTP/1.1\r\nHost: ${host}`)
        expect([name, plain.split("\r\n\r\n")[1]]).toEqual([name, text])
        expect(plain).toContain("hit; ttl=10")
      }
      const web = (headers: Record<string, string>) =>
        Effect.scoped(app).pipe(
          Effect.provideService(
            Request,
            HttpServerRequest.fromWeb(new globalThis.Request("http://shop.example/web", { headers }))
          ),
          Effect.flatMap((response) => Effect.promise(() => HttpServerResponse.toWeb(response).text()))
        )
      expect([yield* web({}), yield* web({ host: "shop.example" })]).toEqual(["host shop.example", "host shop.example"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each([",fr", " , FR", "FR", "fr;q=1", "en;q=0.5, fr", "\tfr"])(
    "the quickstart's greeting in French is French, also where %j was asked for before",
    (odd) =>
      Effect.gen(function*() {
        const ask = yield* serve(yield* appOfRouter(quickstart))
        const greeting = (list: string) =>
          Effect.map(ask("/greeting", { headers: { "accept-language": list } }), ({ text }) => text)
        expect(yield* greeting(odd)).toBe("Bonjour\n")
        expect(yield* greeting("fr")).toBe("Bonjour\n")
      }).pipe(Effect.provide(Layer.merge(TestServer, services)))
  )

  it.scoped("a handler is shown the one spelling of a field that selects, or its response is not stored", () =>
    Effect.gen(function*() {
      const second = saying((r) => (r.headers["x-list"] ?? "").split(",")[1])
      const ask = yield* serve(routes({
        "GET /named": second.pipe(withCache({ expiry: 10, vary: ["X-List"] })),
        "GET /read": second.pipe(withCache({ expiry: 10 })),
        "GET /answered": Effect.map(
          second,
          HttpServerResponse.setHeaders({ vary: "x-list", "cache-control": "max-age=10" })
        ).pipe(
          withCache()
        )
      }))
      for (const path of ["/named", "/read", "/answered"]) {
        yield* ask(path, { headers: { "x-list": "a,beta" } })
        const plain = yield* ask(path, { headers: { "x-list": "a, beta" } })
        expect([path, plain.text]).toEqual([path, " beta"])
        const odd = yield* ask(path, { headers: { "x-list": "a,beta" } })
        expect([path, odd.text, odd.cacheStatus]).toEqual([path, " beta", "hit; ttl=10"])
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("61: a URL that is rewritten outside the cache selects", () => {
  const rewriting = (to: (request: Request) => string) =>
    HttpMiddleware.make((app) =>
      Effect.flatMap(
        Request,
        (request) => Effect.provideService(app, Request, request.modify({ url: to(request) }))
      )
    )

  it.scoped("each tenant gets a page of its own, and one collect forgets them all", () =>
    Effect.gen(function*() {
      const pages = routes({
        "GET /:tenant/page": Effect.map(HttpRouter.params, ({ tenant }) => HttpServerResponse.text(`of ${tenant}`)),
        "GET /page": Effect.succeed(HttpServerResponse.text("of nobody")),
        "PATCH /page": HttpServerResponse.empty()
      }).pipe(
        HttpCache.middleware({ expiry: 10 }),
        rewriting(({ headers, method, url }) =>
          method === "GET" && headers["x-tenant"] !== undefined ? `/${headers["x-tenant"]}${url}` : url
        )
      )
      const ask = yield* serve(pages)
      const as = (tenant?: string) =>
        Effect.map(
          ask("/page", { headers: tenant === undefined ? {} : { "x-tenant": tenant } }),
          ({ cacheStatus, text }) => [text, cacheStatus.split(";")[0]]
        )
      for (const status of ["fwd=vary-miss", "hit"]) {
        for (const tenant of ["ada", "alan", undefined]) {
          const [text, told] = yield* as(tenant)
          expect([text, told]).toEqual([`of ${tenant ?? "nobody"}`, told === "fwd=uri-miss" ? told : status])
        }
      }
      yield* ask("/page", { method: "PATCH" })
      expect((yield* as("ada"))[1]).toBe("fwd=uri-miss")
      expect((yield* as())[1]).toBe("fwd=vary-miss")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a rewrite that looks like a mount selects too", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        saying(({ url }) => url === "/paid/report" ? "the paid report" : "the free one").pipe(
          withCache({ expiry: 10 }),
          rewriting(({ headers, url }) => headers["cookie"] === "paid=1" ? url : url.replace("/paid", ""))
        )
      )
      expect((yield* ask("/paid/report", { headers: { cookie: "paid=1" } })).text).toBe("the paid report")
      expect((yield* ask("/paid/report")).text).toBe("the free one")
      expect((yield* ask("/paid/report")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a mount stays as it is: it is found and collected by its URI", () =>
    Effect.gen(function*() {
      const inner = routes({
        "GET /users/:id": counted().pipe(withCache({ expiry: 10 })),
        "PATCH /users/:id": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      })
      const seen = Effect.map(
        HttpCache.lookup("/api/v1/users/1"),
        ({ body }) => HttpServerResponse.text(new TextDecoder().decode(body))
      )
      const app = mounted({ "/api": mounted({ "/v1": inner }), "/inside": routes({ "GET /seen": seen }) })
      const ask = yield* serve(app)
      expect((yield* ask("/api/v1/users/1")).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* ask("/api/v1/users/1")).cacheStatus).toBe("hit; ttl=10")
      expect((yield* ask("/inside/seen")).text).toBe("run 1")
      yield* ask("/api/v1/users/1", { method: "PATCH" })
      expect((yield* ask("/api/v1/users/1")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))
})

describe("62: a request that was handed out before the cache saw it", () => {
  const user = (request: Request) => HttpServerResponse.text(`for ${request.cookies["sid"] ?? "nobody"}`)
  const say = (request: Request) => request.originalUrl.endsWith("/me") ? user(request) : language(request)
  const language = (request: Request) => HttpServerResponse.text(`in ${request.headers["accept-language"]}`)

  const around = withCache({ expiry: 10 })
  const handedOut = (handler: (request: Request) => Effect.Effect<HttpServerResponse.HttpServerResponse>) =>
    Effect.flatMap(Request, (request) => handler(request).pipe(around))
  const plainly = handedOut((request) => Effect.sync(() => say(request)))

  const apps: ReadonlyArray<[string, typeof plainly]> = [
    ["by Effect.flatMap", plainly],
    ["within a mount", Effect.orDie(mounted({ "/": plainly }))],
    ["beneath another cache", withCache({ expiry: 10 })(plainly)],
    [
      "and read in a promise",
      handedOut((request) =>
        Effect.promise(async () => {
          await Promise.resolve()
          return say(request)
        })
      )
    ],
    [
      "and read in another fiber",
      handedOut((request) => Effect.flatMap(Effect.fork(Effect.sync(() => say(request))), Fiber.join))
    ],
    ["and copied by modify", handedOut((request) => Effect.sync(() => say(request.modify({ url: "/x" }))))]
  ]

  it.scoped.each(apps)("%s", ([, app]) =>
    Effect.gen(function*() {
      const ask = yield* serve(app)
      const as = (sid: string) => Effect.map(ask("/me", { headers: { cookie: `sid=${sid}` } }), ({ text }) => text)
      expect([yield* as("ada"), yield* as("alan")]).toEqual(["for ada", "for alan"])
      const inLanguage = (language: string) => ask("/l", { headers: { "accept-language": language } })
      expect([(yield* inLanguage(" ,FR")).text, (yield* inLanguage("de")).text]).toEqual(["in fr", "in de"])
      const french = yield* inLanguage("fr")
      expect([french.text, french.cacheStatus, french.headers["vary"]]).toEqual([
        "in fr",
        "hit; ttl=10",
        "accept-language"
      ])
    }).pipe(Effect.provide(TestServer)))

  const byError = (read: (request: Request) => Effect.Effect<unknown, unknown>) =>
    Effect.flatMap(Request, (request) => Effect.flip(read(request))).pipe(
      Effect.map((error) => user((error as HttpServerError.RequestError).request)),
      Effect.orDie,
      withCache({ expiry: 10 })
    )

  it.scoped("in the error of a request that asks for no upgrade", () =>
    Effect.gen(function*() {
      const ask = yield* serve(byError(({ upgrade }) => upgrade))
      const as = (sid: string) => Effect.map(ask("/", { headers: { cookie: `sid=${sid}` } }), ({ text }) => text)
      expect([yield* as("ada"), yield* as("alan")]).toEqual(["for ada", "for alan"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, (request: Request) => Effect.Effect<unknown, unknown>]>([
    ["json", ({ json }) => json],
    ["stream", ({ stream }) => Stream.runDrain(stream)],
    ["upgrade", ({ upgrade }) => upgrade]
  ])("in the error of a web request without content: %s", ([, read]) =>
    Effect.gen(function*() {
      const app = byError(read)
      const as = (sid: string) =>
        app.pipe(
          Effect.provideService(
            Request,
            HttpServerRequest.fromWeb(
              new globalThis.Request("http://a.example/", { headers: { cookie: `sid=${sid}` } })
            )
          ),
          Effect.flatMap((response) => Effect.promise(() => HttpServerResponse.toWeb(response).text()))
        )
      expect([yield* as("ada"), yield* as("alan")]).toEqual(["for ada", "for alan"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("by HttpLayerRouter", () =>
    Effect.gen(function*() {
      const routes = Layer.mergeAll(
        HttpLayerRouter.add(
          "GET",
          "/me",
          (request) => Effect.sync(() => user(request)).pipe(withCache({ expiry: 10 }))
        ),
        HttpLayerRouter.add(
          "GET",
          "/l",
          (request) => Effect.sync(() => language(request)).pipe(withCache({ expiry: 10 }))
        )
      )
      const ask = yield* serve(yield* HttpLayerRouter.toHttpEffect(routes))
      const as = (sid: string) => Effect.map(ask("/me", { headers: { cookie: `sid=${sid}` } }), ({ text }) => text)
      expect([yield* as("ada"), yield* as("alan")]).toEqual(["for ada", "for alan"])
      yield* ask("/l", { headers: { "accept-language": "FR" } })
      const french = yield* ask("/l", { headers: { "accept-language": "fr" } })
      expect([french.text, french.cacheStatus]).toEqual(["in fr", "hit; ttl=10"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("outside the run it is what it was", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const ask = yield* serve(
        counted().pipe(withCache({ expiry: 10 }), (app) =>
          Effect.flatMap(Request, (request) =>
            Effect.tap(app, () =>
              Effect.sync(() =>
                seen.push(request.headers["accept-language"], request.headers["connection"], request.cookies["sid"])
              ))))
      )
      yield* ask("/", { headers: { "accept-language": " ,FR", "cookie": "sid=1", "connection": "keep-alive" } })
      expect(seen).toEqual([",FR", "keep-alive", "1"])
    }).pipe(Effect.provide(TestServer)))
})
