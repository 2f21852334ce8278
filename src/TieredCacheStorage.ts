/**
 * Two storages as one: a near one in the memory of the process, before a far one that several processes share.
 *
 * @since 0.2.0
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CacheMiss, CacheStorageError } from "./CacheError.js"
import type { CacheItem } from "./CacheItem.js"
import type * as CacheStorage from "./CacheStorage.js"
import type * as CollectableCacheStorage from "./CollectableCacheStorage.js"
import * as Freshness from "./protocol/Freshness.js"
import { millisOf, withFiber } from "./runtime/effect.js"
import { type Check, check, unless } from "./runtime/givenValues.js"
import { type Runtime, runtimeOf } from "./runtime/runtime.js"
import { call } from "./runtime/storageCall.js"

type Service = CollectableCacheStorage.Service

/**
 * Each has a default.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /**
   * How many seconds the far storage has for each call. What takes longer goes on with the near one alone. It should be
   * below `storageTimeout` of `HttpCache.Defaults`, which is for both. Default 0.2.
   */
  readonly farTimeout?: number | undefined
}

/** What a fill of both is known by. */
interface Since {
  readonly near: CacheStorage.Fill
  /** `undefined`: it did not answer, and is not told what comes of the fill. */
  readonly far: CacheStorage.Fill | undefined
}

/** Seconds. */
const defaultFarTimeout = 0.2

/** How long after the far storage could not be listened to it is tried again. */
const listensAgainAfter = "500 millis"

const isPositive = (value: unknown): boolean => typeof value === "number" && value > 0 && value < Infinity

const checks: { readonly [Option in keyof Options]-?: Check } = {
  farTimeout: unless(isPositive, "a positive number of seconds")
}

class Tiered implements Service {
  private readonly near: Service
  private readonly far: Service
  /** The far storage has a circuit breaker of its own. */
  private readonly runtime: Runtime
  /** Milliseconds. */
  private readonly timeout: number
  private readonly clock: Clock.Clock

  constructor(near: Service, far: Service, timeout: number, clock: Clock.Clock) {
    this.near = near
    this.far = far
    this.runtime = runtimeOf(far)
    this.timeout = timeout
    this.clock = clock
  }

  readonly get = (lookup: CacheStorage.Lookup): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> => {
    const near = this.near.get(lookup)
    if (!Exit.isExit(near)) return Effect.flatMap(Effect.exit(near), (exit) => this.getFrom(exit, lookup))
    return this.getFrom(near as Exit.Exit<CacheItem, CacheMiss | CacheStorageError>, lookup)
  }

  /** What is stale near is looked for far, where another process may have renewed it. */
  private getFrom(
    near: Exit.Exit<CacheItem, CacheMiss | CacheStorageError>,
    lookup: CacheStorage.Lookup
  ): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> {
    if (Exit.isSuccess(near) && isFresh(near.value, millisOf(this.clock))) return near
    // It begins before the far storage is read: what is collected meanwhile is not kept near.
    return Effect.flatMap(this.near.begin(lookup), (fill) =>
      Effect.flatMap(
        this.ask("get", lookup.key, () => found(this.far.get(lookup))),
        (answer): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> =>
          answer === undefined ? near : "reason" in answer ? answer : this.takeNear(lookup, answer, fill)
      ))
  }

  /** Keeps a far item near, unless a later one is there: another request has stored it meanwhile, or only near could keep it. */
  private takeNear(
    lookup: CacheStorage.Lookup,
    far: CacheItem,
    fill: CacheStorage.Fill
  ): Effect.Effect<CacheItem, CacheStorageError> {
    return Effect.flatMap(this.near.begin(lookup), ({ item }) =>
      isLater(item, far, millisOf(this.clock))
        ? Effect.succeed(item)
        : Effect.as(this.near.set(far, fill), far))
  }

  readonly begin = (lookup: CacheStorage.Lookup): Effect.Effect<CacheStorage.Fill, CacheStorageError> =>
    Effect.flatMap(
      this.near.begin(lookup),
      (near) =>
        Effect.map(this.ask("begin", lookup.key, () => this.far.begin(lookup)), (far) => {
          const since: Since = { near, far }
          const isNear = far === undefined || isLater(near.item, far.item, millisOf(this.clock))
          return { lookup, item: (isNear ? near : far).item, since }
        })
    )

  readonly set = (
    item: CacheItem | undefined,
    { lookup, since }: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Kept, CacheStorageError> => {
    if (!isSince(since)) return Exit.succeed("overtaken")
    const { far, near } = since
    if (far === undefined) return this.near.set(item, near)
    return Effect.flatMap(this.ask("set", lookup.key, () => this.far.set(item, far)), (kept) => {
      if (kept === undefined) return this.near.set(item, near)
      return Effect.flatMap(
        this.near.set(kept === "kept" ? item : undefined, near),
        (keptNear) => Effect.as(keptNear === "overtaken" ? this.forgetNear(lookup) : Effect.void, kept)
      )
    })
  }

  /** What was read far meanwhile, and kept near, is what the far storage has replaced by now. */
  private forgetNear(lookup: CacheStorage.Lookup): Effect.Effect<unknown, CacheStorageError> {
    return Effect.flatMap(this.near.begin(lookup), (fill) => this.near.set(undefined, fill))
  }

  /**
   * Collects far first: who has read far before is overtaken near. An item near is forgotten, even if a soft collect leaves it
   * far.
   */
  readonly collect = (
    names: CollectableCacheStorage.Names,
    style?: CollectableCacheStorage.CollectStyle,
    own?: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Fill | void, CacheStorageError> => {
    const since = isSince(own?.since) ? own.since : undefined
    const collected = Effect.flatMap(
      Effect.exit(this.far.collect(names, style, since?.far)),
      (exit) => Effect.zipRight(this.near.collect(names), exit)
    )
    if (own === undefined || since === undefined) return collected
    // What is far says whether it goes on. The near fill is overtaken.
    const { near } = since
    return Effect.map(collected, (far) => far && { lookup: own.lookup, item: undefined, since: { near, far } })
  }

  readonly holds = (
    names: CollectableCacheStorage.Names,
    { lookup, since }: CacheStorage.Fill
  ): Effect.Effect<boolean, CacheStorageError> => {
    if (!isSince(since)) return Exit.succeed(false)
    const { far, near } = since
    return Effect.flatMap(this.near.holds(names, near), (holds) =>
      !holds || far === undefined
        ? Effect.succeed(holds)
        : Effect.map(
          this.ask("holds", lookup.key, () => this.far.holds(names, far)),
          (holds = true) => holds
        ))
  }

  /** `undefined` where the far storage fails, is slow, or is left alone since it was. */
  private ask<A extends {}>(
    method: "get" | "begin" | "set" | "holds",
    key: string,
    evaluate: () => Effect.Effect<A, CacheStorageError>
  ): Effect.Effect<A | undefined> {
    const { clock, runtime, timeout } = this
    return call({ runtime, clock, timeout, method, key }, evaluate)
  }
}

const found = (
  answer: Effect.Effect<CacheItem, CacheMiss | CacheStorageError>
): Effect.Effect<CacheItem | CacheMiss, CacheStorageError> =>
  Effect.catchTag(answer, "CacheMiss", (miss) => Effect.succeed(miss))

const isFresh = (item: CacheItem, now: number): boolean => {
  const { alwaysValidate, initialAge, lifetime, responseTime } = item
  return !alwaysValidate && now < responseTime + lifetime - initialAge && !Freshness.isFromAhead(item, now)
}

/** Whether what is near came later than what is far. What is from ahead came before the clock was set back. */
const isLater = (near: CacheItem | undefined, far: CacheItem | undefined, now: number): near is CacheItem =>
  near !== undefined && far !== undefined && near.responseTime > far.responseTime && !Freshness.isFromAhead(near, now)

const isSince = (since: unknown): since is Since => typeof since === "object" && since !== null && "near" in since

/** What others collect reaches the near storage too, as long as the scope is open. */
const listen = (near: Service, far: CollectableCacheStorage.SharedService): Effect.Effect<void, never, Scope.Scope> =>
  Stream.runForEach(far.collects, (names) => near.collect(names)).pipe(
    Effect.exit,
    Effect.repeat(Schedule.spaced(listensAgainAfter)),
    Effect.interruptible,
    Effect.forkScoped,
    Effect.asVoid
  )

/**
 * A storage that looks near first, and then far. What is found far is served near for as long as it is fresh. A collect
 * reaches the far storage, the near one, and every other process that shares the far one, within a second while it is
 * connected. A process that has lost the connection may serve what others have collected since; when it is connected again, it
 * forgets all that is near. A far storage that fails is left alone for a while, and the near one goes on.
 *
 * The second argument is what `RedisCacheStorage.make` or `SqlCacheStorage.make` makes, or another storage that has `collects`.
 * Throws a `TypeError` when `farTimeout` is no positive number, or there is no such option.
 *
 * @example
 * ```ts
 * import { CollectableCacheStorage, InMemoryCacheStorage, TieredCacheStorage } from "effect-http-cache"
 * import { RedisCacheStorage } from "effect-http-cache/redis"
 *
 * const storageOf = (redis: RedisCacheStorage.Redis) =>
 *   CollectableCacheStorage.layer(
 *     TieredCacheStorage.make(InMemoryCacheStorage.make(), RedisCacheStorage.make(redis))
 *   )
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (
  near: CollectableCacheStorage.Service,
  far: CollectableCacheStorage.SharedService,
  options: Options = {}
): Effect.Effect<CollectableCacheStorage.Service, never, Scope.Scope> => {
  const { farTimeout = defaultFarTimeout } = check("TieredCacheStorage", "option", options, checks)
  return withFiber((_: Context.Context<Scope.Scope>, clock) =>
    Effect.as(
      Effect.zipRight(runtimeOf(far).endWithScope, listen(near, far)),
      new Tiered(near, far, farTimeout * 1000, clock)
    )
  )
}
