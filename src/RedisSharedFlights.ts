/**
 * One run of a handler for all processes that share a storage, by leases in Redis.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash, randomBytes } from "node:crypto"
import type { Redis } from "./redis/port.js"
import { giveBack } from "./redis/scripts.js"
import { Server } from "./redis/server.js"
import { flightsSettingsOf } from "./redis/settings.js"
import { type Service, SharedFlights } from "./SharedFlights.js"

/**
 * Each has a default.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** What all keys in Redis begin with. Processes that share it share runs of handlers. Default `"effect-http-cache:"`. */
  readonly prefix?: string | undefined
  /**
   * For how many seconds others wait for a run that does not end, as of a process that has crashed. A handler that takes
   * longer runs in each process. Default 5.
   */
  readonly lease?: number | undefined
}

/**
 * The leases as a service. Throws a `TypeError` that says what is expected, when an option is unknown, or has a
 * value that it can't have.
 *
 * @example
 * ```ts
 * import { RedisCacheStorage, RedisSharedFlights } from "effect-http-cache/redis"
 *
 * const flightsOf = (redis: RedisCacheStorage.Redis) => RedisSharedFlights.make(redis, { prefix: "shop:" })
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (redis: Redis, options: Options = {}): Service => {
  const { lease, prefix } = flightsSettingsOf(options)
  const server = new Server(redis, true)
  const tokenPrefix = randomBytes(12).toString("base64url")
  let tokens = 0
  return {
    take: (flight) =>
      Effect.tryPromise(async () => {
        const key = `${prefix}flight:${createHash("sha256").update(flight).digest("base64url")}`
        const token = `${tokenPrefix}${tokens++}`
        const reply = await redis.send(["SET", key, token, "NX", "PX", String(lease)])
        return reply === null
          ? "taken"
          : Effect.ignore(Effect.tryPromise(() => server.run(giveBack, [key], [token])))
      })
  }
}

/**
 * The leases for all caches that this layer is provided to, beside their storage. Throws as `make` does.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { RedisCacheStorage, RedisSharedFlights } from "effect-http-cache/redis"
 * import { Redis } from "ioredis"
 *
 * const redis = RedisCacheStorage.fromIoredis(new Redis({ enableOfflineQueue: false }))
 * const layer = Layer.merge(RedisCacheStorage.layer(redis), RedisSharedFlights.layer(redis, { lease: 10 }))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (redis: Redis, options: Options = {}): Layer.Layer<SharedFlights> =>
  Layer.succeed(SharedFlights, make(redis, options))
