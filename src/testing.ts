/**
 * For tests: a storage that fails when it is told to, one that finds who writes into what is served, what `Cache-Status`
 * says, and the laws of a storage. It needs no test runner, and is not part of `effect-http-cache` itself: import
 * `effect-http-cache/testing`.
 *
 * @since 0.1.0
 */

export * from "./testing/activity.js"
export * from "./testing/cacheStatus.js"
export * from "./testing/collectableLaws.js"
export * from "./testing/faults.js"
export * from "./testing/items.js"
export { type Law, type LawOptions, laws } from "./testing/laws.js"
export * from "./testing/readOnly.js"
