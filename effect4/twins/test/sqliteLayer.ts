/** There is no storage over SQL for Effect 4 yet. */
import type { CacheStorage, CollectableCacheStorage } from "effect-http-cache"
import type { Layer } from "effect"

export const layerSqlite = (): Layer.Layer<
  CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage
> => {
  throw new Error("there is no storage over SQL for Effect 4 yet")
}
