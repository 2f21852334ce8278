/**
 * @since 0.1.0
 */

export * as CacheError from "./CacheError.js"
export * as CacheItem from "./CacheItem.js"
export * as CachePolicy from "./CachePolicy.js"
export * as CacheStorage from "./CacheStorage.js"
export * as CollectableCacheStorage from "./CollectableCacheStorage.js"
export * as HttpApiCache from "./HttpApiCache.js"
export * as HttpCache from "./HttpCache.js"
export * as HttpCacheInspector from "./HttpCacheInspector.js"
export * as HttpClientCache from "./HttpClientCache.js"
export * as InMemoryCacheStorage from "./InMemoryCacheStorage.js"
export * as SharedFlights from "./SharedFlights.js"
export * as TieredCacheStorage from "./TieredCacheStorage.js"

export { withCache, withCollect } from "./HttpCache.js"
