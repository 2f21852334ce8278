/**
 * A storage in the memory of the process, bounded by bytes; the least recently used is evicted first.
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
import { Collects, nameOfGroup, nameOfKey } from "./memory/collects.js"
import { owned } from "./memory/ownTexts.js"
import { type Check, check, unless } from "./runtime/givenValues.js"
import { limitReached } from "./runtime/limits.js"
import { runtimeOf } from "./runtime/runtime.js"

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

type Bounds = { readonly [Limit in keyof Limits]-?: number }

const defaults: Bounds = {
  maxBytes: 64 * 1024 * 1024,
  maxItemBytes: 8 * 1024 * 1024,
  maxItems: Infinity,
  maxVariants: 64
}

/** What an item costs beside its text and content; `npm run check:memory` holds it against the heap. */
const itemOverhead = 400
/** The part of `maxBytes` that collects may take; the rest is for items. */
const collectShare = 1 / 16

const textBytes = (text: string): number => text.length * 2

const itemBytes = (item: CacheItem): number => {
  let bytes = itemOverhead + item.body.byteLength + textBytes(item.key) + textBytes(item.partition) +
    textBytes(item.variant) + textBytes(item.id)
  for (const name of item.vary) bytes += textBytes(name)
  for (const group of item.groups) bytes += textBytes(group)
  for (const line of item.cookies) bytes += textBytes(line)
  for (const name in item.headers) bytes += textBytes(name) + textBytes(item.headers[name]!)
  return bytes
}

/** A stored item, in the order of use, and beside the others of its key. */
interface Entry {
  readonly item: CacheItem
  /** The number of the latest collect before the handler was asked. */
  readonly since: number
  readonly bytes: number
  older: Entry | undefined
  newer: Entry | undefined
  /** Another item of the same key: another partition or variant. */
  next: Entry | undefined
}

/** Every method does its work when it is called, and answers an `Exit`. */
class Memory implements CollectableCacheStorage.Service {
  private readonly limits: Bounds
  private readonly maxItemsBytes: number
  private readonly collects: Collects
  private readonly entries = new Map<CacheStorage.CacheKey, Entry>()
  private oldest: Entry | undefined
  private newest: Entry | undefined
  private bytes = 0
  private size = 0

  constructor(limits: Bounds) {
    this.limits = limits
    this.maxItemsBytes = Math.max(1, Math.floor(limits.maxBytes * (1 - collectShare)))
    this.collects = new Collects(limits.maxBytes * collectShare)
  }

  readonly get = (lookup: CacheStorage.Lookup): Exit.Exit<CacheItem, CacheMiss> => {
    const first = this.entries.get(lookup.key)
    if (first === undefined) return Exit.fail(new CacheMiss({ key: lookup.key, reason: "uri-miss" }))
    const found = this.find(first, lookup)
    if (found !== undefined) {
      this.touch(found)
      return Exit.succeed(found.item)
    }
    const reason = this.inPlace(lookup).length > 0 ? "vary-miss" : "uri-miss"
    return Exit.fail(new CacheMiss({ key: lookup.key, reason }))
  }

  readonly begin = (lookup: CacheStorage.Lookup): Exit.Exit<CacheStorage.Fill> => {
    const first = this.entries.get(lookup.key)
    const found = first === undefined ? undefined : this.find(first, lookup)
    return Exit.succeed({ lookup, item: found?.item, since: this.collects.count })
  }

  readonly set = (
    given: CacheItem | undefined,
    fill: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Kept> => {
    const { lookup } = fill
    if (!this.isCurrent({ keys: [lookup.key], groups: given?.groups ?? [] }, fill)) return overtaken
    const item = given === undefined ? undefined : owned(given)
    const isKept = item !== undefined && itemBytes(item) <= Math.min(this.limits.maxItemBytes, this.maxItemsBytes)
    const before = this.inPlace(lookup)
    const after = CacheStorage.place(before.map(({ item }) => item), item, fill)
    if (after === undefined) return overtaken
    const rest = new Set(after)
    for (const entry of before) if (!rest.has(entry.item)) this.remove(entry)
    // What the item replaces is out of date, also when it is too large to be kept itself.
    if (!isKept) return refused
    this.add(item, fill.since as number)
    return after.length > this.limits.maxVariants
      ? Effect.andThen(this.dropOldest(before.filter((entry) => rest.has(entry.item))), kept)
      : kept
  }

  readonly collect = ({ groups, keys }: CollectableCacheStorage.Names): Exit.Exit<void> => {
    for (const key of keys) {
      for (let entry = this.entries.get(key); entry !== undefined; entry = entry.next) this.leaveOrder(entry)
      this.entries.delete(key)
      this.collects.add(nameOfKey(key))
    }
    for (const group of groups) this.collects.add(nameOfGroup(group))
    return Exit.void
  }

  readonly holds = (names: CollectableCacheStorage.Names, fill: CacheStorage.Fill): Exit.Exit<boolean> =>
    Exit.succeed(this.isCurrent(names, fill))

  /** Whether a fill is not overtaken: none of the names was collected since it began. */
  private isCurrent({ groups, keys }: CollectableCacheStorage.Names, { since }: CacheStorage.Fill): boolean {
    const moment = typeof since === "number" ? since : -1
    return !keys.some((key) => this.collects.isAfter(moment, nameOfKey(key))) &&
      !groups.some((group) => this.collects.isAfter(moment, nameOfGroup(group)))
  }

  /** The entry that the request selects. */
  private find(first: Entry, lookup: CacheStorage.Lookup): Entry | undefined {
    if (first.next === undefined) {
      const { item } = first
      const isSelected = item.partition === lookup.partition && lookup.variantOf(item.vary) === item.variant
      return isSelected && this.isAlive(first) ? first : undefined
    }
    const entries = this.inPlace(lookup)
    const item = CacheStorage.select(entries.map(({ item }) => item), lookup)
    return entries.find((entry) => entry.item === item)
  }

  private inPlace({ key, partition }: CacheStorage.Place): ReadonlyArray<Entry> {
    const entries: Array<Entry> = []
    for (let entry = this.entries.get(key); entry !== undefined; entry = entry.next) {
      if (entry.item.partition === partition && this.isAlive(entry)) entries.push(entry)
    }
    return entries
  }

  /** None of its groups was collected since its handler was asked; a collect of its key has removed it. */
  private isAlive({ item: { groups }, since }: Entry): boolean {
    return groups.length === 0 || !groups.some((group) => this.collects.isAfter(since, nameOfGroup(group)))
  }

  private add(item: CacheItem, since: number): void {
    const bytes = itemBytes(item)
    const last = this.lastOf(item.key)
    const entry: Entry = { item, since, bytes, older: undefined, newer: undefined, next: undefined }
    if (last === undefined) this.entries.set(item.key, entry)
    else last.next = entry
    this.enterOrder(entry)
    while (this.bytes > this.maxItemsBytes || this.size > this.limits.maxItems) this.remove(this.oldest!)
  }

  private lastOf(key: CacheStorage.CacheKey): Entry | undefined {
    let last = this.entries.get(key)
    while (last?.next !== undefined) last = last.next
    return last
  }

  /** `others`: the variants beside the newest, the least recently stored first. */
  private dropOldest(others: ReadonlyArray<Entry>): Effect.Effect<void> {
    for (const entry of others.slice(0, others.length + 1 - this.limits.maxVariants)) this.remove(entry)
    return limitReached(runtimeOf(this), "variants", "and the least recently stored of a URI goes")
  }

  private remove(entry: Entry): void {
    const { key } = entry.item
    const first = this.entries.get(key)
    if (first === entry) {
      if (entry.next === undefined) this.entries.delete(key)
      else this.entries.set(entry.next.item.key, entry.next)
    } else {
      let before = first
      while (before !== undefined && before.next !== entry) before = before.next
      if (before === undefined) return
      before.next = entry.next
    }
    this.leaveOrder(entry)
  }

  private touch(entry: Entry): void {
    if (entry === this.newest) return
    this.leaveOrder(entry)
    this.enterOrder(entry)
  }

  private enterOrder(entry: Entry): void {
    entry.older = this.newest
    entry.newer = undefined
    if (this.newest !== undefined) this.newest.newer = entry
    this.newest = entry
    this.oldest ??= entry
    this.bytes += entry.bytes
    this.size++
  }

  private leaveOrder(entry: Entry): void {
    if (entry.older === undefined) this.oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) this.newest = entry.older
    else entry.newer.older = entry.older
    this.bytes -= entry.bytes
    this.size--
  }
}

const kept = Exit.succeed<CacheStorage.Kept>("kept")
const overtaken = Exit.succeed<CacheStorage.Kept>("overtaken")
const refused = Exit.succeed<CacheStorage.Kept>("refused")

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
  return CollectableCacheStorage.layer(Effect.sync(() => new Memory(bounds)))
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
  Effect.sync(() => new Memory(defaults))
)
