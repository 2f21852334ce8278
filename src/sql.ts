/**
 * The storage over SQL, apart from the barrel: what it needs is an optional peer.
 *
 * @since 0.2.0
 */
export * as SqlCacheStorage from "./SqlCacheStorage.js"
