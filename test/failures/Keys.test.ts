/** How response caches fail: keys and poisoning, over a real port; the numbers are those of docs/failures.md. */
import { HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it, vi } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { corruptions, Faults } from "effect-http-cache/testing"
import { type Ask, counted, FaultyServer, type Logged, logged, mounted, routes, serve, TestServer } from "../harness.js"
import { answering, cachedRoute } from "./routes.js"

describe("keys and poisoning", () => {
  it.scoped("1: a field that is reflected and that nothing names is never served to others, for the response varies by it", () =>
    Effect.gen(function*() {
      const names = ["x-forwarded-host", "x-original-url", "x-rewrite-url", "x-forwarded-scheme"]
      const ask = yield* serve(routes(names.map((name) => {
        const links = answering(({ headers }) => HttpServerResponse.text(`links to ${headers[name] ?? "itself"}`))
        return [`GET /${name}`, links.pipe(withCache({ expiry: 10 }))] as const
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
      const ask = yield* serve(routes({
        "GET /none": links.pipe(withCache({ expiry: 10, query: "none" })),
        "GET /all": links.pipe(withCache({ expiry: 10 }))
      }))
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
      const x = routes([cachedRoute("/x", { expiry: 10 })])
      const y = routes([cachedRoute("/x", { expiry: 10 })])
      const ask = yield* serve(mounted({ "/a": x, "/b": y }))
      // The first request of a process beneath a mount is not stored.
      yield* ask("/a/x")
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
      const ask = yield* serve(routes([cachedRoute("/", { expiry: 10, vary: names })]))
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
      const ask = yield* serve(routes([cachedRoute("/", { expiry: 10 })]))
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
        routes(
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
      const ask = yield* serve(routes([
        cachedRoute("/all", { expiry: 10 }),
        cachedRoute("/only", { expiry: 10, query: { only: ["q"] } }),
        cachedRoute("/except", { expiry: 10, query: { except: ["utm"] } }),
        cachedRoute("/none", { expiry: 10, query: "none" }),
        cachedRoute("/sorted", { expiry: 10, query: { except: ["utm_*"], sort: true } })
      ]))
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
      expect(yield* texts(["/sorted?b=1&a=2", "/sorted?a=2&utm_x=3&b=1", "/sorted?a=2&a=1", "/sorted?a=1&a=2"]))
        .toEqual(["1", "1", "2", "3"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("174: a long query of names that can't be decoded makes no error for each of them", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes([
        cachedRoute("/all", { expiry: 10 }),
        cachedRoute("/only", { expiry: 10, query: { only: ["q"] } }),
        cachedRoute("/sorted", { expiry: 10, query: { except: ["utm_*"], sort: true } })
      ]))
      const decode = vi.spyOn(globalThis, "decodeURIComponent")
      yield* Effect.addFinalizer(() => Effect.sync(() => decode.mockRestore()))
      /** How often it has thrown: the router reads the query too. */
      const thrown = (target: string) =>
        Effect.map(ask(target), () => {
          const count = decode.mock.results.filter(({ type }) => type === "throw").length
          decode.mockClear()
          return count
        })
      for (const name of ["%", "%ff", "%4"]) {
        const query = `${name}&`.repeat(1000)
        const all = yield* thrown(`/all?${query}`)
        for (const path of ["/only", "/sorted"]) expect(yield* thrown(`${path}?${query}`)).toBeLessThanOrEqual(all)
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("11: only the matched route's policy counts, not the extension of a path", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({ "GET /account/*": counted().pipe(withCache()) }))
      yield* ask("/account/x.css")
      const again = yield* ask("/account/x.css")
      expect([again.text, again.cacheStatus]).toEqual(["run 2", "fwd=uri-miss"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("12: expiry doesn't store an error for everyone; an error that itself says how long is stored", () =>
    Effect.gen(function*() {
      const statuses = [400, 401, 403, 405, 413, 414, 422, 500, 501, 503]
      const ask = yield* serve(routes(statuses.flatMap((status) => [
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
      const ask = yield* serve(routes(
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
      const ask = yield* serve(routes({
        "GET /outside": counted().pipe(withCache({ expiry: 10 }), cors),
        "GET /inside": counted().pipe(cors, withCache({ expiry: 10 }))
      })).pipe(Effect.provide(logged(log)))
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
      const ask = yield* serve(routes({ "GET /": handler.pipe(withCache({ expiry: 10 })) }))
      const gzip = { headers: { "accept-encoding": "gzip" } }
      const tags = [(yield* ask("/", gzip)).headers["etag"], (yield* ask("/")).headers["etag"]]
      expect(new Set(tags).size).toBe(2)
      expect([(yield* ask("/", gzip)).text, (yield* ask("/")).text]).toEqual(["gzip 1", "plain 2"])
      expect((yield* ask("/", { headers: { "if-none-match": tags[0] } })).status).toBe(200)
    }).pipe(Effect.provide(TestServer)))
})
