/**
 * A storage in the memory of the process, bounded by bytes; the least recently used goes first.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { LRUCache } from "lru-cache"
import { randomInt } from "node:crypto"
import { CacheMiss } from "./CacheError.js"
import type { CacheItem } from "./CacheItem.js"
import * as CacheStorage from "./CacheStorage.js"
import * as CollectableCacheStorage from "./CollectableCacheStorage.js"
import { type Check, check, unless } from "./home/given.js"
import { limitReached } from "./home/limits.js"

/**
 * The bounds hold after every operation.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** What all items and fences take together: content, fields, keys and a fixed overhead. Default 64 MiB. */
  readonly maxBytes?: number | undefined
  /** A larger item is not kept. Default 8 MiB. */
  readonly maxItemBytes?: number | undefined
  /** How many items. Default: as many as `maxBytes` allows. */
  readonly maxItems?: number | undefined
  /** How many variants of one URI in one partition; the least recently stored goes first. Default 64. */
  readonly maxVariants?: number | undefined
}

type Bounds = { readonly [Limit in keyof Limits]-?: number }

const defaults: Bounds = {
  maxBytes: 64 * 1024 * 1024,
  maxItemBytes: 8 * 1024 * 1024,
  maxItems: Infinity,
  maxVariants: 64
}

/** What an item and a fence cost beside their text and content; `npm run check:memory` holds it against the heap. */
const itemOverhead = 1536
const fenceOverhead = 128
/** The part of `maxBytes` that fences may take; the rest is for items. */
const fenceShare = 1 / 16

const textBytes = (text: string): number => text.length * 2

const itemBytes = (item: CacheItem): number => {
  let bytes = itemOverhead + item.body.byteLength + textBytes(item.key) + textBytes(item.partition) +
    textBytes(item.variant) + textBytes(item.id) + textBytes(item.fence) + textBytes(item.replaces ?? "")
  for (const name of item.vary) bytes += textBytes(name)
  for (const line of item.cookies) bytes += textBytes(line)
  for (const name in item.headers) bytes += textBytes(name) + textBytes(item.headers[name]!)
  return bytes
}

/** The more there are, the fewer keys one forgotten fence is about; they take 256 KiB, once one is forgotten. */
const fenceGroups = 65_536

/**
 * The collects that a fill may have missed. Collects are counted, and the fence of a key is the number of its latest one.
 * When the oldest is forgotten, what was fenced before it is refused of the keys that share its group, of which nobody can
 * choose the others: a few responses are stored one request later, and memory stays bounded.
 */
class Fences {
  private count = 0
  private readonly seed = randomInt(2 ** 31)
  /** By group, the latest collect that was forgotten. */
  private forgotten: Uint32Array | undefined
  private readonly latest: LRUCache<CacheStorage.CacheKey, number>

  constructor(maxBytes: number) {
    this.latest = new LRUCache<CacheStorage.CacheKey, number>({
      maxSize: Math.max(1, Math.floor(maxBytes)),
      sizeCalculation: (_, key) => fenceOverhead + textBytes(key),
      dispose: (count, key, reason) => {
        if (reason === "evict") this.forget(key, count)
      }
    })
  }

  of(key: CacheStorage.CacheKey): string {
    const count = this.countOf(key)
    return count === 0 ? "" : String(count)
  }

  isCurrent(fence: string, key: CacheStorage.CacheKey): boolean {
    return Number(fence) >= this.countOf(key)
  }

  raise(key: CacheStorage.CacheKey): void {
    this.latest.set(key, ++this.count)
    if (!this.latest.has(key)) this.forget(key, this.count)
  }

  private countOf(key: CacheStorage.CacheKey): number {
    const latest = this.latest.peek(key) ?? 0
    return this.forgotten === undefined ? latest : Math.max(this.forgotten[this.groupOf(key)]!, latest)
  }

  private forget(key: CacheStorage.CacheKey, count: number): void {
    const group = this.groupOf(key)
    this.forgotten ??= new Uint32Array(fenceGroups)
    this.forgotten[group] = Math.max(this.forgotten[group]!, count)
  }

  private groupOf(key: CacheStorage.CacheKey): number {
    let hash = this.seed
    for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
    return (hash >>> 0) % fenceGroups
  }
}

class Memory implements CollectableCacheStorage.Service {
  private readonly limits: Bounds
  private readonly fences: Fences
  private readonly items: LRUCache<CacheItem, true>
  private readonly places = new Map<CacheStorage.CacheKey, Map<string, ReadonlyArray<CacheItem>>>()

  constructor(limits: Bounds) {
    this.limits = limits
    this.fences = new Fences(limits.maxBytes * fenceShare)
    this.items = new LRUCache<CacheItem, true>({
      maxSize: Math.max(1, Math.floor(limits.maxBytes * (1 - fenceShare))),
      sizeCalculation: (_, item) => itemBytes(item),
      dispose: (_, item, reason) => {
        if (reason === "evict") this.replace(item.key, item.partition, (items) => items.filter((i) => i !== item))
      }
    })
  }

  readonly get = (lookup: CacheStorage.Lookup) =>
    Effect.suspend(() => {
      const partitions = this.places.get(lookup.key)
      const item = CacheStorage.select(partitions?.get(lookup.partition) ?? [], lookup)
      const fence = this.fences.of(lookup.key)
      if (item === undefined) {
        const reason = partitions?.has(lookup.partition) === true ? "vary-miss" : "uri-miss"
        return new CacheMiss({ key: lookup.key, reason, fence })
      }
      this.items.get(item)
      return Effect.succeed(item.fence === fence ? item : { ...item, fence })
    })

  readonly set = (item: CacheItem, lookup: CacheStorage.Lookup) => Effect.suspend(() => this.put(owned(item), lookup))

  readonly collect = (key: CacheStorage.CacheKey) =>
    Effect.sync(() => {
      for (const items of this.places.get(key)?.values() ?? []) for (const item of items) this.items.delete(item)
      this.places.delete(key)
      this.fences.raise(key)
      return this.fences.of(key)
    })

  private put(item: CacheItem, lookup: CacheStorage.Lookup): Effect.Effect<boolean> {
    if (!this.fences.isCurrent(item.fence, lookup.key)) return Effect.succeed(false)
    const before = this.places.get(lookup.key)?.get(lookup.partition) ?? []
    const placed = CacheStorage.place(before, item, lookup)
    if (placed === undefined) return Effect.succeed(false)
    // What the item replaces is out of date, also when it is too large to be kept itself.
    const isKept = !CacheStorage.isDead(item) &&
      itemBytes(item) <= Math.min(this.limits.maxItemBytes, this.items.maxSize)
    const own = placed.filter((other) => isKept || other !== item)
    const after = own.slice(-this.limits.maxVariants)
    for (const other of before) if (!after.includes(other)) this.items.delete(other)
    this.replace(item.key, item.partition, () => after)
    if (!isKept) return Effect.succeed(false)
    this.items.set(item, true)
    while (this.items.size > this.limits.maxItems) this.items.pop()
    return after.length === own.length
      ? Effect.succeed(true)
      : Effect.as(limitReached(this, "variants", "and the least recently stored of a URI goes"), true)
  }

  private replace(
    key: CacheStorage.CacheKey,
    partition: string,
    change: (items: ReadonlyArray<CacheItem>) => ReadonlyArray<CacheItem>
  ): void {
    const partitions = this.places.get(key) ?? new Map<string, ReadonlyArray<CacheItem>>()
    const items = change(partitions.get(partition) ?? [])
    if (items.length > 0) partitions.set(partition, items)
    else partitions.delete(partition)
    if (partitions.size > 0) this.places.set(key, partitions)
    else this.places.delete(key)
  }
}

/** A view of a larger buffer would hold all of it, and so would a text that was cut from a larger one. */
const owned = ({ body, ...texts }: CacheItem): CacheItem => ({
  ...structuredClone(texts),
  body: body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body)
})

const isWhole = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 1

const limit = unless((value) => value === Infinity || isWhole(value), "a whole number, 1 or more")

const checks: { readonly [Limit in keyof Limits]-?: Check } = {
  maxBytes: unless(isWhole, "a whole number, 1 or more"),
  maxItemBytes: limit,
  maxItems: limit,
  maxVariants: limit
}

const boundsOf = (limits: Limits): Bounds => {
  check("InMemoryCacheStorage.layerWith", "limit", limits, checks)
  const given = Object.entries(limits).filter(([, value]) => value !== undefined)
  return { ...defaults, ...Object.fromEntries(given) }
}

/**
 * With limits of your own; it can collect. Throws a `TypeError` that says what is expected, when a limit isn't a whole number
 * of at least 1, or is none that there is.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (
  limits: Limits
): Layer.Layer<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage> => {
  const bounds = boundsOf(limits)
  return CollectableCacheStorage.layer(Effect.sync(() => new Memory(bounds)))
}

/**
 * The normal setup: routes can be cached and collected.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerCollectable: Layer.Layer<
  CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage
> = layerWith({})

/**
 * For an application in which nothing is collected; `withCollect` does not compile with it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<CacheStorage.CacheStorage> = CacheStorage.layer(
  Effect.sync(() => new Memory(defaults))
)
