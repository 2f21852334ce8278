/**
 * What is kept in Redis, apart from the barrel: what it needs is an optional peer.
 *
 * @since 0.2.0
 */
export * as RedisCacheStorage from "./RedisCacheStorage.js"
export * as RedisSharedFlights from "./RedisSharedFlights.js"
