/** What follows from what a handler read: `unkeyed`, what clients are told, and what is stored; through the door. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { once } from "node:events"
import * as Http2 from "node:http2"
import { inspect } from "node:util"
import { counted, type Logged, logged, QuietServer, routes, serve, TestServer } from "./harness.js"
import { anonymous, credentials, detailed, looking, refused, Request, stored } from "./reading.js"

describe("what follows from it", () => {
  it.scoped("64: an explicit public or s-maxage outranks what was read, and a public route does not", () =>
    Effect.gen(function*() {
      const says = (value: string) => ({ headers: { "cache-control": value } })
      const all = (r: Request) => [r.remoteAddress, { ...r.headers }, r.cookies["sid"]]
      const ask = yield* serve(
        routes({
          "GET /public": looking(all, says("public")).pipe(withCache({ expiry: 10 })),
          "GET /s-maxage": looking(all, says("s-maxage=10")).pipe(withCache({ expiry: 10 })),
          "GET /route": looking(all).pipe(withCache({ expiry: 10, cacheControl: "public" })),
          "GET /max-age": looking(all, says("max-age=10")).pipe(withCache({ expiry: 10 })),
          "GET /private": looking(all, says("private")).pipe(withCache({ expiry: 10 }))
        }).pipe(detailed)
      ).pipe(Effect.provide(logged([])))
      for (const path of ["/public", "/s-maxage"]) {
        yield* ask(path, { headers: anonymous })
        expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, "hit; ttl=10"])
      }
      const route = yield* ask("/route")
      expect([route.cacheStatus, route.headers["cache-control"]]).toEqual([refused, "private"])
      const refusal = yield* ask("/max-age")
      expect([refusal.cacheStatus, refusal.headers["cache-control"]]).toEqual([refused, "private, max-age=10"])
      expect((yield* ask("/private")).cacheStatus).toBe("fwd=uri-miss; detail=private")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a partition is for credentials, not for what can't be keyed", () =>
    Effect.gen(function*() {
      const partition = Effect.map(Request, ({ cookies }) => cookies["sid"])
      const options = { expiry: 10, partition }
      const ask = yield* serve(
        routes({
          "GET /cookie": looking((r) => [r.cookies["sid"], r.headers["x-a"]]).pipe(withCache(options)),
          "GET /all": looking((r) => ({ ...r.headers })).pipe(withCache(options)),
          "GET /address": looking((r) => r.remoteAddress).pipe(withCache(options))
        }).pipe(detailed)
      ).pipe(Effect.provide(logged([])))
      const as = (sid: string, path: string) =>
        Effect.map(
          ask(path, { headers: { cookie: `sid=${sid}` } }),
          ({ cacheStatus, text }) => `${text}: ${cacheStatus}`
        )
      expect(yield* as("ada", "/cookie")).toBe(`run 1: ${stored}`)
      expect(yield* as("alan", "/cookie")).toBe(`run 2: ${stored}`)
      expect(yield* as("ada", "/cookie")).toBe("run 1: hit; ttl=10")
      for (const path of ["/all", "/address"]) expect(yield* as("ada", path)).toBe(`run 1: ${refused}`)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("unkeyed: \"refuse\" stores what was made of keyed fields only", () =>
    Effect.gen(function*() {
      const read = (r: Request) => [r.headers["x-a"], r.headers["range"], r.headers["host"]]
      const ask = yield* serve(
        routes({
          "GET /unkeyed": looking(read).pipe(withCache({ expiry: 10, unkeyed: "refuse" })),
          "GET /route": looking(read).pipe(withCache({ expiry: 10, unkeyed: "refuse", vary: ["X-A"] })),
          "GET /all": looking((r) => ({ ...r.headers })).pipe(withCache({ expiry: 10, unkeyed: "refuse" })),
          "GET /own": looking(read, { headers: { vary: "X-A" } }).pipe(withCache({ expiry: 10, unkeyed: "refuse" })),
          "GET /public": looking(read, { headers: { "cache-control": "public" } }).pipe(
            withCache({ expiry: 10, unkeyed: "refuse" })
          ),
          "GET /origin": looking(read, { headers: { "cache-control": "max-age=5" } }).pipe(
            withCache({ unkeyed: "refuse" })
          )
        }).pipe(detailed)
      ).pipe(Effect.provide(logged([])))
      const unkeyed = yield* ask("/unkeyed")
      expect([unkeyed.cacheStatus, unkeyed.headers["cache-control"], unkeyed.headers["vary"]])
        .toEqual([refused, "private", undefined])
      for (const path of ["/route", "/own", "/public"]) {
        expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, stored])
      }
      expect((yield* ask("/all")).cacheStatus).toBe(refused)
      // What an origin says is passed on as it is.
      const origin = yield* ask("/origin")
      expect([origin.cacheStatus, origin.headers["cache-control"]]).toEqual([refused, "max-age=5"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("unkeyed: \"ignore\" looks at credentials only", () =>
    Effect.gen(function*() {
      const ignoring = withCache({ expiry: 10, unkeyed: "ignore" })
      const ask = yield* serve(
        routes({
          "GET /field": looking(({ headers }) => headers["x-a"]).pipe(ignoring),
          "GET /address": looking((r) => r.remoteAddress).pipe(ignoring),
          "GET /cookie": looking((r) => r.cookies["sid"]).pipe(ignoring),
          "GET /all": looking((r) => ({ ...r.headers })).pipe(ignoring),
          "GET /source": looking((r) => r.source).pipe(ignoring)
        }).pipe(detailed)
      )
      const told = (path: string) =>
        Effect.map(ask(path), ({ cacheStatus, headers }) => [cacheStatus, headers["cache-control"], headers["vary"]])
      for (const path of ["/field", "/address"]) expect(yield* told(path)).toEqual([stored, "max-age=10", undefined])
      for (const path of ["/cookie", "/all", "/source"]) {
        expect(yield* told(path)).toEqual([credentials, "private", undefined])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("without expiry nothing that the handler reads counts, unless unkeyed says otherwise", () =>
    Effect.gen(function*() {
      const own = { headers: { "cache-control": "max-age=10" } }
      const read = (r: Request) => r.headers["x-a"]
      const ask = yield* serve(routes({
        "GET /": looking(read, own).pipe(withCache()),
        "GET /vary": looking(read, own).pipe(withCache({ unkeyed: "vary" }))
      }))
      expect((yield* ask("/?q=1")).headers["vary"]).toBeUndefined()
      expect((yield* ask("/vary")).headers["vary"]).toBe("x-a")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("Host is counted where origin takes its place in the key", () =>
    Effect.gen(function*() {
      const links = Effect.map(Request, ({ headers }) => HttpServerResponse.text(`links to ${headers["host"]}`))
      const ask = yield* serve(links.pipe(
        withCache({ expiry: 10 }),
        Effect.provideService(HttpCache.Defaults, { origin: "https://a.example" })
      ))
      expect((yield* ask("/", { headers: { host: "evil.example" } })).headers["vary"]).toBe("host")
      expect((yield* ask("/", { headers: { host: "a.example" } })).text).toBe("links to a.example")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19: what looks through the request is counted, or sees nothing", () =>
    Effect.gen(function*() {
      const shown = (look: (request: Request) => unknown) =>
        Effect.map(Request, (request) => HttpServerResponse.text(inspect(look(request)))).pipe(
          withCache({ expiry: 10 })
        )
      const ask = yield* serve(routes({
        "GET /headers": shown(({ headers }) => headers),
        "GET /cookies": shown(({ cookies }) => cookies),
        "GET /source": shown((request) => Object.getOwnPropertyDescriptor(request, "source")?.value),
        "GET /override": shown((request) => Reflect.get(request, "headersOverride"))
      }))
      for (const path of ["/headers", "/cookies", "/source", "/override"]) {
        yield* ask(path, { headers: { cookie: "sid=ada" } })
        const { cacheStatus, text } = yield* ask(path)
        expect([path, cacheStatus.startsWith("hit") && text.includes("ada")]).toEqual([path, false])
      }
    }).pipe(Effect.provide(QuietServer)))

  it.effect("what query leaves out is not in the source of the web adapter either", () =>
    Effect.gen(function*() {
      const app = Effect.flatMap(Effect.flatMap(Request, HttpServerRequest.toWeb), ({ url }) =>
        Effect.succeed(HttpServerResponse.text(url, { headers: { "cache-control": "max-age=10" } })))
      const { body } = yield* app.pipe(
        withCache({ query: { only: ["q"] } }),
        Effect.provideService(
          Request,
          HttpServerRequest.fromWeb(new globalThis.Request("http://localhost/x?q=1&evil=2"))
        )
      )
      expect(body._tag === "Uint8Array" && new TextDecoder().decode(body.body)).toBe("http://localhost/x?q=1")
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))

  it.scoped("60: a target in absolute form is shown as the path that is in the key", () =>
    Effect.gen(function*() {
      const app = Effect.map(Request, ({ originalUrl, url }) => HttpServerResponse.text(`${originalUrl} ${url}`)).pipe(
        withCache({ expiry: 10 }),
        Effect.provideService(HttpCache.Defaults, { origin: "https://api.example.com" })
      )
      const ask = yield* serve(app)
      const evil = yield* ask("http://evil.example/x", { headers: { host: "evil.example" } })
      expect(evil.text).toBe("/x /x")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("51: what was read between two caches is told as if there were one", () =>
    Effect.gen(function*() {
      const beneath = counted().pipe(withCache({ expiry: 10 }))
      const between = Effect.flatMap(Request, ({ cookies, headers, url }) =>
        Effect.map(beneath, (response) =>
          HttpServerResponse.setHeader(response, "x-for", String(url === "/cookie" ? cookies["sid"] : headers["x-a"]))))
      const ask = yield* serve(between.pipe(withCache({ expiry: 10 })))
      for (const cookie of ["sid=ada", "sid=bob"]) {
        const { headers } = yield* ask("/cookie", { headers: { cookie } })
        expect([headers["x-for"], headers["cache-control"]]).toEqual([cookie.slice(4), "private, max-age=10"])
      }
      const { headers } = yield* ask("/field", { headers: { "x-a": "1" } })
      expect([headers["vary"], headers["cache-control"]]).toEqual(["x-a", "max-age=10"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("51: public in Defaults does not offer the responses of a partition to everybody", () =>
    Effect.gen(function*() {
      const partition = Effect.map(Request, ({ headers }) => headers["x-user"])
      const ask = yield* serve(
        counted().pipe(
          withCache({ expiry: 10, partition }),
          Effect.provideService(HttpCache.Defaults, { cacheControl: "public" })
        )
      )
      const { headers } = yield* ask("/", { headers: { "x-user": "ada" } })
      expect(headers["cache-control"]).toBe("private, max-age=10")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("10: over HTTP/2, where content needs no length", () =>
    Effect.gen(function*() {
      const handler = Effect.map(Request, ({ headers }) => HttpServerResponse.text(`path ${headers[":path"]}`))
      const layer = NodeHttpServer.layer(() => Http2.createServer() as never, { port: 0 })
      yield* Effect.gen(function*() {
        const { port } = yield* serve(handler.pipe(withCache({ expiry: 10, query: "none" })))
        const session = yield* Effect.acquireRelease(
          Effect.sync(() => Http2.connect(`http://127.0.0.1:${port}`)),
          (session) => Effect.sync(() => session.destroy())
        )
        const ask = (path: string, content?: string) =>
          Effect.promise(async () => {
            const stream = session.request({ ":path": path }, { endStream: content === undefined })
            if (content !== undefined) stream.end(content)
            const [headers] = await once(stream, "response") as [Http2.IncomingHttpHeaders]
            let text = ""
            for await (const chunk of stream.setEncoding("utf8")) text += chunk
            return [text, String(headers["cache-status"]).replace("effect-http-cache; ", "")]
          })
        expect(yield* ask("/x", "content")).toEqual(["path /x", "fwd=bypass"])
        expect(yield* ask("/x")).toEqual(["path /x", "fwd=uri-miss"])
        expect(yield* ask("/x?q=1")).toEqual(["path /x?q=1", "fwd=uri-miss"])
      }).pipe(Effect.scoped, Effect.provide(layer))
    }).pipe(Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, logged([])))))

  it.scoped("an answer about what is stored takes nothing away from what that was made of", () =>
    Effect.gen(function*() {
      const handler = Effect.map(
        Request,
        ({ headers, method }) =>
          headers["if-none-match"] === "\"v1\"" || method === "HEAD"
            ? HttpServerResponse.empty({
              status: method === "HEAD" ? 200 : 304,
              headers: { "etag": "\"v1\"", "x-b": headers["x-b"] }
            })
            : HttpServerResponse.text(`in ${headers["x-a"]}`, { headers: { etag: "\"v1\"" } })
      )
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10 })))
      const asked = (a: string, method = "GET") => ask("/", { method, headers: { "x-a": a } })
      yield* asked("1")
      yield* TestClock.adjust("11 seconds")
      const fresh = yield* asked("1")
      expect([fresh.text, fresh.cacheStatus, fresh.headers["vary"]])
        .toEqual(["in 1", "fwd=stale; fwd-status=304; stored", "x-a, x-b"])
      expect((yield* asked("2")).text).toBe("in 2")
      yield* TestClock.adjust("11 seconds")
      yield* asked("1", "HEAD")
      expect((yield* asked("1")).headers["vary"]).toBe("x-a, x-b")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("one warning for a route, with what was read and what to do", () =>
    Effect.gen(function*() {
      const log: Array<Logged> = []
      const read = (r: Request) => [r.headers["x-b"], r.headers["x-a"]]
      const all = (r: Request) => [r.remoteAddress, { ...r.headers }]
      const ask = yield* serve(routes({
        "GET /all/:id": Effect.suspend(() => looking(all).pipe(withCache({ expiry: 10 }))),
        "GET /fields": looking(read).pipe(withCache({ expiry: 10, unkeyed: "refuse" })),
        "GET /vary": looking(read).pipe(withCache({ expiry: 10 }))
      })).pipe(Effect.provide(logged(log)))
      for (const path of ["/all/1", "/all/2", "/fields", "/fields", "/vary"]) {
        yield* ask(path, { headers: { host: "a.example" } })
      }
      expect(log.map(({ level, message }) => `${level}: ${message}`)).toEqual([
        "WARN: effect-http-cache: http://a.example/all/1 is not stored, since the handler read the remote address, all " +
        "fields; let it read single fields, answer Cache-Control: public where the response is for everybody, or name " +
        "what selects it with vary: [...] or partition and set unkeyed: \"ignore\"",
        "WARN: effect-http-cache: http://a.example/fields is not stored, since the handler read x-a, x-b; name what " +
        "selects the response with vary: [\"x-a\",\"x-b\"], answer Cache-Control: public where it is for everybody, or " +
        "set unkeyed: \"ignore\" where it makes no difference"
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a hit makes no recorder", () =>
    Effect.gen(function*() {
      let made = 0
      const Own = globalThis.Proxy
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const construct = (target: object, args: Array<unknown>) => {
            made++
            return Reflect.construct(target as typeof Proxy, args) as object
          }
          globalThis.Proxy = new Own<ProxyConstructor>(Own, { construct })
        }),
        () => Effect.sync(() => globalThis.Proxy = Own)
      )
      const handler = looking((r) => [r.headers["x-a"], r.cookies])
      const options = { expiry: 10, query: { only: ["q"] } }
      const ask = yield* serve(routes({ "GET /": handler.pipe(withCache(options)) }))
      const proxies = (path: string) =>
        Effect.suspend(() => {
          const before = made
          return Effect.map(ask(path), ({ cacheStatus, text }) => [text, cacheStatus, made > before])
        })
      expect(yield* proxies("/?utm=1")).toEqual(["run 1", stored, true])
      expect(yield* proxies("/?utm=2")).toEqual(["run 1", "hit; ttl=10", false])
    }).pipe(Effect.provide(TestServer)))
})
