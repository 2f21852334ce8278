/** Leases of flights in a real Redis. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import { RedisCacheStorage, RedisSharedFlights } from "effect-http-cache/redis"
import { isRunning } from "./harness.js"
import { around, type Database, late, nodeOver, said } from "./nodes.js"
import { describeRedis } from "./redis.js"
import { bareClient, type ClientName, clients } from "./redisLayer.js"
import { redisServer } from "./redisServer.js"

/** The clock goes on, in real turns, until it has ended. */
const moving = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  TestClock.adjust("10 millis").pipe(
    Effect.andThen(Effect.sync(() => isRunning(fiber))),
    Effect.repeat({ while: (isRunning) => isRunning }),
    Effect.andThen(Fiber.join(fiber))
  )

describeRedis("flights that processes share by Redis", () => {
  it.scopedLive.each(["ioredis", "redis"] as const)(
    "159: have one lease at a time, by the client %s",
    (name: ClientName) =>
      Effect.gen(function*() {
        const server = yield* redisServer("none")
        const [a, b] = [yield* clients[name](server.port), yield* clients[name](server.port)]
        const [mine, theirs] = [RedisSharedFlights.make(a, { lease: 1e300 }), RedisSharedFlights.make(b)]
        const lease = yield* mine.take("a page")
        expect([yield* theirs.take("a page"), yield* mine.take("a page")]).toEqual(["taken", "taken"])
        const another = yield* theirs.take("another page")
        expect(another).not.toBe("taken")
        if (lease === "taken") return expect.unreachable()
        yield* lease
        const next = yield* theirs.take("a page")
        // What was given back before is somebody else's now.
        yield* lease
        expect([next === "taken", yield* mine.take("a page")]).toEqual([false, "taken"])
      })
  )

  it.scopedLive("have a lease that ends by itself, and leave nothing behind", () =>
    Effect.gen(function*() {
      const server = yield* redisServer("none")
      const flights = RedisSharedFlights.make(yield* clients.ioredis(server.port), { prefix: "test:", lease: 0.02 })
      const bare = yield* bareClient(server.port)
      expect(yield* flights.take("a page")).not.toBe("taken")
      yield* Effect.repeat(flights.take("a page"), { until: (lease) => lease !== "taken" })
      const keys = Effect.promise(() => bare.keys("test:*"))
      yield* Effect.repeat(keys, { until: (keys) => keys.length === 0 })
    }))

  it.scoped("run the handler once for two processes, and for each while Redis is gone", () =>
    Effect.gen(function*() {
      const server = yield* redisServer("none")
      const database: Database = { value: 0, reads: 0 }
      const over = (name: ClientName) =>
        Effect.flatMap(clients[name](server.port), (redis) =>
          nodeOver(Layer.merge(RedisCacheStorage.layer(redis), RedisSharedFlights.layer(redis)), database))
      const [a, b] = [yield* over("ioredis"), yield* over("redis")]
      const first = yield* late(a, database, "/1")
      const other = yield* Effect.fork(b("/1"))
      yield* TestClock.adjust("100 millis")
      yield* first.open
      expect(said(yield* first.reply)).toEqual(["value 0", "fwd=uri-miss; stored"])
      expect((yield* moving(other)).text).toBe("value 0")
      expect(database.reads).toBe(1)

      yield* Effect.promise(() =>
        server.stop()
      )
      const replies = yield* moving(yield* Effect.fork(Effect.all([a("/2"), b("/2")], { concurrency: "unbounded" })))
      expect([replies.map(({ status }) => status), database.reads]).toEqual([[200, 200], 3])
    }).pipe(Effect.provide(around)))

  it("name what is wrong with an option", () => {
    const redis = { send: () => Promise.resolve(null), subscribe: () => Promise.reject(), isCluster: false }
    expect(() => RedisSharedFlights.make(redis, { lease: 0 })).toThrow(
      "lease is 0; it must be a number of seconds above 0"
    )
  })
})
