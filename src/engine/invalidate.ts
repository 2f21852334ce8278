/**
 * The way of an unsafe request: what is stored is collected (others say purged) once its handler has succeeded (RFC 9111 §4.4).
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import type * as CacheKey from "../protocol/CacheKey.js"
import type * as Fields from "../protocol/Fields.js"
import * as Invalidation from "../protocol/Invalidation.js"
import { isInterrupted } from "../runtime/effect.js"
import * as enclosing from "./enclosing.js"
import type { Asked } from "./request.js"
import * as spellings from "./spellings.js"
import * as storageAccess from "./storageAccess.js"

/** As far as it decides what is forgotten. */
export interface Changed {
  readonly status: number
  readonly fields: Fields.Fields
}

/** What a handler that was interrupted may have done. */
const interrupted: Changed = { status: 200, fields: {} }

/**
 * Runs the handler, and forgets what it has changed. Once the handler has succeeded nothing interrupts the collect, and the
 * response goes out after it. A handler that was interrupted may have written before.
 *
 * `changedBy` says what a failure is answered with; `also` names more to forget, once it is known that something is.
 */
export const collecting = <A, E, R>(
  handler: Effect.Effect<A, E, R>,
  asked: Asked,
  storage: CollectableCacheStorage.Service,
  options: {
    readonly changed: (response: A) => Changed
    readonly changedBy: (cause: Cause.Cause<E>) => Effect.Effect<Changed>
    readonly also: (response: A) => Effect.Effect<ReadonlyArray<CacheKey.Target>>
  }
): Effect.Effect<A, E, R> => {
  const none = Effect.succeed<ReadonlyArray<CacheKey.Target>>([])
  return Effect.uninterruptibleMask((restore) =>
    Effect.onExit(restore(handler), (exit) => {
      if (exit._tag === "Success") {
        return collectChanged(asked, storage, options.changed(exit.value), options.also(exit.value))
      }
      if (isInterrupted(exit.cause)) return collectChanged(asked, storage, interrupted, none)
      return Effect.flatMap(options.changedBy(exit.cause), (changed) => collectChanged(asked, storage, changed, none))
    })
  )
}

const collectChanged = (
  asked: Asked,
  storage: CollectableCacheStorage.Service,
  { fields, status }: Changed,
  also: Effect.Effect<ReadonlyArray<CacheKey.Target>>
): Effect.Effect<void> => {
  const { above, policy, runtime, view } = asked
  const targets = Invalidation.targets(view.method, view.target, status, fields)
  if (targets.length === 0) return Effect.void
  return Effect.flatMap(also, (more) => {
    const all = [...targets, ...more]
    // Before a deploy with a canonical origin, the same storage was keyed by what requests say of theirs.
    const others = all.filter(({ origin }) => origin === view.target.origin && origin !== view.ownOrigin)
      .map((target) => ({ ...target, origin: view.ownOrigin }))
    const keys = spellings.keysOf(runtime, [...all, ...others], policy.query)
    const fills = enclosing.ownFillsOf(above, keys)
    return Effect.forEach(fills, ({ before }) => before, { discard: true }).pipe(
      Effect.andThen(
        Effect.forEach(keys, (key) => storageAccess.collect(asked, storage, key), { discard: true })
      ),
      Effect.andThen(Effect.forEach(fills, ({ after }) => after, { discard: true }))
    )
  })
}
