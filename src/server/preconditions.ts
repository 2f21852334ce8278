/** Preconditions that only an origin may judge, before its handler runs. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as EntityTag from "../protocol/EntityTag.js"
import * as HttpDate from "../protocol/HttpDate.js"
import * as Preconditions from "../protocol/Preconditions.js"
import { type App, type Respondable, toResponse } from "./platform.js"

/**
 * What is current of a resource: `etag` as the field has it, with its quotes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Validators {
  readonly etag?: string | undefined
  readonly lastModified?: Date | undefined
}

/**
 * Judges `If-Match`, `If-Unmodified-Since` and, for unsafe methods, `If-None-Match` before the handler runs, and answers `412`
 * (RFC 9110 §13). `undefined` says that there is no such resource. The validators are only asked for when the request has a
 * condition; it dies when their `etag` is no entity tag, or their `lastModified` no date. Check and write are not atomic: a
 * handler that must not lose an update checks once more.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpCache, withCollect } from "effect-http-cache"
 *
 * const findUser = Effect.succeed({ version: 1 })
 * const current = Effect.map(findUser, ({ version }) => ({ etag: `"${version}"` }))
 * const rename = HttpServerResponse.text("renamed").pipe(HttpCache.withPreconditions(current), withCollect())
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const withPreconditions =
  <E2, R2>(validators: Effect.Effect<Validators | undefined, E2, R2>) =>
  <A extends Respondable, E, R>(handler: Effect.Effect<A, E, R>): App<E | E2, R | R2> =>
    Effect.gen(function*() {
      const { headers, method } = yield* HttpServerRequest
      if (Preconditions.isConditional(headers)) {
        const given = yield* validators
        if (given?.etag !== undefined && EntityTag.parse(given.etag) === undefined) {
          return yield* Effect.die(
            new Error(
              `withPreconditions: etag is ${
                JSON.stringify(given.etag)
              }; it must be an entity tag, such as '"v1"' with its quotes`
            )
          )
        }
        if (given?.lastModified !== undefined && Number.isNaN(given.lastModified.getTime())) {
          return yield* Effect.die(
            new Error("withPreconditions: lastModified is an Invalid Date; it must be a date, or left out")
          )
        }
        const now = yield* Clock.currentTimeMillis
        const current = given === undefined ? undefined : {
          etag: given.etag,
          lastModified: given.lastModified === undefined ? undefined : HttpDate.format(given.lastModified.getTime())
        }
        if (Preconditions.evaluate(method, headers, current, { now, isOrigin: true }) === "failed") {
          return HttpServerResponse.empty({ status: 412, headers: { etag: current?.etag } })
        }
      }
      return yield* Effect.flatMap(handler, toResponse)
    })
