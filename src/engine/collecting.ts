/** Collects. What was collected is not read before the storage was told. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Stream from "effect/Stream"
import type * as CacheStorage from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { forkDetached, pushed, step, withFiber } from "../runtime/effect.js"
import type { Soft } from "../protocol/Reuse.js"
import { limitReached } from "../runtime/limits.js"
import * as metrics from "../runtime/metrics.js"
import { everything, kindOf, namedBy, nameOfGroup, nameOfKey, textOf } from "../runtime/names.js"
import { runtimeOf } from "../runtime/runtime.js"
import { call } from "../runtime/storageCall.js"
import { IsDelivery, retryAfter } from "../runtime/undeliveredCollects.js"
import type { OwnFill } from "./origin.js"
import type { Asked } from "./request.js"

/** Who collects, or reads what may have been. */
type Collecting = Pick<Asked, "runtime" | "clock" | "policy">

export const canCollect = (storage: CacheStorage.Service): storage is CollectableCacheStorage.Service =>
  "collect" in storage

const yes = Exit.succeed(true)
const noGroups: ReadonlyArray<string> = []

/** Whether a collect of one of these is not delivered. */
export const isUndelivered = ({ runtime: { undelivered } }: Collecting, groups: ReadonlyArray<string>): boolean =>
  !undelivered.isEmpty && groups.some((group) => undelivered.has(nameOfGroup(group)))

/**
 * Delivers the collects of the key and of these groups that the storage has not been told of yet. Answers whether none is left:
 * until then the storage is neither asked for the key nor told of an item.
 */
export const deliverPending = (
  access: Collecting & Pick<Asked, "lookup" | "storage">,
  groups: ReadonlyArray<string> = noGroups
): Effect.Effect<boolean> => {
  const { lookup: { key }, runtime: { undelivered }, storage } = access
  if (undelivered.isEmpty) return yes
  const names = [nameOfKey(key), everything, ...groups.map(nameOfGroup)]
  if (!canCollect(storage)) return Exit.succeed(!names.some((name) => undelivered.has(name)))
  return Effect.suspend(() => deliverAll(access, storage, names))
}

/** Delivers the undelivered collects of these names. Answers whether none is left. */
const deliverAll = (
  access: Collecting,
  storage: CollectableCacheStorage.Service,
  names: ReadonlyArray<string>
): Effect.Effect<boolean> =>
  Effect.map(
    Effect.forEach(
      names.filter((name) => access.runtime.undelivered.has(name)),
      (name) => deliver(access, storage, name)
    ),
    (delivered) => delivered.every(Boolean)
  )

/** Delivers the collect of a name, unless another request is trying to. Answers whether it is delivered. */
const deliver = (
  access: Collecting,
  storage: CollectableCacheStorage.Service,
  name: string
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { undelivered } = access.runtime
    const end = undelivered.begin(name)
    if (end === undefined) return Effect.succeed(false)
    return collectNow(access, storage, name).pipe(
      Effect.provideService(IsDelivery, true),
      Effect.onExit((exit) => Effect.sync(() => end(Exit.isSuccess(exit) && exit.value))),
      Effect.map((isDelivered) => isDelivered && !undelivered.has(name))
    )
  })

/**
 * Tries the undelivered collects again, beside the requests, until the storage has taken all. Until then others that share it
 * serve what was collected.
 */
const deliverLater = (
  { clock, policy, runtime }: Collecting,
  storage: CollectableCacheStorage.Service
): Effect.Effect<void> => {
  const { undelivered } = runtime
  if (undelivered.isDelivering || runtime.isClosed) return Effect.void
  undelivered.isDelivering = true
  const delivery = Effect.suspend(() => deliverAll({ clock, policy, runtime }, storage, undelivered.names))
  const untilAllAre = Effect.repeat(Effect.delay(delivery, retryAfter), { until: () => undelivered.isEmpty }).pipe(
    Effect.ensuring(Effect.sync(() => undelivered.isDelivering = false))
  )
  return withFiber((context: Context.Context<never>, _, caller) => {
    runtime.fork(caller, untilAllAre, context, { isAtOnce: false, isAwaited: false })
    return Exit.void
  })
}

const collectNow = (
  { clock, policy, runtime }: Collecting,
  storage: CollectableCacheStorage.Service,
  name: string,
  style?: CollectableCacheStorage.CollectStyle,
  own?: OwnFill
): Effect.Effect<boolean> => {
  const made = { runtime, clock, timeout: policy.storageTimeout, method: "collect", key: textOf(name) } as const
  const fill = own?.fill
  // Should the storage not answer, nobody knows what was collected.
  if (own !== undefined) own.fill = undefined
  const goOn = (fill: CacheStorage.Fill | void) => {
    if (own !== undefined) own.fill = fill ?? undefined
    return yes
  }
  return step(
    call(made, () => step(storage.collect(namedBy(name), style, fill), goOn)),
    (isDelivered) => {
      if (isDelivered !== true) return Exit.succeed(false)
      metrics.collects(kindOf(name))(1)
      for (const tell of runtime.listeners) tell(name, style?.soft ?? false)
      return yes
    }
  )
}

/** What this process has collected, once the storage has been told. */
export const collects = (storage: CollectableCacheStorage.Service): Stream.Stream<CollectableCacheStorage.Collected> =>
  pushed((push) => {
    const { listeners } = runtimeOf(storage)
    const tell = (name: string, soft: Soft) => push({ everything: false, ...namedBy(name), soft })
    return Effect.asVoid(
      Effect.acquireRelease(Effect.sync(() => listeners.add(tell)), () => Effect.sync(() => listeners.delete(tell)))
    )
  })

/**
 * Collects a name, and answers whether the storage was told. Requests that come later join no flight of a collected key that
 * began before. A collect that can't be delivered is kept until it can be, and then forgets, even if it is soft; what it names
 * is not served before. `own`: the fill of the run that collects.
 */
export const collect = (
  access: Collecting,
  storage: CollectableCacheStorage.Service,
  name: string,
  style?: CollectableCacheStorage.CollectStyle,
  own?: OwnFill
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { runtime } = access
    runtime.collectsBegun++
    const ended = step(collectNow(access, storage, name, style, own), (isDelivered) => {
      const isKept = isDelivered || runtime.undelivered.add(name)
      const isOfAll = name === everything || !isKept
      runtime.singleFlight.close((flight) => isOfAll || nameOfKey(keyOfFlight(flight)) === name)
      const later = isDelivered ? Effect.void : deliverLater(access, storage)
      return step(later, () => Exit.succeed({ isDelivered, isKept }))
    })
    // A client that leaves does not end it: only its own fiber waits in a way that can be interrupted.
    const collected = Exit.isExit(ended) ? ended : Effect.uninterruptible(
      Effect.flatMap(forkDetached(Effect.interruptible(ended)), (fiber) => Effect.flatten(Fiber.await(fiber)))
    )
    return Effect.flatMap(collected, ({ isDelivered, isKept }) =>
      isKept
        ? Effect.succeed(isDelivered)
        : Effect.as(
          limitReached(runtime, "undelivered collects", "and everything is collected in their place"),
          false
        ))
  })

/** A flight's key begins with the key of what it fetches; the length of each text stands before it. */
export const flightKeyOf = (
  ...texts: readonly [key: CacheStorage.CacheKey, ...rest: ReadonlyArray<string>]
): string => {
  let name = ""
  for (const text of texts) name += `${text.length} ${text}`
  return name
}

const keyOfFlight = (flight: string): CacheStorage.CacheKey => {
  const space = flight.indexOf(" ")
  return flight.substr(space + 1, Number(flight.slice(0, space)))
}
