/**
 * The way of an unsafe request: what is stored is collected (others say purged) once its handler has succeeded (RFC 9111 §4.4).
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import type * as CacheKey from "../protocol/CacheKey.js"
import * as CacheGroups from "../protocol/CacheGroups.js"
import type * as Fields from "../protocol/Fields.js"
import * as Invalidation from "../protocol/Invalidation.js"
import { nameOfGroup, nameOfKey } from "../runtime/names.js"
import { collect as collectNamed } from "./collecting.js"
import * as enclosing from "./enclosing.js"
import type { Asked } from "./request.js"
import * as spellings from "./spellings.js"

/** What the route's `also` and `groups` name. */
interface More {
  readonly targets: ReadonlyArray<CacheKey.Target>
  readonly groups: ReadonlyArray<string>
}

export const nothing: Effect.Effect<More> = Effect.succeed({ targets: [], groups: [] })

/** What a handler came to, as far as it decides what is forgotten. */
export interface Changed {
  readonly status: number
  readonly fields: Fields.Fields
  readonly more: Effect.Effect<More>
}

/**
 * Runs the handler, and forgets what it has changed. Once the handler has succeeded nothing interrupts the collect, and the
 * response goes out after it. A handler that was interrupted may have written before.
 *
 * `changedBy`: what a failure is answered with, or what an interrupted handler may have done. `style`: how it is collected.
 */
export const collecting = <A, E, R>(
  handler: Effect.Effect<A, E, R>,
  asked: Asked,
  storage: CollectableCacheStorage.Service,
  options: {
    readonly changed: (response: A) => Changed
    readonly changedBy: (cause: Cause.Cause<E>) => Effect.Effect<Changed>
    readonly style: CollectableCacheStorage.CollectStyle
  }
): Effect.Effect<A, E, R> => {
  const collect = (changed: Changed) => collectChanged(asked, storage, changed, options.style)
  return Effect.uninterruptibleMask((restore) =>
    Effect.onExit(restore(handler), (exit) => {
      if (exit._tag === "Success") return collect(options.changed(exit.value))
      return Effect.flatMap(options.changedBy(exit.cause), collect)
    })
  )
}

const collectChanged = (
  asked: Asked,
  storage: CollectableCacheStorage.Service,
  { fields, more, status }: Changed,
  style: CollectableCacheStorage.CollectStyle
): Effect.Effect<void> => {
  const { above, policy, runtime, view } = asked
  const targets = Invalidation.targets(view.method, view.target, status, fields)
  if (targets.length === 0) return Effect.void
  return Effect.flatMap(more, (more) => {
    const all = [...targets, ...more.targets]
    // Before a deploy with a canonical origin, the same storage was keyed by what requests say of theirs.
    const others = all.filter(({ origin }) => origin === view.target.origin && origin !== view.ownOrigin)
      .map((target) => ({ ...target, origin: view.ownOrigin }))
    const keys = spellings.keysOf(runtime, [...all, ...others], policy.query)
    const told = CacheGroups.invalidated(fields)
    const groups = CacheGroups.namesOf([view.target.origin, view.ownOrigin], [...told ?? [], ...more.groups])
    const unread = told === undefined ? Effect.logWarning(`effect-http-cache: ${CacheGroups.unread}`) : Effect.void
    return unread.pipe(
      Effect.andThen(Effect.forEach(
        keys,
        (key) => collectNamed(asked, storage, nameOfKey(key), style, enclosing.ownFillOf(above, storage, key)),
        { discard: true }
      )),
      Effect.andThen(
        Effect.forEach(groups, (group) => collectNamed(asked, storage, nameOfGroup(group), style), { discard: true })
      )
    )
  })
}
