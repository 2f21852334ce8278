/** A replica that a sentinel puts in the place of a lost server brings nothing back that was collected. */
import { expect, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { Redis } from "ioredis"
import { describeRedis } from "./redis.js"
import { bareClient } from "./redisLayer.js"
import { redisSentinel } from "./redisServer.js"

const name = "cache"

const sentinelClient = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const again = () => 50
      const client = new Redis({
        sentinels: [{ host: "127.0.0.1", port }],
        name,
        enableOfflineQueue: false,
        retryStrategy: again,
        sentinelRetryStrategy: again
      })
      client.on("error", () => {})
      return client
    }),
    (client) => Effect.sync(() => client.disconnect())
  )

describeRedis("a Redis with a sentinel", () => {
  it.scopedLive(
    "after a failover nothing is there that the replica had and had not seen collected",
    () =>
      Effect.gen(function*() {
        const { master, replica, sentinel } = yield* redisSentinel(name)
        const storage = RedisCacheStorage.make(RedisCacheStorage.fromIoredis(yield* sentinelClient(sentinel.port)))
        const [kept, gone] = [lookupOf({}, { key: "kept" }), lookupOf({}, { key: "gone" })]
        const fill = (lookup: typeof kept, text: string) =>
          Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemOf(text, lookup), fill))
        const connected = Effect.retry(storage.begin(kept), Schedule.spaced("20 millis"))
        yield* connected
        expect([yield* fill(kept, "old"), yield* fill(gone, "old")]).toEqual(["kept", "kept"])
        const bare = yield* bareClient(master.port)
        expect(yield* Effect.promise(() => bare.wait(1, 10_000))).toBe(1)

        replica.pause()
        const begun = yield* storage.begin(gone)
        yield* storage.collect({ keys: [gone.key], groups: [] })
        yield* Effect.promise(() => master.stop("SIGKILL"))
        replica.resume()
        const copies = yield* bareClient(replica.port)
        expect(yield* Effect.promise(() => copies.dbsize())).toBeGreaterThan(1)

        yield* connected
        expect((yield* Effect.promise(() => copies.role()))[0]).toBe("master")
        for (const lookup of [kept, gone]) expect((yield* Effect.flip(storage.get(lookup)))._tag).toBe("CacheMiss")
        expect(yield* storage.set(itemOf("late", gone), begun)).toBe("overtaken")
        expect(yield* fill(gone, "new")).toBe("kept")
        expect(new TextDecoder().decode((yield* storage.get(gone)).body)).toBe("new")
      }),
    60_000
  )
})
