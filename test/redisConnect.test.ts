/** The layer that connects by itself, from a `Config`. */
import { expect, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Layer, Schedule } from "effect"
import { CollectableCacheStorage } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { describeRedis } from "./redis.js"
import { bareClient } from "./redisLayer.js"
import { redisServer } from "./redisServer.js"

const lookup = lookupOf()

/** The storage of a process with this environment. */
const storageOf = (environment: { readonly [name: string]: string }) =>
  Layer.build(Layer.fresh(RedisCacheStorage.layerConfig({
    url: Config.redacted("REDIS_URL"),
    prefix: Config.withDefault(Config.string("CACHE_PREFIX"), "test:"),
    maxFill: Config.withDefault(Config.number("MAX_FILL"), 60)
  }))).pipe(
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))),
    Effect.map((context) => Context.get(context, CollectableCacheStorage.CollectableCacheStorage))
  )

const store = (storage: CollectableCacheStorage.Service) =>
  Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemOf("x", lookup), fill))

const failure = (environment: { readonly [name: string]: string }) =>
  Effect.map(Effect.flip(storageOf(environment)), String)

describeRedis("a layer from a Config", () => {
  it.scopedLive("connects, and uses the prefix", () =>
    Effect.gen(function*() {
      const { port } = yield* redisServer()
      const url = `redis://127.0.0.1:${port}`
      const [a, b, other] = yield* Effect.all([
        storageOf({ REDIS_URL: url }),
        storageOf({ REDIS_URL: url }),
        storageOf({ REDIS_URL: url, CACHE_PREFIX: "other:" })
      ])
      expect(yield* store(a)).toBe("kept")
      expect((yield* b.get(lookup)).key).toBe(lookup.key)
      expect((yield* Effect.flip(other.get(lookup)))._tag).toBe("CacheMiss")
    }))

  it.scopedLive("says what is missing or wrong, and shows no password", () =>
    Effect.gen(function*() {
      expect(yield* failure({})).toContain("REDIS_URL")
      const expected = "TypeError: RedisCacheStorage: url must be redis://host:port, or rediss://host:port for TLS"
      for (const url of ["localhost:6379", "http://user:secret@localhost", "redis://", "redis:///0", "redis://:port"]) {
        expect(yield* failure({ REDIS_URL: url })).toBe(expected)
      }
      expect(yield* failure({ REDIS_URL: "redis://localhost", MAX_FILL: "0" }))
        .toBe("TypeError: RedisCacheStorage: maxFill is 0; it must be a number of seconds above 0")
    }))

  it.scopedLive("says that the server does not know the password or the database", () =>
    Effect.gen(function*() {
      const { port } = yield* redisServer()
      yield* Effect.flatMap(
        bareClient(port),
        (bare) => Effect.promise(() => bare.config("SET", "requirepass", "right"))
      )
      const refuses = "TypeError: RedisCacheStorage: Redis refuses the url: "
      for (const user of ["", ":wrong@"]) {
        const said = yield* failure({ REDIS_URL: `redis://${user}127.0.0.1:${port}` })
        expect(said.startsWith(refuses) && !said.includes("wrong")).toBe(true)
      }
      expect(yield* failure({ REDIS_URL: `redis://:right@127.0.0.1:${port}/99` })).toBe(
        `${refuses}ERR DB index is out of range`
      )
      expect(yield* store(yield* storageOf({ REDIS_URL: `redis://:right@127.0.0.1:${port}/3` }))).toBe("kept")
    }))

  it.scopedLive("is there without a server, and stores as soon as there is one", () =>
    Effect.gen(function*() {
      const server = yield* redisServer()
      yield* Effect.promise(() => server.stop())
      const storage = yield* storageOf({ REDIS_URL: `redis://127.0.0.1:${server.port}` })
      expect((yield* Effect.flip(storage.begin(lookup)))._tag).toBe("CacheStorageError")
      yield* Effect.promise(() => server.start())
      yield* Effect.retry(storage.begin(lookup), Schedule.spaced("10 millis"))
      expect(yield* store(storage)).toBe("kept")
    }))
})
