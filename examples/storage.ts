/**
 * The storage of the examples: in memory, or by `STORAGE` in Redis (`redis://localhost:6379`), in a file of SQLite
 * (`sqlite:cache.db`) or in PostgreSQL (`postgres://localhost:5432/shop`). With `near+` before it, as in
 * `near+redis://localhost:6379`, what was found there is kept in the memory of the process too.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { Config, type ConfigError, Effect, Layer, Option, Redacted } from "effect"
import { CollectableCacheStorage, InMemoryCacheStorage, TieredCacheStorage } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"

const url = Config.redacted("STORAGE")

const inSql = Effect.map(
  Effect.promise(() => import("effect-http-cache/sql")),
  ({ SqlCacheStorage }) => SqlCacheStorage
)

/** Only who stores there needs the client. */
const clientOf = (text: string) =>
  Layer.unwrapEffect(Effect.promise(async (): Promise<Layer.Layer<SqlClient, SqlError | ConfigError.ConfigError>> => {
    if (text.startsWith("sqlite:")) {
      const { SqliteClient } = await import("@effect/sql-sqlite-node")
      return SqliteClient.layer({ filename: text.slice("sqlite:".length) })
    }
    const { PgClient } = await import("@effect/sql-pg")
    return PgClient.layer({ url: Redacted.make(text) })
  }))

const isRedis = (text: string) => !/^(?:sqlite|postgres|postgresql):/.test(text)

const farAt = (text: string) =>
  isRedis(text)
    ? Effect.acquireRelease(
      Effect.promise(async () => {
        const { Redis } = await import("ioredis")
        const redis = new Redis(text, { enableOfflineQueue: false, lazyConnect: true }).on("error", () => {})
        // Where it is not there yet, it is connected later.
        await redis.connect().catch(() => {})
        return redis
      }),
      (redis) => Effect.sync(() => redis.disconnect())
    ).pipe(Effect.map((redis) => RedisCacheStorage.make(RedisCacheStorage.fromIoredis(redis))))
    : Effect.flatMap(Layer.build(clientOf(text)), (context) =>
      Effect.provide(Effect.flatMap(inSql, ({ make }) => make()), context))

const nearAndFar = (text: string) =>
  CollectableCacheStorage.layer(
    Effect.flatMap(farAt(text), (far) => TieredCacheStorage.make(InMemoryCacheStorage.make(), far))
  )

const storageAt = (url: Redacted.Redacted) => {
  const text = Redacted.value(url)
  if (text.startsWith("near+")) return nearAndFar(text.slice("near+".length))
  return isRedis(text)
    ? RedisCacheStorage.layerConfig({ url: Config.succeed(url) })
    : Layer.provide(Layer.unwrapEffect(Effect.map(inSql, ({ layer }) => layer())), clientOf(text))
}

export const storage = Layer.unwrapEffect(
  Effect.map(
    Config.option(url),
    Option.match({
      onNone: () => InMemoryCacheStorage.layerCollectable,
      onSome: storageAt
    })
  )
).pipe(
  Layer.catchAll((error) => Layer.fail(`STORAGE: ${error.message}`))
)
