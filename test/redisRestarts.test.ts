/** A server of Redis that loses what it has answered brings nothing back that was collected. */
import { expect, it, vi } from "@effect/vitest"
import { Effect } from "effect"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { keep, read } from "./keeping.js"
import { describeRedis } from "./redis.js"
import { bareClient, clientNames, clients } from "./redisLayer.js"
import { type Persistence, redisServer } from "./redisServer.js"

const persistences: ReadonlyArray<Persistence> = ["none", "rdb", "aof"]

const lookups = Array.from({ length: 20 }, (_, at) => lookupOf({}, { key: `http://localhost/${at}` }))
/** The first ten are collected by URI or by group, and the others are not. */
const collected = lookups.slice(0, 10)
const groupsOf = (at: number) => at >= 5 && at < 10 ? ["of these"] : at % 2 === 0 ? ["of others"] : []

const names = { keys: collected.slice(0, 5).map(({ key }) => key), groups: ["of these"] }

describeRedis("a server of Redis that is started again", () => {
  /** Stores, collects half of it, and starts the server again after `stop`. */
  const restarted = (
    client: "ioredis" | "redis",
    how: Persistence,
    options: RedisCacheStorage.Options,
    isKilled: boolean
  ) =>
    Effect.gen(function*() {
      const server = yield* redisServer(how)
      const storage = RedisCacheStorage.make(yield* clients[client](server.port), options)
      yield* Effect.forEach(lookups, (lookup, at) =>
        Effect.flatMap(storage.begin(lookup), (fill) =>
          storage.set(itemOf(lookup.key, lookup, { groups: groupsOf(at) }), fill)))
      const fill = yield* storage.begin(lookups[19]!)
      // A snapshot of the time before the collect; what comes later is lost with a server that is killed.
      if (how === "rdb") {
        yield* Effect.flatMap(bareClient(server.port), (bare) =>
          Effect.promise(() =>
            bare.save()
          ))
      }
      yield* storage.collect(names)
      yield* Effect.promise(async () => {
        await server.stop(isKilled ? "SIGKILL" : "SIGTERM")
        await server.start()
      })
      return { fill, storage }
    })

  /** How many of these are found, once the client has connected again. */
  const found = (storage: ReturnType<typeof RedisCacheStorage.make>, of: typeof lookups) =>
    Effect.gen(function*() {
      const connected = storage.begin(lookupOf({}, { key: "http://localhost/anything" }))
      yield* Effect.eventually(connected)
      const are = yield* Effect.forEach(of, (lookup) => Effect.isSuccess(storage.get(lookup)))
      return are.filter((isFound) => isFound).length
    })

  const cases = clientNames.flatMap((client) => persistences.map((how) => ({ client, how })))

  it.scopedLive.each(cases)(
    "$client, $how: brings back nothing that was collected, and stores again",
    ({ client, how }) =>
      Effect.gen(function*() {
        const { fill, storage } = yield* restarted(client, how, {}, true)
        expect(yield* found(storage, lookups)).toBe(0)
        expect(yield* storage.set(itemOf("late", lookups[19]), fill)).toBe("overtaken")
        const again = yield* storage.begin(lookups[0]!)
        expect(yield* storage.set(itemOf("new", lookups[0], { groups: ["of these"] }), again)).toBe("kept")
        expect(yield* found(storage, lookups)).toBe(1)
      })
  )

  it.scopedLive("keeps, where it is said to be durable and is, what was not collected", () =>
    Effect.gen(function*() {
      const { fill, storage } = yield* restarted("ioredis", "aof", { durable: true }, false)
      expect([yield* found(storage, collected), yield* found(storage, lookups)]).toEqual([0, 10])
      expect(yield* storage.set(itemOf("new", lookups[19]), fill)).toBe("kept")
    }))

  it.scopedLive("brings back all that was collected where it is said to be durable and is not", () =>
    Effect.gen(function*() {
      const { storage } = yield* restarted("ioredis", "rdb", { durable: true }, true)
      expect(yield* found(storage, collected)).toBe(10)
    }))

  it.scopedLive("is noticed by a process that was told nothing of it, before anything is read", () =>
    Effect.gen(function*() {
      const server = yield* redisServer("rdb")
      const lookup = lookups[0]!
      const storage = RedisCacheStorage.make(yield* clients.ioredis(server.port))
      const sleeper = RedisCacheStorage.make(yield* clients.redis(server.port))
      yield* Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemOf("old", lookup), fill))
      expect((yield* sleeper.get(lookup)).key).toBe(lookup.key)
      yield* Effect.flatMap(bareClient(server.port), (bare) => Effect.promise(() => bare.save()))
      yield* storage.collect({ keys: [lookup.key], groups: [] })
      yield* Effect.promise(async () => {
        await server.stop()
        await server.start()
      })
      yield* Effect.eventually(Effect.asVoid(sleeper.begin(lookups[1]!)))
      expect((yield* Effect.flip(sleeper.get(lookup)))._tag).toBe("CacheMiss")
    }))

  it.scopedLive(
    "139, 160: is a server that was a replica meanwhile, and missed a collect",
    () =>
      Effect.gen(function*() {
        const first = yield* redisServer()
        const second = yield* redisServer("none", ["--replicaof", "127.0.0.1", String(first.port)])
        const [bareFirst, bareSecond] = [yield* bareClient(first.port), yield* bareClient(second.port)]
        const followed = (replica: typeof bareFirst) =>
          Effect.repeat(Effect.delay(Effect.promise(() => replica.info("replication")), "20 millis"), {
            until: (info) => info.includes("master_link_status:up")
          })
        const follow = (replica: typeof bareFirst, host: string, port: number | string) =>
          Effect.promise(() => replica.call("REPLICAOF", host, port))
        const ofFirst = yield* clients.ioredis(first.port)
        const ofSecond = yield* clients.ioredis(second.port)
        // As a client of a sentinel: it asks the one that is written to.
        let asked = ofFirst
        const opened = () => RedisCacheStorage.make({ ...ofFirst, send: (args) => asked.send(args) })
        const [storage, sleeper] = [opened(), opened()]
        yield* followed(bareSecond)
        const lookup = lookups[0]!
        expect(yield* keep(storage, itemOf("old", lookup), lookup)).toBe("kept")
        expect(yield* Effect.promise(() => bareFirst.wait(1, 10_000))).toBe(1)

        expect(yield* read(sleeper, lookup)).toBe("old")
        yield* follow(bareSecond, "NO", "ONE")
        yield* follow(bareFirst, "127.0.0.1", second.port)
        yield* followed(bareFirst)
        asked = ofSecond
        expect(yield* read(storage, lookup)).toBe("uri-miss")
        // It is cut off from now on.
        yield* follow(bareFirst, "127.0.0.1", 1)
        yield* storage.collect({ keys: [lookup.key], groups: [] })

        yield* Effect.promise(() => second.stop())
        yield* follow(bareFirst, "NO", "ONE")
        asked = ofFirst
        // One that has asked nothing meanwhile. It takes a second at least until a server takes over and another one back.
        const now = vi.spyOn(process.hrtime, "bigint").mockReturnValue(process.hrtime.bigint() + 1_000_000_000n)
        expect(yield* read(sleeper, lookup).pipe(Effect.ensuring(Effect.sync(() => now.mockRestore())))).toBe(
          "uri-miss"
        )
        expect(yield* read(storage, lookup)).toBe("uri-miss")
        expect(yield* keep(storage, itemOf("new", lookup), lookup)).toBe("kept")
        expect(yield* read(storage, lookup)).toBe("new")
      }),
    30_000
  )

  it.scopedLive("stores again in a server that has got a replica", () =>
    Effect.gen(function*() {
      const server = yield* redisServer()
      const storage = RedisCacheStorage.make(yield* clients.ioredis(server.port))
      const lookup = lookups[0]!
      yield* keep(storage, itemOf("old", lookup), lookup)
      expect(yield* read(storage, lookup)).toBe("old")
      yield* redisServer("none", ["--replicaof", "127.0.0.1", String(server.port)])
      const bare = yield* bareClient(server.port)
      yield* Effect.repeat(Effect.promise(() => bare.wait(1, 1000)), { until: (replicas) => replicas === 1 })
      expect(yield* keep(storage, itemOf("new", lookup), lookup)).toBe("kept")
      expect(yield* read(storage, lookup)).toBe("new")
    }), 30_000)

  it.scopedLive("fails each call while there is none, by the name of the method and of what it is about", () =>
    Effect.gen(function*() {
      const server = yield* redisServer()
      const { isCluster, subscribe } = yield* clients.ioredis(server.port)
      const broken = new Error("Connection is closed.")
      const storage = RedisCacheStorage.make({ isCluster, subscribe, send: () => Promise.reject(broken) })
      const lookup = lookups[0]!
      const fill = { lookup, item: undefined, since: { token: "t" } }
      const failures = yield* Effect.all([
        Effect.flip(storage.get(lookup)),
        Effect.flip(storage.begin(lookup)),
        Effect.flip(storage.set(itemOf("1", lookup), fill)),
        Effect.flip(storage.collect({ keys: [lookup.key], groups: [] })),
        Effect.flip(storage.holds({ keys: [lookup.key], groups: [] }, fill))
      ])
      const methods = ["get", "begin", "set", "collect", "holds"] as const
      expect(failures).toEqual(methods.map((method) =>
        expect.objectContaining({
          _tag: "CacheStorageError",
          storage: "RedisCacheStorage",
          method,
          key: lookup.key,
          cause: broken
        })
      ))
    }))
})
