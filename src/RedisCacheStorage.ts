/**
 * A storage in Redis 7 and up, or Valkey, that several processes share: one server, one of Sentinel, or a cluster.
 *
 * @since 0.2.0
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { CacheStorage } from "./CacheStorage.js"
import * as CollectableCacheStorage from "./CollectableCacheStorage.js"
import { connect } from "./redis/connect.js"
import type { Redis } from "./redis/port.js"
import { settingsOf } from "./redis/settings.js"
import { RedisStorage } from "./redis/storage.js"

export {
  fromIoredis,
  fromNodeRedis,
  type Ioredis,
  type IoredisStream,
  type IoredisSubscriber,
  type NodeRedis,
  type NodeRedisCluster,
  type NodeRedisOptions,
  type NodeRedisSubscriber
} from "./redis/clients.js"
export type { Redis, Reply } from "./redis/port.js"

/**
 * Each has a default.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** What all keys in Redis begin with. Processes that share it share what is stored. Default `"effect-http-cache:"`. */
  readonly prefix?: string | undefined
  /** A larger item, with its fields, is not kept. Default 8 MiB. */
  readonly maxItemBytes?: number | undefined
  /** How many variants of one URI in one partition; the least recently stored goes first. Default 64. */
  readonly maxVariants?: number | undefined
  /**
   * For how many seconds a run of the handler is known in Redis; what took longer is not stored. It should not be below the
   * `deadline` of routes, plus the time that their bodies take. Default 120.
   */
  readonly maxFill?: number | undefined
  /**
   * The server loses nothing that it has answered, also when it is killed or fails over. Then what is stored survives a
   * restart. If that is not so, items that were collected may come back. Default `false`: what was stored before a server
   * was started again is not used.
   */
  readonly durable?: boolean | undefined
}

/**
 * What `layerConfig` needs to connect, and all of the others.
 *
 * @since 0.2.0
 * @category models
 */
export interface ConnectionOptions extends Options {
  /** `redis://user:password@host:port/database`, all but the host as you need it, or `rediss://` for TLS. */
  readonly url: Redacted.Redacted
}

/**
 * The storage as a service, to wrap it or to compose it with others. Throws a `TypeError` that says what is expected, when
 * an option is unknown, or has a value that it can't have.
 *
 * @example
 * ```ts
 * import { RedisCacheStorage } from "effect-http-cache/redis"
 *
 * const storageOf = (redis: RedisCacheStorage.Redis) => RedisCacheStorage.make(redis, { prefix: "shop:" })
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (redis: Redis, options: Options = {}): CollectableCacheStorage.SharedService =>
  new RedisStorage(redis, settingsOf(options))

/**
 * The normal setup, with a client that you have: routes can be cached and collected. Throws as `make` does.
 *
 * @example
 * ```ts
 * import { RedisCacheStorage } from "effect-http-cache/redis"
 * import { Redis } from "ioredis"
 *
 * const redis = RedisCacheStorage.fromIoredis(new Redis({ enableOfflineQueue: false }))
 * const storage = RedisCacheStorage.layer(redis, { prefix: "shop:" })
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (
  redis: Redis,
  options: Options = {}
): Layer.Layer<CacheStorage | CollectableCacheStorage.CollectableCacheStorage> => {
  const settings = settingsOf(options)
  return CollectableCacheStorage.layer(Effect.sync(() => new RedisStorage(redis, settings)))
}

/**
 * With a client that the layer acquires, and releases after all that runs for the storage. Throws as `make` does.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { RedisCacheStorage } from "effect-http-cache/redis"
 * import { Redis } from "ioredis"
 *
 * const client = Effect.acquireRelease(
 *   Effect.sync(() => new Redis({ enableOfflineQueue: false })),
 *   (client) => Effect.promise(() => client.quit())
 * )
 * const storage = RedisCacheStorage.layerScoped(Effect.map(client, RedisCacheStorage.fromIoredis))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerScoped = <E, R>(
  acquire: Effect.Effect<Redis, E, R>,
  options: Options = {}
): Layer.Layer<CacheStorage | CollectableCacheStorage.CollectableCacheStorage, E, Exclude<R, Scope.Scope>> => {
  const settings = settingsOf(options)
  return CollectableCacheStorage.layer(Effect.map(acquire, (redis) => new RedisStorage(redis, settings)))
}

/**
 * With a client of `ioredis` that the layer makes, from an Effect `Config`. The package `ioredis` must be installed. A wrong
 * value fails the layer; a server that can't be reached does not: handlers answer until it can be.
 *
 * @example
 * ```ts
 * import { Config } from "effect"
 * import { RedisCacheStorage } from "effect-http-cache/redis"
 *
 * const storage = RedisCacheStorage.layerConfig({
 *   url: Config.redacted("REDIS_URL"),
 *   prefix: Config.withDefault(Config.string("CACHE_PREFIX"), "shop:")
 * })
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<ConnectionOptions>
): Layer.Layer<CacheStorage | CollectableCacheStorage.CollectableCacheStorage, ConfigError | TypeError> =>
  CollectableCacheStorage.layer(Effect.gen(function*() {
    const { url, ...others } = yield* Config.unwrap(options)
    const settings = yield* Effect.try({ try: () => settingsOf(others), catch: (error) => error as TypeError })
    return new RedisStorage(yield* connect(url), settings)
  }))
