/** What a response is of, and that it is collected with all that is of the same (RFC 9875). */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import { bytes, counted, eventually, type Logged, logged, QuietServer, routes, serve, TestServer } from "./harness.js"
import { hows, layerWaiting } from "./waiting.js"

const withDetail = { expiry: 60, cacheStatus: { detail: true } } as const
const stored = "fwd=uri-miss; stored"
const hit = "hit; ttl=60"

/** A service that knows the product, beneath another. */
class Products extends Context.Tag("Products")<Products, { readonly find: (id: string) => Effect.Effect<string> }>() {}
class Shop extends Context.Tag("Shop")<Shop, { readonly page: (id: string) => Effect.Effect<string> }>() {}

const services = Layer.effect(Shop, Effect.map(Products, ({ find }) => ({ page: find }))).pipe(
  Layer.provide(Layer.succeed(Products, {
    find: (id) => Effect.as(HttpCache.group(`product:${id}`), `product ${id}`)
  }))
)

const idOf = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => url.split("/").at(-1)!)

const naming = {
  "the route": Effect.map(idOf, (id) => HttpServerResponse.text(id)).pipe(
    withCache({ expiry: 60, groups: ({ url }) => [`product:${url.split("/").at(-1)}`] })
  ),
  "a service of the handler": Effect.flatMap(
    idOf,
    (id) => Effect.map(Effect.flatMap(Shop, ({ page }) => page(id)), (page) => HttpServerResponse.text(page))
  ).pipe(withCache({ expiry: 60 })),
  "Cache-Groups": Effect.map(
    idOf,
    (id) => HttpServerResponse.text(id, { headers: { "cache-groups": `"all", "product:${id}";x=1` } })
  ).pipe(withCache({ expiry: 60 }))
}

const forgetting = {
  "withCollect": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect({ groups: () => ["product:7"] })),
  "HttpCache.collectGroup": Effect.as(HttpCache.collectGroup("product:7"), HttpServerResponse.empty()),
  "Cache-Group-Invalidation": Effect.succeed(HttpServerResponse.empty({
    headers: { "cache-group-invalidation": "\"product:7\", \"elsewhere\"" }
  })).pipe(withCollect())
}

describe.each(hows)("a group, over a storage that answers %s", (how) => {
  const server = Layer.mergeAll(NodeHttpServer.layerTest, layerWaiting(how), services)

  for (const [named, handler] of Object.entries(naming)) {
    for (const [by, collects] of Object.entries(forgetting)) {
      it.scoped(`named by ${named}, collected by ${by}: each URI that is of it, and no other`, () =>
        Effect.gen(function*() {
          const ask = yield* serve(routes({
            "GET /a/:id": handler,
            "GET /b/:id": handler,
            "PATCH /elsewhere": collects
          }))
          const paths = ["/a/7", "/b/7", "/a/8"]
          for (const status of [stored, hit]) {
            for (const path of paths) expect((yield* ask(path)).cacheStatus).toBe(status)
          }
          expect((yield* ask("/elsewhere", { method: "PATCH" })).status).toBe(204)
          const after: Array<string> = []
          for (const path of paths) after.push((yield* ask(path)).cacheStatus)
          expect(after.map((status) => status.startsWith("hit"))).toEqual([false, false, true])
          for (const path of paths) expect((yield* ask(path)).cacheStatus).toBe(hit)
        }).pipe(Effect.provide(server)))
    }
  }
})

describe("what is of a group", () => {
  it.scoped("is all that was said, by route and defaults, each with its partitions and variants", () =>
    Effect.gen(function*() {
      const partition = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"])
      const groups = () => ["of the route"]
      const handler = Effect.as(HttpCache.group("a", "b"), HttpServerResponse.text("hello"))
      const ask = yield* serve(handler.pipe(withCache({ expiry: 60, partition, groups, vary: ["accept-language"] })))
        .pipe(
          Effect.provideService(HttpCache.Defaults, { groups: () => ["of all"] })
        )
      const asks = [{}, { "x-user": "ada" }, { "x-user": "ada", "accept-language": "fr" }]
      for (const group of ["a", "b", "of the route", "of all"]) {
        for (const headers of asks) yield* ask("/", { headers })
        for (const headers of asks) expect((yield* ask("/", { headers })).cacheStatus).toBe(hit)
        yield* HttpCache.collectGroup(group, { origin: `http://127.0.0.1:${ask.port}` })
        for (const headers of asks) expect((yield* ask("/", { headers })).cacheStatus).toMatch(/^fwd=.*stored/)
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("belongs to an origin", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          ({ method }) =>
            method === "GET"
              ? Effect.as(HttpCache.group("g"), HttpServerResponse.text("hello"))
              : Effect.as(HttpCache.collectGroup("g"), HttpServerResponse.empty())
        ).pipe(withCache({ expiry: 60 }))
      )
      const hosts = ["a.test", "b.test"]
      for (const host of hosts) yield* ask("/", { headers: { host } })
      yield* ask("/", { method: "DELETE", headers: { host: "a.test" } })
      const statuses: Array<string> = []
      for (const host of hosts) statuses.push((yield* ask("/", { headers: { host } })).cacheStatus)
      expect(statuses).toEqual([stored, hit])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("is known to a cache around one that has answered, from what that has stored too", () =>
    Effect.gen(function*() {
      const part = Effect.as(
        HttpCache.group("named"),
        HttpServerResponse.text("part", { headers: { "cache-groups": "\"told\"" } })
      ).pipe(withCache({ expiry: 60, name: "part", groups: () => ["of the route"] }))
      const page = Effect.as(part, HttpServerResponse.text("page")).pipe(withCache({ expiry: 30, name: "page" }))
      const ask = yield* serve(page)
      yield* ask("/")
      for (const group of ["named", "told", "of the route"]) {
        expect((yield* ask("/")).cacheStatus).toMatch(/^hit/)
        // The page is made of what is stored of the part.
        yield* TestClock.adjust("31 seconds")
        yield* ask("/")
        yield* HttpCache.collectGroup(group, { origin: `http://127.0.0.1:${ask.port}` })
        expect([group, (yield* ask("/")).cacheStatus]).toEqual([group, stored])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("stays, and grows, when what is stored is validated, completed or told of by HEAD", () =>
    Effect.gen(function*() {
      let run = 0
      const fields = { etag: "\"1\"", "cache-control": "max-age=10" }
      const handler = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) => {
        run++
        const names = { "cache-groups": `"run ${run}"` }
        if (headers["if-none-match"] === "\"1\"" && method === "GET") {
          return HttpServerResponse.empty({ status: 304, headers: { ...fields, ...names } })
        }
        if (url === "/part" && run === 1) {
          return HttpServerResponse.text("0123", {
            status: 206,
            headers: { ...fields, ...names, "content-range": "bytes 0-3/10" }
          })
        }
        if (url === "/part" && headers["range"] !== undefined) {
          return HttpServerResponse.text("456789", {
            status: 206,
            headers: { ...fields, ...names, "content-range": "bytes 4-9/10" }
          })
        }
        return HttpServerResponse.text("0123456789", { headers: { ...fields, ...names } })
      })
      const ask = yield* serve(handler.pipe(withCache()))
      const origin = `http://127.0.0.1:${ask.port}`
      const again = {
        "/304": ask("/304"),
        "/head": ask("/head", { method: "HEAD", headers: { "cache-control": "no-cache" } }),
        "/part": ask("/part")
      }
      for (const [path, update] of Object.entries(again)) {
        for (const group of ["run 1", "run 2"]) {
          run = 0
          yield* ask(path, path === "/part" ? { headers: { range: "bytes=0-3" } } : {})
          if (path === "/304") yield* TestClock.adjust("11 seconds")
          yield* update
          expect([path, run]).toEqual([path, 2])
          expect((yield* ask(path)).cacheStatus).toMatch(/^hit/)
          yield* HttpCache.collectGroup(group, { origin })
          expect([path, group, (yield* ask(path)).cacheStatus]).toEqual([path, group, stored])
          yield* HttpCache.collectEverything()
        }
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("may be named while a streamed body is sent", () =>
    Effect.gen(function*() {
      const chunks = Stream.make(bytes("a"), bytes("b")).pipe(Stream.tap(() => HttpCache.group("late")))
      const ask = yield* serve(Effect.sync(() => HttpServerResponse.stream(chunks)).pipe(withCache({ expiry: 60 })))
      expect((yield* ask("/")).text).toBe("ab")
      expect((yield* ask("/")).cacheStatus).toBe(hit)
      yield* HttpCache.collectGroup("late", { origin: `http://127.0.0.1:${ask.port}` })
      expect((yield* ask("/")).cacheStatus).not.toMatch(/^hit/)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("212: by another's run too, of which a page is made that knows its length", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let begun = 0
      const end = Effect.zipRight(Deferred.await(gate), Effect.as(HttpCache.group("late"), bytes("b")))
      const chunks = Stream.concat(Stream.make(bytes("a")), Stream.fromEffect(end))
      const part = Effect.sync(() => HttpServerResponse.stream(chunks)).pipe(withCache({ expiry: 60, name: "part" }))
      const page = Effect.map(part, ({ body }) => {
        begun++
        const stream = body._tag === "Stream" ? Stream.map(body.stream, (chunk) => chunk) : Stream.empty
        return HttpServerResponse.stream(stream, { contentLength: 2 })
      }).pipe(
        withCache({
          expiry: 60,
          name: "page",
          partition: Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"])
        })
      )
      const ask = yield* serve(page)
      const pageOf = (user: string) =>
        Effect.flatMap(ask.another, (other) => other("/", { headers: { "x-user": user } }))
      const ada = yield* Effect.fork(pageOf("ada"))
      yield* eventually(() => begun === 1)
      const bob = yield* Effect.fork(pageOf("bob"))
      yield* eventually(() => begun === 2)
      yield* Deferred.succeed(gate, undefined)
      expect([(yield* Fiber.join(ada)).text, (yield* Fiber.join(bob)).text]).toEqual(["ab", "ab"])
      expect((yield* pageOf("bob")).cacheStatus).toBe(hit)
      yield* HttpCache.collectGroup("late", { origin: `http://127.0.0.1:${ask.port}` })
      expect((yield* pageOf("bob")).cacheStatus).not.toMatch(/^hit/)
    }).pipe(Effect.provide(TestServer)))
})

describe("Cache-Group-Invalidation", () => {
  it.scoped.each([["GET", 200], ["HEAD", 200], ["OPTIONS", 204], ["POST", 400], ["POST", 500]] as const)(
    "of %s with %i forgets nothing",
    ([method, status]) =>
      Effect.gen(function*() {
        const headers = { "cache-group-invalidation": "\"g\"" }
        const ask = yield* serve(
          routes({
            "GET /": Effect.as(HttpCache.group("g"), HttpServerResponse.text("hello")),
            "* /other": HttpServerResponse.empty({ status, headers })
          }).pipe(HttpCache.middleware({ expiry: 60 }))
        )
        yield* ask("/")
        yield* ask("/other", { method })
        expect((yield* ask("/")).cacheStatus).toBe(hit)
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("does not cascade, and one that can't be read is logged", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const of = (groups: string) => counted({ headers: { "cache-groups": groups } })
      const ask = yield* serve(
        routes({
          "GET /both": of("\"a\", \"b\""),
          "GET /b": of("\"b\""),
          "PUT /write": HttpServerResponse.empty({ headers: { "cache-group-invalidation": "\"a\"" } }),
          "PUT /unread": HttpServerResponse.empty({ headers: { "cache-group-invalidation": "b" } })
        }).pipe(HttpCache.middleware({ expiry: 60 }))
      )
      for (const path of ["/both", "/b"]) yield* ask(path)
      yield* ask("/write", { method: "PUT" })
      expect((yield* ask("/b")).cacheStatus).toBe(hit)
      expect((yield* ask("/both")).cacheStatus).toBe(stored)
      yield* ask("/unread", { method: "PUT" })
      expect((yield* ask("/b")).cacheStatus).toBe(hit)
      expect(log.map(({ message }) => message)).toEqual([
        expect.stringContaining("Cache-Group-Invalidation can't be read")
      ])
    }).pipe(Effect.provide(TestServer), Effect.provide(logged(log)))
  })
})

describe("98: what can't be named can't be collected", () => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => `${at}`)
  const hello = HttpServerResponse.text("hello")
  const boom = (): never => {
    throw new Error("boom")
  }
  /** Made anew: each route is warned once. */
  const wrong = () => ({
    "a function that throws": Effect.succeed(hello).pipe(withCache({ ...withDetail, groups: boom })),
    "one text in place of a list": Effect.succeed(hello).pipe(withCache({ ...withDetail, groups: () => "product:7" })),
    "a number": Effect.succeed(hello).pipe(withCache({ ...withDetail, groups: () => [7] as never })),
    "no list": Effect.succeed(hello).pipe(withCache({ ...withDetail, groups: () => undefined as never })),
    "a text that is too long": Effect.as(HttpCache.group("a".repeat(257)), hello).pipe(withCache(withDetail)),
    "no text": Effect.as(HttpCache.group(undefined as never), hello).pipe(withCache(withDetail)),
    "more than 256": Effect.as(HttpCache.group(...many(257)), hello).pipe(withCache(withDetail)),
    "a field that can't be read": hello.pipe(
      HttpServerResponse.setHeader("cache-groups", "product"),
      Effect.succeed,
      withCache(withDetail)
    )
  })

  it.scoped.each(Object.keys(wrong()) as ReadonlyArray<keyof ReturnType<typeof wrong>>)(
    "%s: the response is sent, and not stored",
    (what) =>
      Effect.gen(function*() {
        const ask = yield* serve(wrong()[what])
        for (const _ of [1, 2]) {
          const { cacheStatus, status, text } = yield* ask("/")
          expect([status, text, cacheStatus]).toEqual([200, "hello", "fwd=uri-miss; detail=groups"])
        }
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped.each(
    [
      ["a function that throws", "groups of a response that is not stored: Error: boom"],
      ["one text in place of a list", "groups: \"product:7\" is no list of groups"],
      ["no text", "HttpCache.group: undefined is no text of at most 256 characters"],
      ["more than 256", "a response is of at most 256 groups"],
      ["a field that can't be read", "in quotes where Cache-Groups lists them"]
    ] as const
  )("%s is logged", ([what, message]) => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const ask = yield* serve(wrong()[what])
      yield* ask("/")
      expect(log.map(({ message }) => message)).toEqual(expect.arrayContaining([expect.stringContaining(message)]))
    }).pipe(Effect.provide(TestServer), Effect.provide(logged(log)))
  })

  it.scoped("256 are stored", () =>
    Effect.gen(function*() {
      const ask = yield* serve(Effect.as(HttpCache.group(...many(256)), hello).pipe(withCache(withDetail)))
      expect((yield* ask("/")).cacheStatus).toBe(stored)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("what withCollect can't name is logged, and the rest is forgotten", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /": counted().pipe(withCache({ expiry: 60 })),
        "PUT /": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect({ groups: boom }))
      }))
      yield* ask("/")
      expect((yield* ask("/", { method: "PUT" })).status).toBe(204)
      expect((yield* ask("/")).text).toBe("run 2")
      expect(log.map(({ message }) => message)).toEqual([expect.stringContaining("boom")])
    }).pipe(Effect.provide(TestServer), Effect.provide(logged(log)))
  })
})

describe("by hand", () => {
  const unknown = {
    "isn't known": HttpCache.collectGroup("g"),
    "origin is \"example.com\"; it must be scheme and host": HttpCache.collectGroup("g", { origin: "example.com" }),
    "is no text of at most 256 characters": HttpCache.collectGroup("a".repeat(257))
  }

  it.effect.each(Object.keys(unknown) as ReadonlyArray<keyof typeof unknown>)(
    "a group that can't be named dies with a sentence: %s",
    (sentence) =>
      Effect.gen(function*() {
        const cause = yield* Effect.flip(Effect.sandbox(unknown[sentence]))
        expect(Cause.pretty(cause)).toContain("TypeError: HttpCache.collectGroup: ")
        expect(Cause.pretty(cause)).toContain(sentence)
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("everything is forgotten, of each origin", () =>
    Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 60 })))
      const asks = ["a.test", "b.test"].map((host) => ask("/", { headers: { host } }))
      for (const ask of asks) yield* ask
      yield* HttpCache.collectEverything()
      for (const ask of asks) expect((yield* ask).cacheStatus).toBe(stored)
      for (const ask of asks) expect((yield* ask).cacheStatus).toBe(hit)
    }).pipe(Effect.provide(TestServer)))

  it.effect("a group without a cache above does nothing", () => HttpCache.group("g"))
})
