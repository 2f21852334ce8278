/** The storage of the examples: in memory, or in Redis with `STORAGE=redis://localhost:6379`. */
import { Config, Effect, Layer, Option } from "effect"
import { InMemoryCacheStorage } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"

const url = Config.redacted("STORAGE")

const inRedis = RedisCacheStorage.layerConfig({ url })

export const storage = Layer.unwrapEffect(
  Effect.map(Config.option(url), (given) => Option.isNone(given) ? InMemoryCacheStorage.layerCollectable : inRedis)
).pipe(
  Layer.catchAll((error) => Layer.fail(`STORAGE: ${error.message}`))
)
