/** Processes that listen to what others collect in Redis, and keep near what they read. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { InMemoryCacheStorage, TieredCacheStorage } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { hearing, holds, isGone, isThere, lookup, store } from "./nearAndFar.js"
import { describeRedis } from "./redis.js"
import { bareClient, clientNames, clients, clusterClients, freshPrefix } from "./redisLayer.js"
import { redisCluster, redisServer } from "./redisServer.js"

const names = { keys: [lookup.key], groups: [] }

/** A process with a near storage; here nothing is slow, however busy the machine is. */
const processOver = (redis: RedisCacheStorage.Redis) =>
  TieredCacheStorage.make(InMemoryCacheStorage.make(), RedisCacheStorage.make(redis, { prefix: "shop:" }), {
    farTimeout: 5
  })

describeRedis("what is collected in Redis", () => {
  const everything = { keys: [], groups: [], everything: true }

  it.scopedLive.each(clientNames)(
    "%s: is told to who listens, from when it begins on",
    (name) =>
      Effect.gen(function*() {
        const server = yield* redisServer("none")
        const [a, b] = [yield* clients[name](server.port), yield* clients[name](server.port)]
        const [one, other] = [a, b].map((redis) => RedisCacheStorage.make(redis, { prefix: "shop:" }))
        yield* one!.collect({ keys: ["before"], groups: [] })
        const { heard } = yield* hearing(other!)
        yield* one!.collect({ keys: ["a", "b"], groups: ["g"] }, { soft: "unless-error" })
        yield* holds(Effect.sync(() => heard.length === 4))
        expect(heard[0]).toEqual(everything)
        const softly = { keys: [], groups: [], everything: false, soft: "unless-error" }
        expect(heard).toEqual(expect.arrayContaining([
          { ...softly, keys: ["a"] },
          { ...softly, keys: ["b"] },
          { ...softly, groups: ["g"] }
        ]))
      })
  )

  it.scopedLive.each(clientNames)("%s: what can't be read is about everything", (name) =>
    Effect.gen(function*() {
      const server = yield* redisServer("none")
      const bare = yield* bareClient(server.port)
      const { heard } = yield* hearing(RedisCacheStorage.make(yield* clients[name](server.port), { prefix: "shop:" }))
      for (const message of ["?", "null", "{\"keys\":1}"]) {
        yield* Effect.promise(() => bare.publish("shop:collected", message))
      }
      yield* holds(Effect.sync(() => heard.length === 4))
      expect(heard).toEqual([everything, everything, everything, everything])
    }))

  it.scopedLive.each(clientNames)(
    "%s: who loses the connection is told so, also where it would be there again at once",
    (name) =>
      Effect.gen(function*() {
        const server = yield* redisServer("none")
        const bare = yield* bareClient(server.port)
        const { fiber } = yield* hearing(RedisCacheStorage.make(yield* clients[name](server.port)))
        yield* Effect.promise(() => bare.call("CLIENT", ["KILL", "TYPE", "pubsub"]))
        expect(Exit.isFailure(yield* Effect.timeout(Fiber.await(fiber), "30 seconds"))).toBe(true)
      })
  )

  it.scopedLive.each(clientNames)(
    "%s: a near storage loses what is collected by another process",
    (name) =>
      Effect.gen(function*() {
        const server = yield* redisServer("none")
        const bare = yield* bareClient(server.port)
        const process = Effect.flatMap(clients[name](server.port), processOver)
        const [a, b] = [yield* process, yield* process]
        const isNear = Effect.gen(function*() {
          yield* store(a)
          yield* isThere(b)
          // Redis has lost it.
          yield* Effect.promise(() => bare.flushall())
          return yield* isThere(b)
        })
        yield* store(a)
        yield* holds(isThere(b))
        yield* a.collect(names)
        yield* holds(isGone(b))

        // It does not hear that one, and hears again.
        yield* store(a)
        yield* holds(isThere(b))
        yield* Effect.promise(() => bare.call("CLIENT", ["KILL", "TYPE", "pubsub"]))
        yield* a.collect(names)
        yield* holds(isGone(b))
        yield* holds(isNear)
      })
  )

  it.scopedLive("a server that is started again: what was near is forgotten", () =>
    Effect.gen(function*() {
      const server = yield* redisServer("none")
      const process = Effect.flatMap(clients.ioredis(server.port), processOver)
      const [a, b] = [yield* process, yield* process]
      yield* store(a)
      yield* holds(isThere(b))
      yield* Effect.promise(() => server.stop())
      yield* Effect.ignore(a.collect(names))
      expect(yield* isThere(b)).toBe(true)
      yield* Effect.promise(() => server.start())
      yield* holds(isGone(b))
    }))

  it.scopedLive("a cluster tells it whichever server is listened to", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
      const cluster = yield* Scope.extend(redisCluster, scope)
      for (const name of clientNames) {
        const storage = RedisCacheStorage.make(yield* clusterClients[name](cluster.servers[0]!.port), {
          prefix: freshPrefix()
        })
        const { fiber, heard } = yield* hearing(storage)
        const keys = Array.from({ length: 30 }, (_, at) => `http://localhost/${at}`)
        yield* storage.collect({ keys, groups: [] })
        yield* holds(Effect.sync(() => heard.length === 31))
        for (const bare of cluster.bare) yield* Effect.promise(() => bare.call("CLIENT", ["KILL", "TYPE", "pubsub"]))
        expect(Exit.isFailure(yield* Effect.timeout(Fiber.await(fiber), "30 seconds"))).toBe(true)
      }
    }), 30_000)
})
