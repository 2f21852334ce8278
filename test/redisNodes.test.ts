/** Failures of the list where two processes share one Redis, through the door. The numbers are those of docs/failures.md. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, TestClock } from "effect"
import type { CacheItem } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { failuresOfNodes } from "./failuresOfNodes.js"
import { around, type Database, type Greeter, late, nodeOver, origin, said } from "./nodes.js"
import { describeRedis } from "./redis.js"
import { bareClient, type ClientName, clients } from "./redisLayer.js"
import { type Persistence, redisServer } from "./redisServer.js"

const keyOf = (path: string) => `test:{${origin}${path}}`

/** Two processes; `late` asks the first one. */
const world = (how: Persistence = "none", durable = false) =>
  Effect.gen(function*() {
    const server = yield* redisServer(how)
    const bare = yield* bareClient(server.port)
    const database: Database = { value: 0, reads: 0 }
    const over = (client: ClientName) =>
      nodeOver(RedisCacheStorage.layerScoped(clients[client](server.port), { prefix: "test:", durable }), database)
    const [a, b] = [yield* over("ioredis"), yield* over("redis")]
    return { a, b, bare, database, late: (path: string) => late(a, database, path), server }
  })

describeRedis("two processes over one Redis", () => {
  const check = <E>(title: string, test: Effect.Effect<void, E, Scope.Scope | Greeter>) =>
    it.scoped(title, () => Effect.provide(test, around))

  failuresOfNodes(world())

  check(
    "32: what replaced an item stays when the old one would have gone",
    Effect.gen(function*() {
      const { server } = yield* world()
      const storage = RedisCacheStorage.make(yield* clients.ioredis(server.port), { maxFill: 0.01 })
      // A machine under load may take longer than twice `maxFill`: what is not stored then is stored again.
      const set = (item: CacheItem.CacheItem, lookup = lookupOf()) =>
        Effect.repeat(Effect.flatMap(storage.begin(lookup), (fill) => storage.set(item, fill)), {
          until: (kept) => kept === "kept"
        })
      const ada = lookupOf({}, { partition: "ada" })
      const bare = yield* bareClient(server.port)
      yield* set(itemOf("old", lookupOf(), { retainUntil: 20 }))
      yield* set(itemOf("new", lookupOf(), { retainUntil: 60_000 }))
      const [seconds] = yield* Effect.promise(() => bare.time())
      yield* Effect.repeat(Effect.promise(() => bare.time()), { until: ([now]) => Number(now) > Number(seconds) })
      yield* set(itemOf("Ada's", ada), ada)
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
