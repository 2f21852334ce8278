/** The storage of the examples: in memory, or in Redis with `STORAGE=redis://localhost:6379`. */
import { Cause, Config, Effect, Layer, Option } from "effect"
import { InMemoryCacheStorage } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"

const url = Config.Redacted("STORAGE")

const inRedis = RedisCacheStorage.layerConfig({ url })

export const storage = Layer.unwrap(
  Effect.map(Config.option(url), (given) => Option.isNone(given) ? InMemoryCacheStorage.layerCollectable : inRedis)
).pipe(
  Layer.catchCause((cause) => Layer.effectContext(Effect.fail(`STORAGE: ${(Cause.squash(cause) as Error).message}`)))
)
