/** How response caches fail, each over a real port; the numbers are those of the project's list of failures. */
import { HttpApp, HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema, TestClock } from "effect"
import {
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { corruptions, Faults } from "effect-http-cache/testing"
import type { IncomingMessage } from "node:http"
import * as Net from "node:net"
import { type Ask, counted, FaultyServer, type Logged, logged, serve, TestServer } from "./harness.js"

const cachedRoute = (
  path: `/${string}`,
  options: HttpCache.Options,
  response?: HttpServerResponse.Options.WithContent
) => HttpRouter.makeRoute("GET", path, counted(response).pipe(withCache(options)))

const route = (path: `/${string}`, options: HttpCache.Options, response?: HttpServerResponse.Options.WithContent) =>
  HttpRouter.append(cachedRoute(path, options, response))

/** A handler that answers by the request, and says which run it is. */
const answering = (
  answer: (request: HttpServerRequest.HttpServerRequest, run: number) => HttpServerResponse.HttpServerResponse
) => {
  let runs = 0
  return Effect.map(HttpServerRequest.HttpServerRequest, (request) => answer(request, ++runs))
}

describe("keys and poisoning", () => {
  it.scoped("1: a field that is reflected and that nothing names is never served to others, for the response varies by it", () =>
    Effect.gen(function*() {
      const names = ["x-forwarded-host", "x-original-url", "x-rewrite-url", "x-forwarded-scheme"]
      const ask = yield* serve(HttpRouter.fromIterable(names.map((name) => {
        const links = answering(({ headers }) => HttpServerResponse.text(`links to ${headers[name] ?? "itself"}`))
        return HttpRouter.makeRoute("GET", `/${name}`, links.pipe(withCache({ expiry: 10 })))
      })))
      for (const name of names) {
        const evil = { headers: { [name]: "evil.example" } }
        const first = yield* ask(`/${name}`, evil)
        expect([first.text, first.headers["vary"]]).toEqual(["links to evil.example", name])
        expect((yield* ask(`/${name}`)).text).toBe("links to itself")
        expect((yield* ask(`/${name}`, { headers: { [name]: "other.example" } })).text).toBe("links to other.example")
        const again = yield* ask(`/${name}`, evil)
        expect([again.text, again.cacheStatus]).toEqual(["links to evil.example", "hit; ttl=10"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("1: a parameter or a fragment that the key leaves out is reflected by nobody", () =>
    Effect.gen(function*() {
      const links = Effect.zipWith(
        HttpServerRequest.HttpServerRequest,
        Effect.orDie(HttpRouter.schemaParams(Schema.Record({ key: Schema.String, value: Schema.String }))),
        ({ originalUrl, url }, params) => HttpServerResponse.unsafeJson({ originalUrl, url, params })
      )
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/none", links.pipe(withCache({ expiry: 10, query: "none" }))),
        HttpRouter.get("/all", links.pipe(withCache({ expiry: 10 })))
      ))
      for (const target of ["/none?q=evil", "/none#q=evil", "/all#q=evil"]) {
        yield* ask(target)
        const [path] = target.split(/[?#]/)
        const victim = yield* ask(path!)
        expect(victim.cacheStatus).toBe("hit; ttl=10")
        expect(JSON.parse(victim.text)).toEqual({ originalUrl: path, url: path, params: {} })
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("2: one path on two hosts is two entries, and so are two mounts", () =>
    Effect.gen(function*() {
      const x = HttpRouter.empty.pipe(route("/x", { expiry: 10 }))
      const y = HttpRouter.empty.pipe(route("/x", { expiry: 10 }))
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.mount("/a", x), HttpRouter.mount("/b", y)))
      expect((yield* ask("/a/x", { headers: { host: "one.example" } })).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* ask("/a/x", { headers: { host: "two.example" } })).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* ask("/b/x", { headers: { host: "one.example" } })).text).toBe("run 1")
      expect((yield* ask("/a/x", { headers: { host: "ONE.example:80" } })).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("2: a target that names another host than Host passes by, for a handler may believe either", () =>
    Effect.gen(function*() {
      const links = answering(({ headers }) => HttpServerResponse.text(`links to ${headers["host"]}`))
      const ask = yield* serve(links.pipe(withCache({ expiry: 10 })))
      const evil = yield* ask("http://victim.example/", { headers: { host: "evil.example" } })
      expect([evil.text, evil.cacheStatus]).toEqual(["links to evil.example", "fwd=bypass"])
      const same = yield* ask("http://victim.example/", { headers: { host: "victim.example:80" } })
      expect(same.cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* ask("/", { headers: { host: "victim.example" } })).text).toBe("links to victim.example")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("3, 4, 6: fields that select a variant differ where they must and agree where they must", () =>
    Effect.gen(function*() {
      const names = ["X-List", "constructor", "__proto__", "toString"]
      const ask = yield* serve(HttpRouter.empty.pipe(route("/", { expiry: 10, vary: names })))
      const isHit = (headers: Ask["headers"]) =>
        Effect.map(ask("/", { headers: headers ?? {} }), (r) => r.cacheStatus.startsWith("hit"))
      const seen = (headers: ReadonlyArray<Ask["headers"]>) => Effect.forEach(headers, isHit)
      expect(yield* seen([{}, { "x-list": "" }, { "x-list": "ab" }])).toEqual([false, false, false])
      expect(yield* seen([{ "x-list": "a,b" }, { "x-list": "a , b" }, { "x-list": ["a", "b"] }])).toEqual([
        false,
        true,
        true
      ])
      expect(yield* seen([{ "x-list": "\"a,b\"" }, { "x-list": "\"a, b\"" }, { "x-list": "a\",[\"b" }])).toEqual([
        false,
        false,
        false
      ])
      expect(yield* seen([{ constructor: "a" }, { constructor: "a" }, { constructor: "b" }])).toEqual([
        false,
        true,
        false
      ])
      // Node's own record of the fields has no room for this one.
      expect(yield* seen([{ ["__proto__"]: "a" }, { toString: "a" }])).toEqual([true, false])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("5: a storage that answers another key's, partition's or variant's item is not believed", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(HttpRouter.empty.pipe(route("/", { expiry: 10 })))
      const foreign = [corruptions.anotherKey, corruptions.anotherPartition, corruptions.anotherVariant]
      for (const [index, corrupt] of foreign.entries()) {
        yield* faults.switch({ get: { corrupt } })
        expect((yield* ask("/")).text).toBe(`run ${index + 1}`)
      }
      yield* faults.switchAll("work")
      expect((yield* ask("/")).text).toBe("run 3")
    }).pipe(Effect.provide(FaultyServer)))

  it.scoped("7: Vary: * is never reused, however it is spelled", () =>
    Effect.gen(function*() {
      const spellings = ["*", "* ", "*,", ", *", "*, Foo", "Foo, *", "Foo,*,Bar", "Foo Bar"]
      const ask = yield* serve(
        HttpRouter.fromIterable(
          spellings.map((vary, index) => cachedRoute(`/${index}`, { expiry: 10 }, { headers: { vary } }))
        )
      )
      for (const index of spellings.keys()) {
        expect([spellings[index], (yield* ask(`/${index}`)).text, (yield* ask(`/${index}`)).text])
          .toEqual([spellings[index], "run 1", "run 2"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("8: paths that a router tells apart are never merged", () =>
    Effect.gen(function*() {
      const app = counted().pipe(withCache({ expiry: 10 }))
      const ask = yield* serve(app)
      const paths = [
        "/a/b",
        "/a%2Fb",
        "/a%2fb",
        "/A/b",
        "/%61/b",
        "//a/b",
        "/a//b",
        "/a/./b",
        "/a/x/../b",
        "/a/b/",
        "/a/b;v=1"
      ]
      const replies = yield* Effect.forEach(paths, (path) => ask(path))
      expect(replies.map(({ text }) => text)).toEqual(paths.map((_, index) => `run ${index + 1}`))
      expect((yield* ask("/a%2Fb")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("9: a query is kept as it was sent, unless the route says what of it counts", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/all", { expiry: 10 }),
        route("/only", { expiry: 10, query: { only: ["q"] } }),
        route("/except", { expiry: 10, query: { except: ["utm"] } }),
        route("/none", { expiry: 10, query: "none" })
      ))
      const texts = (targets: ReadonlyArray<string>) =>
        Effect.map(Effect.forEach(targets, (target) => ask(target)), (replies) =>
          replies.map(({ text }) => text.slice(4)))
      expect(
        yield* texts([
          "/all",
          "/all?",
          "/all?a=1&a=2",
          "/all?a=2&a=1",
          "/all?a=1;a=2",
          "/all?__proto__=1",
          "/all?a=1&a=2"
        ])
      )
        .toEqual(["1", "2", "3", "4", "5", "6", "3"])
      expect(yield* texts(["/only?q=1&utm=1", "/only?utm=2&q=1", "/only?q=2", "/only?%71=1", "/only?q=1&q=2", "/only"]))
        .toEqual(["1", "1", "2", "3", "4", "5"])
      expect(yield* texts(["/except?q=1&utm=1", "/except?q=1", "/except?q=1&utm", "/except?utm=1", "/except"]))
        .toEqual(["1", "1", "1", "2", "2"])
      expect(yield* texts(["/none", "/none?a=1"])).toEqual(["1", "1"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("11: only the matched route's policy counts, not the extension of a path", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/account/*", counted().pipe(withCache()))))
      yield* ask("/account/x.css")
      const again = yield* ask("/account/x.css")
      expect([again.text, again.cacheStatus]).toEqual(["run 2", "fwd=uri-miss"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("12: expiry doesn't store an error for everyone; an error that itself says how long is stored", () =>
    Effect.gen(function*() {
      const statuses = [400, 401, 403, 405, 413, 414, 422, 500, 501, 503]
      const ask = yield* serve(HttpRouter.fromIterable(statuses.flatMap((status) => [
        cachedRoute(`/${status}`, { expiry: 10 }, { status }),
        cachedRoute(`/says/${status}`, { expiry: 10 }, { status, headers: { "cache-control": "max-age=5" } })
      ])))
      for (const status of statuses) {
        yield* ask(`/${status}`)
        const again = yield* ask(`/${status}`)
        expect([again.status, again.text, again.headers["cache-control"]]).toEqual([status, "run 2", undefined])
        yield* ask(`/says/${status}`)
        expect((yield* ask(`/says/${status}`)).cacheStatus).toBe("hit; ttl=5")
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("12: what answers one request's range, condition or expectation is not stored, whatever it says", () =>
    Effect.gen(function*() {
      const headers = { "cache-control": "public, max-age=60" }
      const statuses = [206, 304, 412, 416, 417]
      const ask = yield* serve(HttpRouter.fromIterable(
        statuses.map((status) => cachedRoute(`/${status}`, {}, { status, headers }))
      ))
      for (const status of statuses) {
        yield* ask(`/${status}`)
        expect([status, (yield* ask(`/${status}`)).cacheStatus]).toEqual([status, "fwd=uri-miss"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("13: ten thousand values of a field that selects are so many variants at most, and memory stays bounded", () =>
    Effect.gen(function*() {
      const route = counted().pipe(withCache({ expiry: 10, vary: ["Accept-Language"] }))
      const ask = (language: string) =>
        Effect.scoped(route).pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { "accept-language": language } }))
          ),
          Effect.map(({ headers }) => headers["cache-status"]!.includes("hit"))
        )
      for (let i = 0; i < 10_000; i++) yield* ask(`x-${i}`)
      const hits = yield* Effect.forEach(Array.from({ length: 100 }, (_, i) => `x-${9_999 - i}`), ask)
      expect(hits.filter((isHit) => isHit).length).toBeLessThanOrEqual(8)
      expect(hits.slice(0, 8)).toEqual(Array(8).fill(true))
    }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxVariants: 8 }))))

  it.scoped("13: a handler that reads what the client names makes so many lists of fields at most", () =>
    Effect.gen(function*() {
      const named = answering(({ headers }, run) =>
        HttpServerResponse.text(`${headers[headers["x-name"] ?? ""]} ${run}`)
      )
      const ask = yield* serve(named.pipe(
        withCache({ expiry: 10 }),
        Effect.provideService(HttpCache.Defaults, { cacheStatus: { detail: true } })
      )).pipe(Effect.provide(logged([])))
      const by = (index: number) => ask("/", { headers: { "x-name": `x-${index}`, [`x-${index}`]: "value" } })
      for (let index = 0; index < 8; index++) {
        expect((yield* by(index)).cacheStatus).toBe(index === 0 ? "fwd=uri-miss; stored" : "fwd=vary-miss; stored")
      }
      for (let index = 8; index < 20; index++) {
        const reply = yield* by(index)
        expect([reply.text, reply.cacheStatus]).toEqual([`value ${index + 1}`, "fwd=vary-miss; detail=unkeyed"])
        expect([reply.headers["cache-control"], reply.headers["vary"]]).toEqual(["max-age=10", `x-${index}, x-name`])
      }
      for (let index = 0; index < 8; index++) expect((yield* by(index)).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("14: what was answered to origin A is not served to B with A's field, with cors outside and inside", () =>
    Effect.gen(function*() {
      const log: Array<Logged> = []
      const cors = HttpMiddleware.cors({ allowedOrigins: ["https://a.example", "https://b.example"] })
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/outside", counted().pipe(withCache({ expiry: 10 }), cors)),
        HttpRouter.get("/inside", counted().pipe(cors, withCache({ expiry: 10 })))
      )).pipe(Effect.provide(logged(log)))
      const from = (path: string, origin: string) =>
        Effect.map(
          ask(path, { headers: { origin } }),
          ({ headers, text }) => [text, headers["access-control-allow-origin"]]
        )
      expect(yield* from("/outside", "https://a.example")).toEqual(["run 1", "https://a.example"])
      expect(yield* from("/outside", "https://b.example")).toEqual(["run 1", "https://b.example"])
      expect(yield* from("/inside", "https://a.example")).toEqual(["run 1", "https://a.example"])
      expect(yield* from("/inside", "https://b.example")).toEqual(["run 2", "https://b.example"])
      expect(log.map(({ message }) => message)).toEqual([
        expect.stringContaining(
          "/inside is not stored, since a pre-response handler (cors, a cookie) was set inside the cache"
        )
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("15: a gzip body never reaches a client that did not ask for it, and codings have different tags", () =>
    Effect.gen(function*() {
      const handler = answering(({ headers }, run) =>
        (headers["accept-encoding"] ?? "").includes("gzip")
          ? HttpServerResponse.text(`gzip ${run}`, {
            headers: { "content-encoding": "gzip", "vary": "Accept-Encoding" }
          })
          : HttpServerResponse.text(`plain ${run}`, { headers: { vary: "Accept-Encoding" } })
      )
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 })))))
      const gzip = { headers: { "accept-encoding": "gzip" } }
      const tags = [(yield* ask("/", gzip)).headers["etag"], (yield* ask("/")).headers["etag"]]
      expect(new Set(tags).size).toBe(2)
      expect([(yield* ask("/", gzip)).text, (yield* ask("/")).text]).toEqual(["gzip 1", "plain 2"])
      expect((yield* ask("/", { headers: { "if-none-match": tags[0] } })).status).toBe(200)
    }).pipe(Effect.provide(TestServer)))
})

describe("privacy", () => {
  it.scoped("16: a response to a request with Authorization is not shared without a permission", () =>
    Effect.gen(function*() {
      const permissions = ["public", "s-maxage=10", "must-revalidate, max-age=10"]
      const unreadable = ["max-age=10, must-revalidate \"x\"", "max-age=10, s-maxage=junk", "max-age=10, public;"]
      const ask = yield* serve(HttpRouter.fromIterable([
        cachedRoute("/none", { expiry: 10 }),
        cachedRoute("/max-age", { expiry: 10 }, { headers: { "cache-control": "max-age=10" } }),
        cachedRoute("/route", { expiry: 10, cacheControl: "public" }),
        ...permissions.map((permission, index) =>
          cachedRoute(`/permitted/${index}`, { expiry: 10 }, { headers: { "cache-control": permission } })
        ),
        ...unreadable.map((permission, index) =>
          cachedRoute(`/unreadable/${index}`, {}, { headers: { "cache-control": permission } })
        )
      ]))
      const headers = { authorization: "Bearer ada" }
      for (const path of ["/none", "/max-age"]) {
        expect((yield* ask(path, { headers })).headers["cache-control"]).toMatch(/^private/)
        expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss; stored")
      }
      for (const index of unreadable.keys()) {
        expect((yield* ask(`/unreadable/${index}`, { headers })).cacheStatus).toBe("fwd=uri-miss")
      }
      for (const path of ["/route", ...permissions.map((_, index) => `/permitted/${index}`)]) {
        yield* ask(path, { headers })
        expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, "hit; ttl=10"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("17: a restriction in any spelling restricts, and never throws", () =>
    Effect.gen(function*() {
      const refusing = [
        "private, max-age=10",
        "PRIVATE, max-age=10",
        "private=\"\", max-age=10",
        "private, private=\"x\", max-age=10",
        "max-age=10,\tprivate\t",
        "max-age=10 private",
        "max-age=10; private",
        "max-age=10, foo=\"a, private",
        "NO-STORE, max-age=10",
        "no-store=1, max-age=10",
        "public, no-store",
        "max-age=10, no-cache=\"a",
        "no-cache, max-age=10",
        "no-cache=, max-age=10"
      ]
      const ask = yield* serve(HttpRouter.fromIterable(refusing.map((value, index) =>
        cachedRoute(`/${index}`, { expiry: 10 }, { headers: { "cache-control": value } })
      )))
      for (const [index, value] of refusing.entries()) {
        yield* ask(`/${index}`)
        expect([value, (yield* ask(`/${index}`)).text]).toEqual([value, "run 2"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("17: a field that a qualified private or no-cache names is not given to others", () =>
    Effect.gen(function*() {
      const headers = {
        "x-user": "ada",
        "x-token": "1",
        "x-page": "2",
        "cache-control": "max-age=10, private=\" X-User\", no-cache=\"x-token\""
      }
      const ask = yield* serve(HttpRouter.empty.pipe(route("/", {}, { headers })))
      expect((yield* ask("/")).headers).toMatchObject({ "x-user": "ada", "x-token": "1" })
      const hit = yield* ask("/")
      expect([hit.cacheStatus, hit.headers["x-page"], hit.headers["x-user"], hit.headers["x-token"]])
        .toEqual(["hit; ttl=10", "2", undefined, undefined])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("18: Vary: Cookie and Vary: Authorization mean private", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/cookie", { expiry: 10 }, { headers: { vary: "Accept, Cookie" } }),
        route("/authorization", { expiry: 10 }, { headers: { vary: "authorization" } }),
        route("/unreadable", { expiry: 10, cacheControl: "public" }, { headers: { vary: "Cookie, @" } })
      ))
      for (const path of ["/cookie", "/authorization", "/unreadable"]) {
        yield* ask(path)
        const again = yield* ask(path)
        expect([again.text, again.headers["cache-control"]]).toEqual(["run 2", "private"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19: a cookie is never replayed: not from the field, the response's cookies or a pre-response handler", () =>
    Effect.gen(function*() {
      const withCookie = Effect.flatMap(counted(), HttpServerResponse.setCookie("session", "ada"))
      const later = HttpApp.appendPreResponseHandler((_, response) =>
        Effect.orDie(HttpServerResponse.setCookie(response, "session", "ada"))
      )
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/field", { expiry: 10 }, { headers: { "set-cookie": "session=ada" } }),
        HttpRouter.get("/cookies", Effect.orDie(withCookie).pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/later", Effect.zipRight(later, counted()).pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/strip", Effect.orDie(withCookie).pipe(withCache({ expiry: 10, cookies: "strip" }))),
        HttpRouter.get("/store", Effect.orDie(withCookie).pipe(withCache({ expiry: 10, cookies: "store" })))
      )).pipe(Effect.provide(logged([])))
      for (const path of ["/field", "/cookies", "/later"]) {
        const first = yield* ask(path)
        expect([path, first.headers["set-cookie"]?.length, first.headers["cache-control"]]).toEqual([
          path,
          1,
          "private"
        ])
        expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss")
      }
      expect((yield* ask("/strip")).headers["set-cookie"]).toBeUndefined()
      expect((yield* ask("/strip")).cacheStatus).toBe("hit; ttl=10")
      yield* ask("/store")
      expect((yield* ask("/store")).headers["set-cookie"]).toEqual(["session=ada"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19, 51: a handler under expiry that reads a cookie or Authorization makes its response private", () =>
    Effect.gen(function*() {
      const reading = (read: (request: HttpServerRequest.HttpServerRequest) => unknown) =>
        answering((request, run) => {
          read(request)
          return HttpServerResponse.text(`run ${run}`)
        })
      const reads = {
        field: (request: HttpServerRequest.HttpServerRequest) => request.headers["cookie"],
        cookies: (request: HttpServerRequest.HttpServerRequest) => request.cookies["session"],
        authorization: (request: HttpServerRequest.HttpServerRequest) => "authorization" in request.headers,
        all: (request: HttpServerRequest.HttpServerRequest) => ({ ...request.headers }),
        modified: (request: HttpServerRequest.HttpServerRequest) => request.modify({ url: "/" }).headers["cookie"],
        source: (request: HttpServerRequest.HttpServerRequest) => request.source
      }
      const ask = yield* serve(HttpRouter.fromIterable([
        ...Object.entries(reads).map(([name, read]) =>
          HttpRouter.makeRoute("GET", `/${name}`, reading(read).pipe(withCache({ expiry: 10 })))
        ),
        HttpRouter.makeRoute(
          "GET",
          "/other",
          reading((request) => request.headers["accept"]).pipe(withCache({ expiry: 10 }))
        ),
        HttpRouter.makeRoute(
          "GET",
          "/says-public",
          Effect.map(reading(reads.cookies), HttpServerResponse.setHeader("cache-control", "public")).pipe(
            withCache({ expiry: 10 })
          )
        )
      ]))
      for (const name of Object.keys(reads)) {
        yield* ask(`/${name}`)
        const again = yield* ask(`/${name}`)
        expect([name, again.text, again.headers["cache-control"]]).toEqual([name, "run 2", "private"])
      }
      for (const name of ["other", "says-public"]) {
        yield* ask(`/${name}`)
        expect((yield* ask(`/${name}`)).cacheStatus).toBe("hit; ttl=10")
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19: what a cache itself reads is not what the handler read", () =>
    Effect.gen(function*() {
      const looking = Effect.flatMap(Effect.exit(HttpCache.lookup("/elsewhere")), () => counted())
      const exclaimed = Effect.map(counted().pipe(withCache({ expiry: 5 })), (response) =>
        response.body._tag === "Uint8Array"
          ? HttpServerResponse.text(`${new TextDecoder().decode(response.body.body)}!`)
          : response)
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/looking", looking.pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/exclaimed", exclaimed.pipe(withCache({ expiry: 10 })))
      ))
      for (const path of ["/looking", "/exclaimed"]) {
        const miss = yield* ask(path)
        expect([path, miss.headers["cache-control"]]).toEqual([path, "max-age=10"])
        const hit = yield* ask(path)
        expect([hit.text, hit.cacheStatus]).toEqual([miss.text, "hit; ttl=10"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("20: one line in its handler keeps a page with a nonce out", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        HttpRouter.empty.pipe(route("/", { expiry: 10 }, { headers: { "cache-control": "no-store" } }))
      )
      yield* ask("/")
      const again = yield* ask("/")
      expect([again.text, again.headers["cache-control"]]).toEqual(["run 2", "no-store"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("22: changing the fields of what was served, or what the handler made, changes nothing that is stored", () =>
    Effect.gen(function*() {
      const made = new TextEncoder().encode("untouched")
      const handler = Effect.sync(() => HttpServerResponse.uint8Array(made, { headers: { "x-a": "1" } }))
      const spoil = <E, R>(app: HttpApp.Default<E, R>) =>
        Effect.zipWith(HttpServerRequest.HttpServerRequest, app, ({ headers }, response) => {
          if (headers["x-spoil"] === undefined) return response
          // What is served of a miss is what the handler made.
          made.fill(33)
          return Object.assign(response, { headers: Object.assign(response.headers, { "x-a": "spoilt" }) })
        })
      const ask = yield* serve(
        HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 }), spoil)))
      )
      for (const text of ["!!!!!!!!!", "untouched"]) {
        const spoilt = yield* ask("/", { headers: { "x-spoil": "1" } })
        expect([spoilt.text, spoilt.headers["x-a"]]).toEqual([text, "spoilt"])
      }
      const hit = yield* ask("/")
      expect([hit.text, hit.headers["x-a"], hit.cacheStatus]).toEqual(["untouched", "1", "hit; ttl=10"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("22: a Buffer that the handler goes on writing to is not what is stored", () =>
    Effect.gen(function*() {
      const scratch = Buffer.from("untouched")
      const ask = yield* serve(HttpServerResponse.uint8Array(scratch).pipe(withCache({ expiry: 10 })))
      yield* ask("/")
      scratch.write("EVIL")
      expect((yield* ask("/")).text).toBe("untouched")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("58: what a route keeps inside its authentication is nothing for a cache around the router to answer with", () =>
    Effect.gen(function*() {
      const authenticated = <E, R>(app: HttpApp.Default<E, R>) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
          headers["x-api-key"] === "right"
            ? app
            : Effect.succeed(HttpServerResponse.empty({ status: 401, headers: { "cache-control": "no-store" } })))
      const secret = counted().pipe(withCache({ expiry: 10 }), authenticated)
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/", secret), HttpCache.middleware()))
      const right = { headers: { "x-api-key": "right" } }
      expect((yield* ask("/", right)).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* ask("/")).status).toBe(401)
      expect((yield* ask("/", right)).cacheStatus).toBe("hit; ttl=10")
      yield* ask("/", { ...right, method: "POST" })
      expect((yield* ask("/", { method: "DELETE" })).status).toBe(404)
    }).pipe(Effect.provide(TestServer)))
})

describe("methods, ranges, conditions", () => {
  it.scoped("23: HEAD then GET has the body; GET then HEAD has none, and the same fields", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/", { expiry: 10 }, { headers: { "x-a": "1" } }),
        HttpRouter.get("/empty", HttpServerResponse.empty({ status: 200 }).pipe(withCache({ expiry: 10 })))
      ))
      for (const path of ["/", "/empty"]) {
        const cold = yield* ask(path, { method: "HEAD" })
        expect([path, cold.text, cold.cacheStatus]).toEqual([path, "", "fwd=uri-miss"])
        const { cacheStatus, headers: { age: _, "cache-status": __, ...whole } } = yield* ask(path)
        expect(cacheStatus).toBe("fwd=uri-miss; stored")
        const { cacheStatus: hit, headers: { age: _a, "cache-status": _b, ...head }, text } = yield* ask(path, {
          method: "HEAD"
        })
        expect([hit, text]).toEqual(["hit; ttl=10", ""])
        expect(head).toEqual(whole)
        expect((yield* ask(path)).headers["content-length"]).toBe(whole["content-length"])
      }
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("25: a handler's 304 goes through and is not stored; a client's tag does not keep a miss from filling", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const handler = answering(({ headers }, run) => {
        seen.push([headers["if-none-match"], headers["if-modified-since"]])
        return headers["if-none-match"] === undefined
          ? HttpServerResponse.text(`run ${run}`, { headers: { etag: "\"1\"" } })
          : HttpServerResponse.empty({ status: 304, headers: { etag: "\"1\"" } })
      })
      const notModified = HttpServerResponse.empty({
        status: 304,
        headers: { etag: "\"1\"", "cache-control": "max-age=10" }
      })
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/honors", handler.pipe(withCache({ expiry: 10, requestDirectives: "honor" }))),
        HttpRouter.get("/always", notModified.pipe(withCache({ expiry: 10 })))
      ))
      const headers = { "if-none-match": "\"1\"", "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT" }
      const cold = yield* ask("/", { headers })
      expect([cold.status, cold.text, cold.cacheStatus]).toEqual([304, "", "fwd=uri-miss; fwd-status=200; stored"])
      expect((yield* ask("/")).text).toBe("run 1")
      expect(seen).toEqual([[undefined, undefined]])
      const kept = yield* ask("/honors", { headers: { ...headers, "cache-control": "no-store" } })
      expect([kept.status, kept.cacheStatus]).toEqual([304, "fwd=uri-miss"])
      expect(seen[1]).toEqual(Object.values(headers))
      expect((yield* ask("/honors", { method: "HEAD", headers })).status).toBe(304)
      for (let i = 0; i < 2; i++) {
        const always = yield* ask("/always", { headers })
        expect([always.status, always.cacheStatus]).toEqual([304, "fwd=uri-miss"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("26: If-None-Match and If-Modified-Since are judged as RFC 9110 §13 says, from what is stored", () =>
    Effect.gen(function*() {
      const lastModified = "Wed, 01 Jul 2026 10:00:00 GMT"
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/", { expiry: 10 }, { headers: { etag: "\"a,b\"", "last-modified": lastModified } }),
        route("/dated", { expiry: 10, etag: "none" }, { headers: { "last-modified": lastModified } })
      ))
      yield* ask("/")
      yield* ask("/dated")
      const status = (path: string, headers: Ask["headers"] & {}) =>
        Effect.map(ask(path, { headers }), (reply) => reply.status)
      const expected: ReadonlyArray<readonly [string, Ask["headers"] & {}, number]> = [
        ["/", { "if-none-match": "\"a,b\"" }, 304],
        ["/", { "if-none-match": "W/\"a,b\"" }, 304],
        ["/", { "if-none-match": "\"x\", W/\"y\" , \"a,b\"" }, 304],
        ["/", { "if-none-match": "*" }, 304],
        ["/", { "if-none-match": "\"a\", \"b\"" }, 200],
        ["/", { "if-none-match": "a,b" }, 200],
        ["/", { "if-none-match": "\"x\"", "if-modified-since": lastModified }, 200],
        ["/", { "if-none-match": "\"a,b\"", "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT" }, 304],
        ["/", { "if-modified-since": lastModified }, 304],
        ["/", { "if-modified-since": "Wed, 01 Jul 2026 09:59:59 GMT" }, 200],
        ["/", { "if-modified-since": "yesterday" }, 200],
        ["/dated", { "if-modified-since": lastModified }, 304],
        ["/dated", { "if-none-match": "\"x\"" }, 200]
      ]
      for (const [path, headers, wanted] of expected) {
        expect([headers, yield* status(path, headers)]).toEqual([headers, wanted])
      }
      expect((yield* ask("/")).text).toBe("run 1")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("26: If-Match is judged against what the handler answers now, strongly, and never from what is stored", () =>
    Effect.gen(function*() {
      const handler = answering((_, run) => HttpServerResponse.text(`run ${run}`, { headers: { etag: `"${run}"` } }))
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 })))))
      yield* ask("/")
      const old = yield* ask("/", { headers: { "if-match": "\"1\"" } })
      expect([old.status, old.text, old.headers["etag"], old.headers["cache-control"]]).toEqual([
        412,
        "",
        "\"2\"",
        undefined
      ])
      expect((yield* ask("/", { headers: { "if-match": "\"3\"" } })).text).toBe("run 3")
      expect((yield* ask("/", { headers: { "if-match": "W/\"4\"" } })).status).toBe(412)
      expect((yield* ask("/", { headers: { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT" } })).text).toBe(
        "run 5"
      )
      expect((yield* ask("/")).text).toBe("run 5")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("26: an unsafe method gets a 412 before any side effect, never a 304", () =>
    Effect.gen(function*() {
      let writes = 0
      const write = Effect.sync(() => HttpServerResponse.text(`write ${++writes}`))
      const exists = Effect.succeed({ etag: "\"2\"", lastModified: new Date(2000) })
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.put("/exists", write.pipe(HttpCache.withPreconditions(exists), withCollect())),
        HttpRouter.put("/new", write.pipe(HttpCache.withPreconditions(Effect.succeed(undefined)), withCollect())),
        HttpRouter.put("/unjudged", write.pipe(withCollect()))
      ))
      const expected: ReadonlyArray<readonly [string, { readonly [name: string]: string }, number]> = [
        ["/exists", { "if-match": "\"1\"" }, 412],
        ["/exists", { "if-match": "W/\"2\"" }, 412],
        ["/exists", { "if-none-match": "*" }, 412],
        ["/exists", { "if-none-match": "W/\"2\"" }, 412],
        ["/exists", { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:01 GMT" }, 412],
        ["/new", { "if-match": "*" }, 412],
        ["/exists", { "if-match": "\"1\", \"2\"" }, 200],
        ["/exists", { "if-match": "*" }, 200],
        ["/exists", { "if-match": "\"2\"", "if-unmodified-since": "Thu, 01 Jan 1970 00:00:01 GMT" }, 200],
        ["/exists", { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:02 GMT" }, 200],
        ["/exists", { "if-modified-since": "Thu, 01 Jan 1970 00:00:02 GMT" }, 200],
        ["/new", { "if-none-match": "*" }, 200],
        ["/unjudged", { "if-match": "\"1\"" }, 200]
      ]
      for (const [path, headers, wanted] of expected) {
        const before = writes
        const { status } = yield* ask(path, { method: "PUT", headers })
        expect([path, headers, status, writes - before]).toEqual([path, headers, wanted, wanted === 200 ? 1 : 0])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("27: a 304 carries what updates the client's copy, and no length that it would wait for", () =>
    Effect.gen(function*() {
      const fields = {
        "content-language": "en",
        "content-location": "/whole",
        "expires": "Thu, 01 Jan 1970 01:00:00 GMT",
        "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT",
        "vary": "accept",
        "x-frame-options": "DENY"
      }
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/", { expiry: 10 }, { headers: fields }),
        route("/untagged", { expiry: 10, etag: "none" }, { headers: fields })
      ))
      yield* ask("/")
      const { headers } = yield* ask("/", { headers: { "if-none-match": "*" } })
      const { connection: _, "keep-alive": __, etag, ...rest } = headers
      expect(etag).toMatch(/^"[\w-]{27}"$/)
      expect(rest).toEqual({
        "age": "0",
        "cache-status": "effect-http-cache; hit; ttl=3600",
        "content-location": "/whole",
        "date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "expires": "Thu, 01 Jan 1970 01:00:00 GMT",
        "vary": "accept",
        "x-frame-options": "DENY"
      })
      yield* ask("/untagged")
      const untagged = yield* ask("/untagged", { headers: { "if-modified-since": fields["last-modified"] } })
      expect([untagged.status, untagged.headers["last-modified"]]).toEqual([304, fields["last-modified"]])
      expect((yield* ask("/")).text).toBe("run 1")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("28: an entity tag belongs to its URI", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/1", { expiry: 10 }, { headers: { etag: "\"1\"" } }),
        route("/2", { expiry: 10 }, { headers: { etag: "\"2\"" } })
      ))
      yield* ask("/1")
      yield* ask("/2")
      expect((yield* ask("/2", { headers: { "if-none-match": "\"1\"" } })).status).toBe(200)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("29: 204, 205 and 304 have no body and none is awaited; a redirect keeps its body", () =>
    Effect.gen(function*() {
      const statuses = [204, 205, 304, 301, 308]
      const ask = yield* serve(
        HttpRouter.fromIterable(statuses.map((status) =>
          cachedRoute(`/${status}`, {
            expiry: 10,
            statuses: statuses.filter((s) => s !== 304)
          }, { status, headers: { location: "/" } })
        ))
      )
      for (const status of statuses) {
        for (const asked of ["miss", "hit"]) {
          const reply = yield* ask(`/${status}`)
          expect([asked, reply.status, reply.text]).toEqual([
            asked,
            status,
            status === 301 || status === 308 ? "run 1" : ""
          ])
        }
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("invalidation", () => {
  const methods = ["POST", "PUT", "PATCH", "DELETE", "M-SEARCH", "LOCK"]

  it.scoped("30: a success of an unsafe method forgets its URI and every variant of it", () =>
    Effect.gen(function*() {
      const app = answering(({ method }, run) => HttpServerResponse.text(`${method} ${run}`)).pipe(
        HttpCache.middleware({ expiry: 10, vary: ["Accept-Language"] })
      )
      const ask = yield* serve(app)
      for (const method of methods) {
        for (const language of ["fr", "de"]) yield* ask("/", { headers: { "accept-language": language } })
        expect((yield* ask("/", { headers: { "accept-language": "fr" } })).cacheStatus).toBe("hit; ttl=10")
        expect((yield* ask("/", { method })).cacheStatus).toBe("fwd=method")
        for (const language of ["fr", "de"]) {
          const reply = yield* ask("/", { headers: { "accept-language": language } })
          expect(`${method}: ${reply.cacheStatus}`).toMatch(/: fwd=(uri|vary)-miss; stored$/)
        }
      }
      for (const method of ["OPTIONS", "PROPFIND", "REPORT", "SEARCH", "TRACE"]) {
        yield* ask("/", { method })
        expect([method, (yield* ask("/", { headers: { "accept-language": "fr" } })).cacheStatus]).toEqual([
          method,
          "hit; ttl=10"
        ])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: Location and Content-Location of the same origin are forgotten, another origin's never", () =>
    Effect.gen(function*() {
      const router = HttpRouter.empty.pipe(
        route("/items/1", { expiry: 10 }),
        route("/items/2", { expiry: 10 }),
        route("/list", { expiry: 10 }),
        HttpRouter.post(
          "/made",
          HttpServerResponse.empty({ status: 201, headers: { location: "/items/1", "content-location": "items/2" } })
            .pipe(withCollect())
        ),
        HttpRouter.post(
          "/elsewhere",
          HttpServerResponse.empty({ status: 303, headers: { location: "http://b.example/items/1" } }).pipe(
            withCollect()
          )
        ),
        HttpRouter.post("/also", HttpServerResponse.empty().pipe(withCollect({ also: () => ["/list", "/items/1?x"] }))),
        HttpRouter.post("/broken", HttpServerResponse.empty().pipe(withCollect({ also: () => ["http://", "/list"] })))
      )
      const log: Array<Logged> = []
      const ask = yield* serve(router).pipe(Effect.provide(logged(log)))
      const a = { host: "a.example" }
      const status = (path: string, host: string) =>
        Effect.map(ask(path, { headers: { host } }), ({ cacheStatus }) => cacheStatus.slice(0, 3))
      const paths = ["/items/1", "/items/2", "/list"]
      const all = (host: string) => Effect.forEach(paths, (path) => status(path, host))
      yield* all("a.example")
      yield* all("b.example")
      yield* ask("/made", { method: "POST", headers: a })
      expect(yield* all("a.example")).toEqual(["fwd", "fwd", "hit"])
      yield* ask("/elsewhere", { method: "POST", headers: a })
      expect(yield* all("b.example")).toEqual(["hit", "hit", "hit"])
      yield* ask("/also", { method: "POST", headers: a })
      expect(yield* all("a.example")).toEqual(["hit", "hit", "fwd"])
      expect((yield* ask("/broken", { method: "POST", headers: a })).status).toBe(204)
      expect(log.map(({ message }) => message)).toEqual([
        expect.stringContaining("withCollect: also: \"http://\" is no URI")
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("34: a collect removes stale copies too", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/", { retain: 3600 }, { headers: { "cache-control": "max-age=10", "etag": "\"1\"" } }),
        HttpRouter.post("/", HttpServerResponse.empty().pipe(withCollect()))
      ))
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", { method: "POST" })
      const after = yield* ask("/", { headers: { "cache-control": "max-stale" } })
      expect([after.text, after.cacheStatus]).toEqual(["run 2", "fwd=uri-miss; stored"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: a URI is forgotten under the key that its route gives it, and as it was sent", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/none", counted().pipe(withCache({ expiry: 10, query: "none" }))),
        HttpRouter.post("/none", HttpServerResponse.empty().pipe(withCollect({ query: "none" }))),
        HttpRouter.get("/raw/*", counted().pipe(withCache({ expiry: 10 }))),
        HttpRouter.post(
          "/raw",
          HttpServerResponse.empty({ headers: { location: "/raw/a'?b='" } }).pipe(
            withCollect({ also: () => ["/raw/{1}", "/raw/x/../y", "/raw/ü"] })
          )
        )
      ))
      yield* ask("/none?a=1")
      yield* ask("/none?a=1", { method: "POST" })
      expect((yield* ask("/none?a=1")).cacheStatus).toBe("fwd=uri-miss; stored")
      const paths = ["/raw/a'?b='", "/raw/{1}", "/raw/x/../y", "/raw/%C3%BC"]
      for (const path of paths) yield* ask(path)
      yield* ask("/raw", { method: "POST" })
      for (const path of paths) expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, "fwd=uri-miss; stored"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: a request without Host forgets what Location names", () =>
    Effect.gen(function*() {
      const app = HttpRouter.empty.pipe(
        route("/u/1", { expiry: 10 }),
        HttpRouter.post(
          "/u",
          HttpServerResponse.empty({ status: 201, headers: { location: "/u/1" } }).pipe(withCollect())
        )
      )
      const { port } = yield* serve(app)
      expect(yield* rawExchange(port, "GET /u/1 HTTP/1.0\r\n\r\n")).toContain("run 1")
      expect(yield* rawExchange(port, "GET /u/1 HTTP/1.0\r\n\r\n")).toContain("run 1")
      yield* rawExchange(port, "POST /u HTTP/1.0\r\n\r\n")
      expect(yield* rawExchange(port, "GET /u/1 HTTP/1.0\r\n\r\n")).toContain("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: a 4xx, a 5xx, a typed failure and a defect forget nothing; a typed failure that is a redirect forgets", () =>
    Effect.gen(function*() {
      const answers: { readonly [path: `/${string}`]: HttpApp.Default<unknown> } = {
        "/400": HttpServerResponse.empty({ status: 400 }),
        "/500": HttpServerResponse.empty({ status: 500 }),
        "/fail": Effect.fail("typed"),
        "/die": Effect.die("defect"),
        "/redirect": Effect.fail(HttpServerResponse.empty({ status: 303 }))
      }
      const router = HttpRouter.fromIterable(
        Object.entries(answers).flatMap(([path, answer]) => [
          cachedRoute(path as `/${string}`, { expiry: 10 }),
          HttpRouter.makeRoute("POST", path as `/${string}`, answer.pipe(withCollect()))
        ])
      )
      const ask = yield* serve(router)
      for (const path of Object.keys(answers)) {
        yield* ask(path)
        yield* ask(path, { method: "POST" })
        expect([path, (yield* ask(path)).cacheStatus.slice(0, 3)]).toEqual([path, path === "/redirect" ? "fwd" : "hit"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("31: a fill that began before a collect does not store what the collect made stale", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      let value = "old"
      const slow = Effect.gen(function*() {
        const read = value
        yield* Deferred.succeed(started, undefined)
        if (read === "old") yield* Deferred.await(go)
        return HttpServerResponse.text(read)
      })
      const app = HttpRouter.empty.pipe(
        HttpRouter.get("/", slow.pipe(withCache({ expiry: 10 }))),
        HttpRouter.put(
          "/",
          Effect.sync(() => {
            value = "new"
            return HttpServerResponse.empty()
          }).pipe(withCollect())
        )
      )
      const ask = yield* serve(app)
      const other = yield* ask.another
      const filling = yield* Effect.fork(ask("/"))
      yield* Deferred.await(started)
      yield* other("/", { method: "PUT" })
      yield* Deferred.succeed(go, undefined)
      const late = yield* Fiber.join(filling)
      expect([late.text, late.cacheStatus]).toEqual(["old", "fwd=uri-miss"])
      expect((yield* ask("/")).text).toBe("new")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))

  it.effect("52: a handler that was interrupted may have written, and its URI is forgotten", () =>
    Effect.gen(function*() {
      let value = "old"
      const write = Effect.sync(() => {
        value = "new"
        return HttpServerResponse.empty()
      })
      const app = HttpRouter.empty.pipe(
        HttpRouter.get("/", Effect.sync(() => HttpServerResponse.text(value)).pipe(withCache({ expiry: 10 }))),
        HttpRouter.put("/", Effect.uninterruptible(Effect.delay(write, "1 second")).pipe(withCollect()))
      )
      const ask = (method: string) =>
        Effect.scoped(app).pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request("http://localhost/", { method }))
          ),
          Effect.map((response) =>
            response.body._tag === "Uint8Array" ? new TextDecoder().decode(response.body.body) : ""
          )
        )
      expect(yield* ask("GET")).toBe("old")
      const writing = yield* Effect.fork(ask("PUT"))
      yield* Effect.yieldNow()
      yield* Fiber.interruptFork(writing)
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(writing)
      expect(yield* ask("GET")).toBe("new")
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("52: the client of a PATCH leaves after the handler's success: the collect still happens", () =>
    Effect.gen(function*() {
      const collecting = yield* Deferred.make<void>()
      const left = yield* Deferred.make<void>()
      const collected = yield* Deferred.make<void>()
      const order: Array<string> = []
      const storage = yield* CollectableCacheStorage.CollectableCacheStorage
      const slow: CollectableCacheStorage.Service = {
        ...storage,
        collect: (key) =>
          Deferred.succeed(collecting, undefined).pipe(
            Effect.zipRight(Deferred.await(left)),
            Effect.zipRight(storage.collect(key)),
            Effect.tap(() => Effect.sync(() => order.push("collected"))),
            Effect.tap(() => Deferred.succeed(collected, undefined))
          )
      }
      const patch = Effect.map(HttpServerRequest.HttpServerRequest, ({ source }) => {
        const { socket } = source as IncomingMessage
        socket.on("close", () => Deferred.unsafeDone(left, Effect.void))
        return HttpServerResponse.empty()
      })
      const router = HttpRouter.empty.pipe(
        route("/", { expiry: 10 }),
        HttpRouter.patch("/", patch.pipe(withCollect(), Effect.tap(() => Effect.sync(() => order.push("answered")))))
      )
      const ask = yield* serve(router.pipe(
        Effect.provideService(CacheStorage.CacheStorage, slow),
        Effect.provideService(CollectableCacheStorage.CollectableCacheStorage, slow)
      ))
      yield* ask("/")
      yield* patchAndLeave(ask.port, Deferred.await(collecting))
      yield* Deferred.await(collected)
      expect((yield* ask("/")).text).toBe("run 2")
      expect(order).toEqual(["collected"])
      yield* ask("/", { method: "PATCH" })
      expect(order).toEqual(["collected", "collected", "answered"])
    }).pipe(Effect.provide(TestServer)))
})

/** What the server writes until it closes the connection. */
const rawExchange = (port: number, request: string) =>
  Effect.async<string>((resume) => {
    let reply = ""
    const socket = Net.connect(port, "127.0.0.1", () => socket.write(request))
    socket.on("data", (chunk) => reply += chunk)
    socket.on("end", () => resume(Effect.succeed(reply)))
  })

/** Sends a PATCH and destroys the connection once `when` is done. */
const patchAndLeave = (port: number, when: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const socket = yield* Effect.async<Net.Socket>((resume) => {
      const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
    })
    socket.write("PATCH / HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\nContent-Length: 0\r\n\r\n")
    yield* when
    socket.destroy()
  })

describe("bodies and storages", () => {
  it.scoped("47: a CR or LF in a field from a shared storage, or another record that is none, never reaches a client", () =>
    Effect.gen(function*() {
      const poisons: ReadonlyArray<object> = [
        { headers: { "x-a": "1\r\nx-b: 2" } },
        { headers: { "x-a": "1\nx-b: 2" } },
        { cookies: ["a=1\r\nx-b: 2"] },
        { headers: { "x-a": "\u0100" } },
        { headers: { "bad name": "1" } },
        { headers: undefined },
        { status: 999 },
        { status: undefined },
        { body: [1, 2] },
        { lifetime: NaN },
        { retainUntil: undefined },
        { vary: "accept" }
      ]
      const faults = yield* Faults
      const ask = yield* serve(HttpRouter.empty.pipe(route("/", { expiry: 10 })))
      for (const [index, poison] of poisons.entries()) {
        yield* faults.switch({ get: { corrupt: (item) => ({ ...item, ...poison }) } })
        const { headers, status, text } = yield* ask("/")
        expect([poison, status, text, headers["x-b"]]).toEqual([poison, 200, `run ${index + 1}`, undefined])
      }
      yield* faults.switch({ get: { corrupt: (item) => ({ ...item }) } })
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(FaultyServer)))

  it.scoped("49: hop-by-hop fields, and those that Connection names, are not stored", () =>
    Effect.gen(function*() {
      const headers = {
        connection: "x-hop",
        "x-hop": "1",
        "keep-alive": "timeout=9",
        "proxy-authenticate": "Basic",
        upgrade: "h2c",
        "x-end": "1"
      }
      const ask = yield* serve(HttpRouter.empty.pipe(route("/", { expiry: 10 }, { headers })))
      yield* ask("/")
      const hit = yield* ask("/")
      expect(hit.cacheStatus).toBe("hit; ttl=10")
      expect(["x-hop", "proxy-authenticate", "upgrade", "x-end"].map((name) => hit.headers[name])).toEqual([
        undefined,
        undefined,
        undefined,
        "1"
      ])
      expect(hit.headers["keep-alive"]).not.toBe("timeout=9")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("50: Cache-Status is the operator's choice, and the key is in it only when asked for", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/default", { expiry: 10 }, { headers: { "cache-control": "no-store" } }),
        route("/silent", { expiry: 10, cacheStatus: false }),
        route("/all", { expiry: 10, cacheStatus: { name: "My Cache", detail: true, key: true } }, {
          headers: { "cache-control": "no-store", "cache-status": "Origin; hit" }
        })
      ))
      const said = (path: string) =>
        Effect.map(ask(path, { headers: { host: "a.example" } }), ({ headers }) => headers["cache-status"])
      expect(yield* said("/default")).toBe("effect-http-cache; fwd=uri-miss")
      expect(yield* said("/silent")).toBeUndefined()
      expect(yield* said("/all")).toBe(
        "Origin; hit, \"My Cache\"; fwd=uri-miss; key=\"http://a.example/all\"; detail=no-store"
      )
    }).pipe(Effect.provide(TestServer)))

  it.scoped("51: what the cache refuses for privacy is never advertised as shareable", () =>
    Effect.gen(function*() {
      const cookie = { "set-cookie": "session=ada" }
      const ask = yield* serve(HttpRouter.empty.pipe(
        route("/route", { expiry: 10, sharedExpiry: 60 }, { headers: cookie }),
        route("/handler", { expiry: 10 }, {
          headers: { ...cookie, "cache-control": "public, max-age=10, s-maxage=60" }
        }),
        route("/private", { expiry: 10, sharedExpiry: 60, cacheControl: "private" }),
        route("/says", { expiry: 10, sharedExpiry: 60 }, { headers: { "cache-control": "private" } })
      ))
      const told = (path: string) => Effect.map(ask(path), ({ headers }) => headers["cache-control"])
      expect(yield* told("/route")).toBe("private")
      expect(yield* told("/handler")).toBe("private, max-age=10")
      expect(yield* told("/private")).toBe("private, max-age=10")
      expect(yield* told("/says")).toBe("private")
    }).pipe(Effect.provide(TestServer)))
})
