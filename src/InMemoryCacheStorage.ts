/**
 * A storage in the memory of the process, bounded by bytes; what nobody has asked for is evicted first.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import { CacheMiss } from "./CacheError.js"
import type { CacheItem } from "./CacheItem.js"
import * as CacheStorage from "./CacheStorage.js"
import * as CollectableCacheStorage from "./CollectableCacheStorage.js"
import { Collects } from "./memory/collects.js"
import { type Bounds, boundsOf, defaults } from "./memory/bounds.js"
import { allFrom, Entry, itemBytes } from "./memory/entry.js"
import { Order } from "./memory/order.js"
import { owned } from "./memory/ownTexts.js"
import { limitReached } from "./runtime/limits.js"
import * as metrics from "./runtime/metrics.js"
import { nameOfGroup, nameOfKey, nameOfPlace } from "./runtime/names.js"
import { runtimeOf } from "./runtime/runtime.js"
import { answered, type Force, forceOf, hard, spared } from "./storages/force.js"

/**
 * The bounds hold after every operation.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** What all items and collects take together: content, fields, keys and a fixed overhead. Default 64 MiB. */
  readonly maxBytes?: number | undefined
  /** A larger item is not kept. Default 8 MiB. */
  readonly maxItemBytes?: number | undefined
  /** How many items. Default: as many as `maxBytes` allows. */
  readonly maxItems?: number | undefined
  /** How many variants of one URI in one partition; the least recently stored goes first. Default 64. */
  readonly maxVariants?: number | undefined
}

/** The part of `maxBytes` that collects may take; the rest is for items. */
const collectShare = 1 / 16

/** Every method does its work when it is called, and answers an `Exit`. */
class Memory implements CollectableCacheStorage.Service {
  private readonly limits: Bounds
  private readonly maxItemsBytes: number
  private readonly collects: Collects
  /** By the name of the place, its first one. */
  private readonly entries = new Map<string, Entry>()
  /** The names of the places of a key, but for everybody's. */
  private readonly partitions = new Map<CacheStorage.CacheKey, Set<string>>()
  readonly order = new Order()

  constructor(limits: Bounds) {
    this.limits = limits
    this.maxItemsBytes = Math.max(1, Math.floor(limits.maxBytes * (1 - collectShare)))
    this.collects = new Collects(limits.maxBytes * collectShare)
  }

  readonly get = (lookup: CacheStorage.Lookup): Exit.Exit<CacheItem, CacheMiss> => {
    const first = this.firstIn(lookup)
    const found = this.find(first, lookup)
    if (found !== undefined) {
      found.isAskedFor = true
      return Exit.succeed(this.answered(found))
    }
    const reason = this.aliveFrom(first).length > 0 ? "vary-miss" : "uri-miss"
    return Exit.fail(new CacheMiss({ key: lookup.key, reason }))
  }

  readonly begin = (lookup: CacheStorage.Lookup): Exit.Exit<CacheStorage.Fill> => {
    const found = this.find(this.firstIn(lookup), lookup)
    const item = found === undefined ? undefined : this.answered(found)
    return Exit.succeed({ lookup, item, since: this.collects.count })
  }

  readonly set = (
    given: CacheItem | undefined,
    fill: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Kept> => {
    const { lookup } = fill
    if (!this.isCurrent({ keys: [lookup.key], groups: given?.groups ?? [] }, fill)) return overtaken
    const item = given === undefined ? undefined : owned(given)
    const bytes = item === undefined ? 0 : itemBytes(item)
    const first = this.firstIn(lookup)
    const before = this.aliveFrom(first)
    // A collect of groups leaves what it forgets in its place.
    for (const entry of allFrom(first)) if (!this.isAlive(entry)) this.remove(entry)
    const after = CacheStorage.place(before.map(({ item }) => item), item, fill)
    if (after === undefined) return overtaken
    for (const entry of before) if (!after.includes(entry.item)) this.remove(entry)
    // What the item replaces is out of date, also when it is too large to be kept itself.
    if (item === undefined || bytes > Math.min(this.limits.maxItemBytes, this.maxItemsBytes)) return refused
    // What replaces an entry counts as asked for already.
    this.add(new Entry(item, bytes, fill.since as number, after.length <= before.length))
    return after.length > this.limits.maxVariants
      ? Effect.andThen(this.dropOldest(before.filter((entry) => after.includes(entry.item))), kept)
      : kept
  }

  readonly collect = (
    { everything = false, groups, keys }: CollectableCacheStorage.Names,
    style?: CollectableCacheStorage.CollectStyle,
    own?: CacheStorage.Fill
  ): Exit.Exit<CacheStorage.Fill | void> => {
    const force = forceOf(style)
    const goesOn = own !== undefined && this.isCurrent({ keys: [own.lookup.key], groups: [] }, own)
    if (everything) this.collectEverything(force)
    for (const key of keys) this.collectKey(key, force)
    for (const group of groups) this.collects.add(nameOfGroup(group), force)
    return goesOn ? Exit.succeed({ lookup: own.lookup, item: undefined, since: this.collects.count }) : Exit.void
  }

  readonly holds = (names: CollectableCacheStorage.Names, fill: CacheStorage.Fill): Exit.Exit<boolean> =>
    Exit.succeed(this.isCurrent(names, fill))

  /** Whether a fill is not overtaken: none of the names was collected since it began. */
  private isCurrent({ groups, keys }: CollectableCacheStorage.Names, { since }: CacheStorage.Fill): boolean {
    const moment = typeof since === "number" ? since : -1
    return this.collects.since(moment, [...keys.map(nameOfKey), ...groups.map(nameOfGroup)]) === spared
  }

  private collectKey(key: CacheStorage.CacheKey, force: Force): void {
    for (const name of [key, ...this.partitions.get(key) ?? []]) {
      for (let entry = this.entries.get(name); entry !== undefined; entry = entry.next) {
        if (force === hard) this.order.leave(entry)
        else if (force > entry.force) entry.force = force
      }
      if (force === hard) this.entries.delete(name)
    }
    if (force === hard) this.partitions.delete(key)
    this.collects.add(nameOfKey(key), force)
  }

  private collectEverything(force: Force): void {
    if (force === hard) {
      this.entries.clear()
      this.partitions.clear()
      this.order.clear()
    }
    this.collects.addEverything(force)
  }

  private firstIn(place: CacheStorage.Place): Entry | undefined {
    return this.entries.get(nameOfPlace(place))
  }

  /** The entry that the request selects, of those from the first of its place on. */
  private find(first: Entry | undefined, lookup: CacheStorage.Lookup): Entry | undefined {
    if (first === undefined) return undefined
    if (first.next === undefined) {
      const { item } = first
      return lookup.variantOf(item.vary) === item.variant && this.isAlive(first) ? first : undefined
    }
    const entries = this.aliveFrom(first)
    const item = CacheStorage.select(entries.map(({ item }) => item), lookup)
    return entries.find((entry) => entry.item === item)
  }

  private aliveFrom(first: Entry | undefined): ReadonlyArray<Entry> {
    return allFrom(first).filter((entry) => this.isAlive(entry))
  }

  /** What collects have done to it since its handler was asked. Only those that were not looked at before are looked at. */
  private forceOn(entry: Entry): Force {
    const { count } = this.collects
    if (entry.checked !== count) {
      const force = this.collects.since(entry.checked, entry.groups)
      if (force > entry.force) entry.force = force
      entry.checked = count
    }
    return entry.force
  }

  private isAlive(entry: Entry): boolean {
    return this.forceOn(entry) !== hard
  }

  private answered(entry: Entry): CacheItem {
    return answered(entry.item, this.forceOn(entry))
  }

  private add(entry: Entry): void {
    const { item, name } = entry
    const { order } = this
    while (order.bytes + entry.bytes > this.maxItemsBytes || order.size >= this.limits.maxItems) {
      this.remove(order.next(item.responseTime))
      metrics.evictions(1)
    }
    order.enter(entry)
    let last = this.entries.get(name)
    while (last?.next !== undefined) last = last.next
    if (last !== undefined) last.next = entry
    else {
      this.entries.set(name, entry)
      if (name !== item.key) this.partitions.set(item.key, (this.partitions.get(item.key) ?? new Set()).add(name))
    }
  }

  /** `others`: the variants beside the newest, the least recently stored first. */
  private dropOldest(others: ReadonlyArray<Entry>): Effect.Effect<void> {
    for (const entry of others.slice(0, others.length + 1 - this.limits.maxVariants)) this.remove(entry)
    return limitReached(runtimeOf(this), "variants", "and the least recently stored of a URI goes")
  }

  private remove(entry: Entry): void {
    const { item: { key }, name, next } = entry
    const first = this.entries.get(name)
    if (first === entry) {
      if (next !== undefined) this.entries.set(name, next)
      else {
        this.entries.delete(name)
        const names = this.partitions.get(key)
        if (names?.delete(name) && names.size === 0) this.partitions.delete(key)
      }
    } else {
      let before = first
      while (before !== undefined && before.next !== entry) before = before.next
      if (before === undefined) return
      before.next = next
    }
    this.order.leave(entry)
  }
}

const kept = Exit.succeed<CacheStorage.Kept>("kept")
const overtaken = Exit.succeed<CacheStorage.Kept>("overtaken")
const refused = Exit.succeed<CacheStorage.Kept>("refused")

/** It is measured for as long as its layer is open. */
const held = (bounds: Bounds) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const memory = new Memory(bounds)
      const { order } = memory
      runtimeOf(memory).holding = () => ({ bytes: order.bytes, items: order.size, maxBytes: bounds.maxBytes })
      return memory
    }),
    (memory) => Effect.sync(() => memory.order.leaveMetrics())
  )

/**
 * The storage as a service, to wrap it or to compose it with others. Throws as `layerWith` does.
 *
 * @example
 * ```ts
 * import { InMemoryCacheStorage } from "effect-http-cache"
 *
 * const near = InMemoryCacheStorage.make({ maxBytes: 16 * 1024 * 1024 })
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (limits: Limits = {}): CollectableCacheStorage.Service => new Memory(boundsOf(limits))

/**
 * With limits of your own; it can collect. Throws a `TypeError` that says what is expected, when a limit is unknown, or isn't a
 * whole number of at least 1.
 *
 * @example
 * ```ts
 * import { InMemoryCacheStorage } from "effect-http-cache"
 *
 * const storage = InMemoryCacheStorage.layerWith({ maxBytes: 256 * 1024 * 1024 })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (
  limits: Limits
): Layer.Layer<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage> => {
  const bounds = boundsOf(limits)
  return CollectableCacheStorage.layer(held(bounds))
}

/**
 * The normal setup, with the limits' defaults: routes can be cached and collected.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerCollectable: Layer.Layer<
  CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage
> = layerWith({})

/**
 * For an application in which nothing is collected, with the limits' defaults; `withCollect` does not compile with it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<CacheStorage.CacheStorage> = CacheStorage.layer(
  held(defaults)
)
