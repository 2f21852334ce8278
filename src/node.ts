/**
 * What is for Node's servers only, apart from the barrel.
 *
 * @since 0.2.0
 */
export * as HttpCacheLane from "./HttpCacheLane.js"
