/** Nothing old after a write. The numbers are those of docs/failures.md. */
import { HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { CollectableCacheStorage, HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { counted, eventually, QuietServer, routes, serve, TestServer } from "./harness.js"
import { answering } from "./waiting.js"

const Request = HttpServerRequest.HttpServerRequest

describe("70: a POST that answers for a later GET", () => {
  /** `/doc` has a value; a `POST` to it answers with what it has then, and waits for its gate before it answers. */
  const world = Effect.gen(function*() {
    let value = 0
    let begun = 0
    const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const text = (headers = {}) => HttpServerResponse.text(`value ${value}`, { headers })
    const fresh = { "cache-control": "max-age=60" }
    const app = Effect.flatMap(Request, ({ method }) =>
      Effect.gen(function*() {
        if (method === "GET") return text(fresh)
        value++
        if (method === "PATCH") return text()
        const answer = text({ ...fresh, "content-location": "/doc" })
        yield* Deferred.await(gates[begun++]!)
        return answer
      })).pipe(HttpCache.middleware())
    const ask = yield* serve(app)
    const post = Effect.gen(function*() {
      const other = yield* ask.another
      const before = begun
      const posted = yield* Effect.fork(other("/doc", { method: "POST" }))
      yield* eventually(() => begun > before)
      return posted
    })
    return { ask, post, open: (gate: number) => Deferred.succeed(gates[gate]!, undefined) }
  })

  it.scoped("answers it where nothing has happened meanwhile", () =>
    Effect.gen(function*() {
      const { ask, open, post } = yield* world
      const posted = yield* post
      yield* open(0)
      expect((yield* Fiber.join(posted)).text).toBe("value 1")
      const hit = yield* ask("/doc")
      expect([hit.text, hit.cacheStatus]).toEqual(["value 1", "hit; ttl=60"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("does not where a PATCH was answered while it ran", () =>
    Effect.gen(function*() {
      const { ask, open, post } = yield* world
      const posted = yield* post
      expect((yield* ask("/doc", { method: "PATCH" })).text).toBe("value 2")
      yield* open(0)
      yield* Fiber.join(posted)
      expect((yield* ask("/doc")).text).toBe("value 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("does not where the URI was collected by hand, or by another's `also`", () =>
    Effect.gen(function*() {
      const { ask, open, post } = yield* world
      const posted = yield* post
      yield* HttpCache.collect(`http://127.0.0.1:${ask.port}/doc`)
      yield* open(0)
      yield* Fiber.join(posted)
      expect((yield* ask("/doc")).cacheStatus).toContain("fwd=uri-miss")
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each(["before", "after"])("does not where a PATCH was answered just %s it collects", (when) => {
    let meanwhile: Effect.Effect<unknown> = Effect.void
    const storage = CollectableCacheStorage.layer(
      Effect.map(Layer.build(InMemoryCacheStorage.layerCollectable), (context) => {
        const memory = Context.get(context, CollectableCacheStorage.CollectableCacheStorage)
        return {
          ...answering("at once", memory),
          collect: (...asked: Parameters<typeof memory.collect>) => {
            const collect = Effect.suspend(() => memory.collect(...asked))
            const other = Effect.suspend(() => meanwhile)
            return when === "before" ? Effect.zipRight(other, collect) : Effect.zipLeft(collect, other)
          }
        }
      })
    )
    return Effect.gen(function*() {
      const { ask, open, post } = yield* world
      const posted = yield* post
      const other = yield* ask.another
      meanwhile = Effect.suspend(() => {
        meanwhile = Effect.void
        return other("/doc", { method: "PATCH" })
      })
      yield* open(0)
      expect((yield* Fiber.join(posted)).text).toBe("value 1")
      expect((yield* ask("/doc")).text).toBe("value 2")
    }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, storage)))
  })

  it.scoped.each([[0, 1], [1, 0]])(
    "of two that overlap, whichever ends first, none leaves the older value",
    (order) =>
      Effect.gen(function*() {
        const { ask, open, post } = yield* world
        const posts = [yield* post, yield* post]
        for (const at of order as unknown as ReadonlyArray<number>) {
          yield* open(at)
          yield* Fiber.join(posts[at]!)
        }
        expect((yield* ask("/doc")).text).toBe("value 2")
      }).pipe(Effect.provide(TestServer))
  )
})

describe("71: a write through another spelling", () => {
  const router = routes({
    "GET /users/:id": counted().pipe(withCache({ expiry: 60 })),
    "PUT /users/:id": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect()),
    "GET /Catalogue/List": counted().pipe(withCache({ expiry: 60 })),
    "PUT /catalogue/list": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
  })
  const spellings = ["/users/1/", "/Users/1", "//users//1", "/users/%31", "/users/1?", "/users/1;a=b", "/USERS//1/"]

  it.scoped.each(spellings)(
    "PUT %s forgets what GET /users/1 keeps, and the other way round",
    (spelling) =>
      Effect.gen(function*() {
        const ask = yield* serve(router)
        for (const [reads, writes] of [["/users/1", spelling], [spelling, "/users/1"]] as const) {
          yield* ask(reads)
          expect((yield* ask(reads)).cacheStatus).toBe("hit; ttl=60")
          expect((yield* ask(writes, { method: "PUT" })).status).toBe(204)
          expect([reads, (yield* ask(reads)).cacheStatus]).toEqual([reads, "fwd=uri-miss; stored"])
        }
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("also where the route itself is written with capitals, and by hand", () =>
    Effect.gen(function*() {
      const ask = yield* serve(router)
      yield* ask("/Catalogue/List")
      yield* ask("/catalogue/list", { method: "PUT" })
      expect((yield* ask("/Catalogue/List")).text).toBe("run 2")
      yield* HttpCache.collect(`http://127.0.0.1:${ask.port}/catalogue/LIST/`)
      expect((yield* ask("/Catalogue/List")).text).toBe("run 3")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("what a read of another spelling is about to store is refused", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const slow = Effect.suspend(() => {
        const response = HttpServerResponse.text(`run ${++runs}`)
        return runs === 1 ? Effect.as(Deferred.await(gate), response) : Effect.succeed(response)
      })
      const ask = yield* serve(routes({
        "GET /users/:id": slow.pipe(withCache({ expiry: 60 })),
        "PUT /users/:id": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      }))
      const other = yield* ask.another
      const reading = yield* Effect.fork(other("/Users/1"))
      yield* eventually(() => runs === 1)
      yield* ask("/users/1", { method: "PUT" })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(reading)
      expect((yield* ask("/Users/1")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("forgets no other URI", () =>
    Effect.gen(function*() {
      const ask = yield* serve(router)
      for (const other of ["/users/2", "/users/1?q=1"]) {
        yield* ask(other)
        yield* ask("/users/1", { method: "PUT" })
        expect((yield* ask(other)).cacheStatus).toBe("hit; ttl=60")
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("a write with dots that lead above the root", () => {
  const app = Effect.map(Request, ({ method }) => HttpServerResponse.text(method)).pipe(
    HttpCache.middleware({ expiry: 60 })
  )

  it.scoped.each(["/../a", "/a/../../a", "/%2e%2e/a"])("150: PUT %s forgets /a", (path) =>
    Effect.gen(function*() {
      const ask = yield* serve(app)
      yield* ask("/a")
      yield* ask(path, { method: "PUT" })
      expect((yield* ask("/a")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("150: forgets nothing of a host whose name begins like its own", () =>
    Effect.gen(function*() {
      const ask = yield* serve(app)
      yield* ask("/x", { headers: { host: "a.example.org" } })
      yield* ask("/../.org/x", { method: "PUT", headers: { host: "a.example" } })
      expect((yield* ask("/x", { headers: { host: "a.example.org" } })).cacheStatus).toBe("hit; ttl=60")
    }).pipe(Effect.provide(TestServer)))
})

it.scoped("165: a target that names a user is that of all: it is answered with the same, and a write to it forgets that", () =>
  Effect.gen(function*() {
    const ask = yield* serve(
      Effect.map(Request, ({ method }) => HttpServerResponse.text(method)).pipe(HttpCache.middleware({ expiry: 60 }))
    )
    const host = { headers: { host: "a.example" } }
    const named = "http://ada:secret@a.example/x"
    yield* ask("/x", host)
    expect((yield* ask(named, host)).cacheStatus).toBe("hit; ttl=60")
    yield* ask(named, { method: "PUT", ...host })
    expect((yield* ask("/x", host)).cacheStatus).toBe("fwd=uri-miss; stored")
  }).pipe(Effect.provide(TestServer)))

describe("151: a host with an empty port is the one without", () => {
  const host = { headers: { host: "a.example:" } }

  it.scoped("for a read, a write and a collect", () =>
    Effect.gen(function*() {
      const app = Effect.map(Request, ({ headers }) => HttpServerResponse.text(headers["host"] ?? "")).pipe(
        HttpCache.middleware({ expiry: 60 })
      )
      const ask = yield* serve(app)
      expect((yield* ask("/", host)).text).toBe("a.example")
      expect((yield* ask("/", { headers: { host: "a.example" } })).cacheStatus).toBe("hit; ttl=60")
      yield* HttpCache.collect("http://a.example/")
      expect((yield* ask("/", host)).cacheStatus).toBe("fwd=uri-miss; stored")
      yield* ask("/", { method: "PUT", ...host })
      expect((yield* ask("/", { headers: { host: "a.example" } })).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(TestServer)))
})

describe("72: a rolling deploy on one storage", () => {
  const app = routes({
    "GET /users/:id": counted().pipe(withCache({ expiry: 60 })),
    "PATCH /users/:id": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
  })

  it.scoped("a write through one version reaches what another version keeps", () =>
    Effect.gen(function*() {
      let defaults: HttpCache.DefaultOptions = { version: "1" }
      const ask = yield* serve(Effect.suspend(() => Effect.provideService(app, HttpCache.Defaults, defaults)))
      yield* ask("/users/1")
      for (const version of ["2", undefined]) {
        defaults = { version }
        expect((yield* ask("/users/1")).cacheStatus).toBe("fwd=vary-miss; stored")
      }
      yield* ask("/users/1", { method: "PATCH" })
      for (const version of ["1", "2", undefined]) {
        defaults = { version }
        expect((yield* ask("/users/1")).cacheStatus).toMatch(/^fwd=/)
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a write through an app with a canonical origin reaches what one without has kept", () =>
    Effect.gen(function*() {
      let defaults: HttpCache.DefaultOptions = {}
      const ask = yield* serve(Effect.suspend(() => Effect.provideService(app, HttpCache.Defaults, defaults)))
      yield* ask("/users/1")
      defaults = { origin: "https://api.example.com" }
      yield* ask("/users/1", { method: "PATCH" })
      defaults = {}
      expect((yield* ask("/users/1")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each(["refuse", "strip"] as const)(
    "what cookies: \"store\" kept is not sent after a switch to %s",
    (cookies) =>
      Effect.gen(function*() {
        let setting: "store" | "refuse" | "strip" = "store"
        let isChanged = true
        const handler = Effect.map(
          counted({ headers: { etag: "\"1\"" } }),
          HttpServerResponse.unsafeSetCookie("sid", "ada")
        )
        const validated = Effect.flatMap(Request, ({ headers }) =>
          headers["if-none-match"] === undefined || isChanged
            ? handler
            : Effect.succeed(HttpServerResponse.empty({ status: 304 })))
        const ask = yield* serve(
          Effect.suspend(() => validated.pipe(withCache({ expiry: 60, name: "page", cookies: setting })))
        )
        expect((yield* ask("/")).headers["set-cookie"]).toHaveLength(1)
        expect((yield* ask("/")).headers["set-cookie"]).toHaveLength(1)
        setting = cookies
        isChanged = false
        const after = yield* ask("/")
        expect([after.cacheStatus.split(";")[0], after.text]).toEqual(["fwd=vary-miss", "run 2"])
        if (cookies === "strip") {
          const hit = yield* ask("/")
          expect([hit.cacheStatus, hit.headers["set-cookie"]]).toEqual(["hit; ttl=60", undefined])
        }
      }).pipe(Effect.provide(TestServer))
  )
})

describe("73: a flood of collects", () => {
  it.scoped("more fences than are kept cost the other keys neither their stores nor their single runs", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const slow = Effect.suspend(() => {
        const response = HttpServerResponse.text(`run ${++runs}`)
        return Effect.as(Deferred.await(gate), response)
      })
      const ask = yield* serve(routes({
        "GET /page": slow.pipe(withCache({ expiry: 60 })),
        "POST /*": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      }))
      const flood = (from: number) =>
        Effect.forEach(
          Array.from({ length: 20 }, (_, at) => `/${from + at}/${"x".repeat(200)}`),
          (path) => ask(path, { method: "POST" }),
          { discard: true }
        )
      for (const from of [100, 200, 300]) yield* flood(from)
      const clients = []
      for (let count = 0; count < 5; count++) {
        clients.push(yield* Effect.fork((yield* ask.another)("/page")))
        yield* eventually(() => runs > 0)
        yield* flood(1000 * (count + 1))
      }
      yield* Deferred.succeed(gate, undefined)
      for (const client of clients) expect((yield* Fiber.join(client)).text).toBe("run 1")
      expect([runs, (yield* ask("/page")).cacheStatus]).toEqual([1, "hit; ttl=60"])
      yield* TestClock.adjust("1 second")
    }).pipe(
      // Room for some fifty fences of this length.
      Effect.provide(InMemoryCacheStorage.layerWith({ maxBytes: 500_000 })),
      Effect.provide(TestServer)
    ))
})

describe("a write of whose answer no response can be made", () => {
  it.scoped("is forgotten all the same: the handler has done it", () =>
    Effect.gen(function*() {
      const unmade = { [HttpServerRespondable.symbol]: () => Effect.fail("no such page") }
      const collect = withCollect({ also: () => ["/list"], groups: () => ["all"] })
      const ask = yield* serve(routes({
        "GET /*": counted().pipe(withCache({ expiry: 60, groups: ({ url }) => url === "/member" ? ["all"] : [] })),
        "POST /done": Effect.succeed(unmade).pipe(collect),
        "POST /failed": Effect.fail("no such row").pipe(collect)
      }))
      const asked = (paths: ReadonlyArray<string>) =>
        Effect.forEach(paths, (path) => Effect.map(ask(path), ({ cacheStatus }) => cacheStatus.split(";")[0]))
      const paths = ["/done", "/list", "/member"]
      yield* asked([...paths, "/failed"])
      expect((yield* ask("/failed", { method: "POST" })).status).toBe(500)
      expect(yield* asked([...paths, "/failed"])).toEqual(["hit", "hit", "hit", "hit"])
      expect((yield* ask("/done", { method: "POST" })).status).toBe(500)
      expect(yield* asked([...paths, "/failed"])).toEqual(["fwd=uri-miss", "fwd=uri-miss", "fwd=uri-miss", "hit"])
    }).pipe(Effect.provide(QuietServer)))
})
