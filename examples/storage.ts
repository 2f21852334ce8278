/**
 * The storage of the examples: in memory, or by `STORAGE` in Redis (`redis://localhost:6379`), in a file of SQLite
 * (`sqlite:cache.db`) or in PostgreSQL (`postgres://localhost:5432/shop`).
 */
import { PgClient } from "@effect/sql-pg"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Config, Effect, Layer, Option, Redacted } from "effect"
import { InMemoryCacheStorage } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { SqlCacheStorage } from "effect-http-cache/sql"

const url = Config.redacted("STORAGE")

const inRedis = RedisCacheStorage.layerConfig({ url })

const storageAt = (url: Redacted.Redacted) => {
  const text = Redacted.value(url)
  if (text.startsWith("sqlite:")) {
    return Layer.provide(SqlCacheStorage.layer(), SqliteClient.layer({ filename: text.slice("sqlite:".length) }))
  }
  return /^postgres(?:ql)?:/.test(text) ? Layer.provide(SqlCacheStorage.layer(), PgClient.layer({ url })) : inRedis
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
