/**
 * What a storage answers when it has nothing, and when it fails.
 *
 * @since 0.1.0
 */
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { CacheKey } from "./protocol/CacheKey.js"
import type { ForwardReason as Reason } from "./protocol/CacheStatus.js"

/**
 * Why a request goes to the handler, in the words of `Cache-Status` (RFC 9211 §2.2).
 *
 * @since 0.1.0
 * @category models
 */
export type ForwardReason = Reason

/**
 * Nothing stored can answer. This is ordinary control flow: it is built without a stack. As a response it is a `504`, the
 * answer to `only-if-cached` (RFC 9111 §5.2.1.7).
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpCache } from "effect-http-cache"
 *
 * const cached = HttpCache.lookup("https://api.example.com/users/1").pipe(
 *   Effect.map((item) => item.status),
 *   Effect.catchTag("CacheMiss", (miss) => Effect.succeed(miss.reason))
 * )
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class CacheMiss extends Data.Error implements Respondable.Respondable {
  /** @since 0.1.0 */
  readonly _tag = "CacheMiss"
  /** @since 0.1.0 */
  readonly key: CacheKey
  /** @since 0.1.0 */
  readonly reason: ForwardReason

  constructor({ key, reason }: { readonly key: CacheKey; readonly reason: ForwardReason }) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super()
    Error.stackTraceLimit = limit
    this.key = key
    this.reason = reason
  }

  /** @since 0.1.0 */
  override get name(): string {
    return "CacheMiss"
  }

  /** @since 0.1.0 */
  override get message(): string {
    return `nothing stored for ${this.key} can answer: ${this.reason}`
  }

  /** @since 0.1.0 */
  [Respondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return Effect.succeed(HttpServerResponse.empty({ status: 504 }))
  }
}

/**
 * A storage failed. It never fails a request that passes through the cache: it is logged, and the handler answers.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CacheError, type CacheStorage } from "effect-http-cache"
 *
 * const reading = (key: CacheStorage.CacheKey, read: () => Promise<string | null>) =>
 *   Effect.tryPromise({
 *     try: read,
 *     catch: (cause) => new CacheError.CacheStorageError({ storage: "disk", method: "get", key, cause })
 *   })
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class CacheStorageError extends Data.TaggedError("CacheStorageError")<{
  /** The name of the storage, as an operator knows it. */
  readonly storage: string
  /** `take` is that of `SharedFlights`. */
  readonly method: "get" | "begin" | "set" | "collect" | "holds" | "take"
  /** What it was asked for: a key, or the first of several names. */
  readonly key: CacheKey
  readonly cause: unknown
}> {
  /** @since 0.1.0 */
  override get message(): string {
    return `${this.storage}.${this.method} failed for ${this.key}`
  }
}
