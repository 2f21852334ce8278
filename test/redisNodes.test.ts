/** Failures of the list where two processes share one Redis, through the door. The numbers are those of docs/failures.md. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, type Scope, TestClock } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { eventually, logged, routes, serve } from "./harness.js"
import { describeRedis } from "./redis.js"
import { bareClient, type ClientName, clients } from "./redisLayer.js"
import { type Persistence, redisServer } from "./redisServer.js"

const origin = "http://shop.example"
const keyOf = (path: string) => `test:{${origin}${path}}`

class Greeter extends Context.Tag("Greeter")<Greeter, string>() {}

/** What handlers read, and how often they did. */
interface Database {
  value: number
  reads: number
}

/** One process: a server with a storage, a client of Redis and flights of its own. */
const nodeOver = (port: number, client: ClientName, database: Database, durable: boolean) =>
  Effect.gen(function*() {
    const gate: { wait: Effect.Effect<void> } = { wait: Effect.void }
    const text = (headers = {}) => HttpServerResponse.text(`value ${database.value}`, { headers })
    const read = Effect.suspend(() => {
      const response = text()
      database.reads++
      return Effect.as(gate.wait, response)
    })
    const write = Effect.sync(() => {
      database.value++
      return HttpServerResponse.empty()
    })
    const post = Effect.suspend(() => {
      database.value++
      const response = text({ "cache-control": "max-age=60", "content-location": "/posted" })
      return Effect.as(gate.wait, response)
    })
    const validated = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      const etag = `"${database.value}"`
      const fields = { etag, "cache-control": "max-age=10" }
      const response = headers["if-none-match"] === etag
        ? HttpServerResponse.empty({ status: 304, headers: fields })
        : text(fields)
      return Effect.as(gate.wait, response)
    })
    const app = routes({
      "GET /validated": validated.pipe(withCache()),
      "* /posted": post.pipe(HttpCache.middleware()),
      "GET /context": Effect.map(Greeter, HttpServerResponse.text).pipe(withCache({ expiry: 60 })),
      "GET /group/:id": read.pipe(withCache({ expiry: 60, groups: () => ["all"] })),
      "POST /group": write.pipe(withCollect({ groups: () => ["all"] })),
      "GET /:id": read.pipe(withCache({ expiry: 60, staleIfError: 3600 })),
      "PATCH /:id": write.pipe(withCollect())
    })
    const storage = RedisCacheStorage.layerScoped(clients[client](port), { prefix: "test:", durable })
    const context = yield* Layer.build(Layer.fresh(Layer.merge(NodeHttpServer.layerTest, storage)))
    const ask = yield* Effect.provide(serve(app), context)
    return Object.assign(ask, { gate })
  })

/** Two processes. `late` asks a node, and goes on when its handler has read what it answers. */
const world = (how: Persistence = "none", durable = false) =>
  Effect.gen(function*() {
    const server = yield* redisServer(how)
    const bare = yield* bareClient(server.port)
    const database: Database = { value: 0, reads: 0 }
    const a = yield* nodeOver(server.port, "ioredis", database, durable)
    const b = yield* nodeOver(server.port, "redis", database, durable)
    const late = (path: string) =>
      Effect.gen(function*() {
        const { reads } = database
        const open = yield* Deferred.make<void>()
        a.gate.wait = Deferred.await(open)
        const reply = yield* Effect.fork((yield* a.another)(path))
        yield* eventually(() => database.reads > reads)
        a.gate.wait = Effect.void
        return { reply: Fiber.join(reply), open: Deferred.succeed(open, undefined) }
      })
    return { a, b, bare, database, late, server }
  })

const said = (reply: { readonly text: string; readonly cacheStatus: string }) => [reply.text, reply.cacheStatus]

const around = Layer.mergeAll(
  Layer.succeed(HttpCache.Defaults, { origin, storageTimeout: 5 }),
  Layer.succeed(Greeter, "hello"),
  logged([])
)

describeRedis("two processes over one Redis", () => {
  const check = <E>(title: string, test: Effect.Effect<void, E, Scope.Scope | Greeter>) =>
    it.scoped(title, () => Effect.provide(test, around))

  check(
    "what one stores the other serves, and what one collects the other asks for again",
    Effect.gen(function*() {
      const { a, b } = yield* world()
      expect(said(yield* a("/1"))).toEqual(["value 0", "fwd=uri-miss; stored"])
      expect(said(yield* b("/1"))).toEqual(["value 0", "hit; ttl=60"])
      yield* b("/1", { method: "PATCH" })
      expect(said(yield* a("/1"))).toEqual(["value 1", "fwd=uri-miss; stored"])
      yield* a("/group/1")
      expect(said(yield* b("/group/1"))).toEqual(["value 1", "hit; ttl=60"])
      yield* b("/group", { method: "POST" })
      expect(said(yield* a("/group/1"))).toEqual(["value 2", "fwd=uri-miss; stored"])
    })
  )

  check(
    "31: a fill of one that began before a collect by the other stores nothing, for a URI and for a group",
    Effect.gen(function*() {
      const { a, b, late } = yield* world()
      for (const [path, write, method] of [["/1", "/1", "PATCH"], ["/group/1", "/group", "POST"]] as const) {
        const { open, reply } = yield* late(path)
        yield* b(write, { method })
        yield* open
        yield* reply
        const fresh = yield* b(path)
        expect(fresh.cacheStatus).toBe("fwd=uri-miss; stored")
        expect((yield* a(path)).text).toBe(fresh.text)
      }
    })
  )

  check(
    "32: what replaced an item stays when the old one would have gone",
    Effect.gen(function*() {
      const { server } = yield* world()
      const storage = RedisCacheStorage.make(yield* clients.ioredis(server.port), { maxFill: 0.01 })
      const set = (text: string, lasts: number) =>
        Effect.flatMap(
          storage.begin(lookupOf()),
          (fill) => storage.set(itemOf(text, lookupOf(), { retainUntil: lasts }), fill)
        )
      const ada = lookupOf({}, { partition: "ada" })
      const bare = yield* bareClient(server.port)
      yield* set("old", 20)
      yield* set("new", 60_000)
      const [seconds] = yield* Effect.promise(() => bare.time())
      yield* Effect.repeat(Effect.promise(() => bare.time()), { until: ([now]) => Number(now) > Number(seconds) })
      yield* Effect.flatMap(storage.begin(ada), (fill) => storage.set(itemOf("Ada's", ada), fill))
      expect(Buffer.from((yield* storage.get(lookupOf())).body).toString()).toBe("new")
    })
  )

  check(
    "33: what has no group writes nothing about groups, and what has one leaves nothing of it behind",
    Effect.gen(function*() {
      const { a, bare } = yield* world()
      const ledger = Effect.promise(() => bare.zrange("test:{collects}", "0", "-1"))
      yield* a("/1")
      const before = yield* ledger
      for (let id = 0; id < 5; id++) yield* a(`/group/${id}`)
      yield* a("/1", { method: "PATCH" })
      expect([before, yield* ledger].map((members) => members.sort())).toEqual([["e", "n"], ["e", "n"]])
    })
  )

  check(
    "34: a collect by one removes what is stale too, for the other",
    Effect.gen(function*() {
      const { a, b, bare, database } = yield* world()
      yield* a("/1")
      yield* TestClock.adjust("61 seconds")
      expect(yield* Effect.promise(() => bare.exists(keyOf("/1")))).toBe(1)
      yield* b("/1", { method: "PATCH" })
      expect(yield* Effect.promise(() => bare.exists(keyOf("/1")))).toBe(0)
      expect([said(yield* a("/1")), database.reads]).toEqual([["value 1", "fwd=uri-miss; stored"], 2])
    })
  )

  check(
    "44: a record that is corrupt, foreign or older is a miss and goes away",
    Effect.gen(function*() {
      const { a, b, bare } = yield* world()
      for (const record of ["", "of somebody else", "ehc0....", JSON.stringify(itemOf("JSON"))]) {
        yield* a("/1")
        yield* Effect.promise(() => bare.hset(keyOf("/1"), "i0:", record))
        expect(said(yield* b("/1"))).toEqual(["value 0", "fwd=uri-miss; stored"])
        expect(said(yield* a("/1"))).toEqual(["value 0", "hit; ttl=60"])
      }
    })
  )

  check(
    "45: after a restart of a durable server the age goes on",
    Effect.gen(function*() {
      const { a, b, server } = yield* world("aof", true)
      yield* a("/1")
      yield* TestClock.adjust("7 seconds")
      yield* Effect.promise(() => server.stop("SIGTERM"))
      yield* Effect.promise(() => server.start())
      const client = yield* bareClient(server.port)
      yield* Effect.promise(() => client.ping())
      const reply = yield* Effect.repeat(b("/1"), {
        until: ({ cacheStatus }) => cacheStatus.startsWith("hit"),
        times: 500
      })
      expect([reply.cacheStatus, reply.headers["age"]]).toEqual(["hit; ttl=53", "7"])
    })
  )

  check(
    "47: a line break in a field of a record never reaches a client",
    Effect.gen(function*() {
      const { a, b, bare } = yield* world()
      yield* a("/1")
      yield* Effect.promise(async () => {
        const record = await bare.hgetBuffer(keyOf("/1"), "i0:")
        const broken = record!.toString("latin1").replace("text/plain", "a\\r\\nx-b: ")
        expect(broken.length).toBe(record!.length)
        await bare.hset(keyOf("/1"), "i0:", Buffer.from(broken, "latin1"))
      })
      const reply = yield* b("/1")
      expect([...said(reply), reply.headers["x-b"]]).toEqual(["value 0", "fwd=uri-miss; stored", undefined])
    })
  )

  check(
    "53: who comes after a collect by the other does not join a flight that began before it",
    Effect.gen(function*() {
      const { a, b, late } = yield* world()
      const { open, reply } = yield* late("/1")
      yield* b("/1", { method: "PATCH" })
      expect((yield* a("/1")).text).toBe("value 1")
      yield* open
      expect((yield* reply).text).toBe("value 0")
      expect((yield* a("/1")).text).toBe("value 1")
    })
  )

  check(
    "54: a collect that one could not deliver is delivered before that one reads again, also for the other",
    Effect.gen(function*() {
      const { a, b, server } = yield* world("aof", true)
      yield* a("/1")
      yield* Effect.promise(() => server.stop("SIGTERM"))
      let isWritten = false
      const write = Effect.tap(a("/1", { method: "PATCH" }), () => Effect.sync(() => isWritten = true))
      const written = yield* Effect.fork(write)
      yield* Effect.repeat(TestClock.adjust("5 millis"), { until: () => isWritten })
      expect((yield* Fiber.join(written)).status).toBe(204)
      yield* Effect.promise(() => server.start())
      // The client connects again, and the circuit breaker lets Redis be asked.
      const reply = yield* Effect.repeat(Effect.zipRight(TestClock.adjust("1 second"), a("/1")), {
        until: ({ cacheStatus }) => cacheStatus.endsWith("stored"),
        times: 500
      })
      expect(said(reply)).toEqual(["value 1", "fwd=uri-miss; stored"])
      yield* TestClock.adjust("10 seconds")
      expect((yield* b("/1")).text).toBe("value 1")
    })
  )

  check(
    "55: a late 304 to one doesn't put an old response in the place of a newer one of the other",
    Effect.gen(function*() {
      const { a, b, database } = yield* world()
      yield* a("/validated")
      yield* TestClock.adjust("10 seconds")
      const open = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      a.gate.wait = Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(open))
      const late = yield* Effect.fork((yield* a.another)("/validated"))
      yield* Deferred.await(started)
      database.value++
      expect((yield* b("/validated")).text).toBe("value 1")
      yield* Deferred.succeed(open, undefined)
      expect((yield* Fiber.join(late)).text).toBe("value 0")
      a.gate.wait = Effect.void
      expect(said(yield* a("/validated"))).toEqual(["value 1", "hit; ttl=10"])
    })
  )

  check(
    "59: the caller's services are as they were, after a miss and after a hit",
    Effect.gen(function*() {
      const { a, b } = yield* world()
      expect([said(yield* a("/context")), said(yield* b("/context")), yield* Greeter]).toEqual([
        ["hello", "fwd=uri-miss; stored"],
        ["hello", "hit; ttl=60"],
        "hello"
      ])
    })
  )

  check(
    "70: what a POST to one answered for a later GET is not stored when the other was written to meanwhile",
    Effect.gen(function*() {
      const { a, b, database } = yield* world()
      const open = yield* Deferred.make<void>()
      a.gate.wait = Deferred.await(open)
      const posted = yield* Effect.fork((yield* a.another)("/posted", { method: "POST" }))
      yield* eventually(() => database.value === 1)
      yield* b("/posted", { method: "PUT" })
      yield* Deferred.succeed(open, undefined)
      expect((yield* Fiber.join(posted)).text).toBe("value 1")
      a.gate.wait = Effect.void
      expect((yield* b("/posted")).text).not.toBe("value 1")
    })
  )

  check(
    "73: a flood of collects by one costs the other neither its stores nor its single runs",
    Effect.gen(function*() {
      const { a, b, database, late } = yield* world()
      const { open, reply } = yield* late("/page")
      const others = []
      for (let round = 0; round < 3; round++) {
        for (let id = 0; id < 50; id++) yield* b(`/${round}-${id}`, { method: "PATCH" })
        others.push(Fiber.join(yield* Effect.fork((yield* a.another)("/page"))))
      }
      yield* open
      for (const other of [reply, ...others]) expect((yield* other).text).toBe("value 0")
      expect([database.reads, (yield* b("/page")).cacheStatus]).toEqual([1, "hit; ttl=60"])
    })
  )

  check(
    "89: one key that Redis can't bear does not take the others down",
    Effect.gen(function*() {
      const { a, b, bare } = yield* world()
      yield* a("/good")
      yield* Effect.promise(() => bare.set(keyOf("/bad"), "of another type"))
      for (let second = 0; second < 30; second++) {
        expect(said(yield* a("/bad"))).toEqual(["value 0", "fwd=miss"])
        if (second % 10 === 9) expect((yield* b("/good")).cacheStatus).toMatch(/^hit/)
        yield* TestClock.adjust("1 second")
      }
    })
  )
})
