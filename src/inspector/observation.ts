/** What was seen of a storage since somebody looks on, within bounds. It keeps no response. */
import { LRUCache } from "lru-cache"
import type { CacheItem } from "../CacheItem.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import { type Soft } from "../protocol/Reuse.js"
import { everything, kindOf, textOf } from "../runtime/names.js"
import type { Observer, Runtime } from "../runtime/runtime.js"

/** What became of a request; `shared`: another request's run of the handler answered it. */
export const kinds = ["hit", "stale", "shared", "miss", "passed"] as const

export type Kind = typeof kinds[number]

export type Counts = { [A in Kind]: number }

export const none = (): Counts => ({ hit: 0, stale: 0, shared: 0, miss: 0, passed: 0 })

export const total = (counts: Counts): number => kinds.reduce((sum, kind) => sum + counts[kind], 0)

/** How many of the requests that a cache could answer were answered with what is stored; `undefined` where there was none. */
export const ratio = ({ hit, miss, shared, stale }: Counts): number | undefined => {
  const asked = hit + stale + shared + miss
  return asked === 0 ? undefined : (hit + stale) / asked
}

const whatBecame = (outcome: CacheStatus.Outcome | CacheStatus.NotCached): Kind => {
  if (outcome._tag === "Hit") return outcome.ttl > 0 ? "hit" : "stale"
  if (outcome._tag === "NotCached" || outcome.reason === "method" || outcome.reason === "bypass") return "passed"
  return outcome.collapsed === true ? "shared" : "miss"
}

/** URIs; those that nobody has asked for lately go first. */
export const mostUris = 10_000
/** Items, of all URIs together. */
const mostItems = 20_000
/** Each of the two tables. */
const mostBytes = 8 * 1024 * 1024
/** Beside the text of an entry. Bytes. */
const overhead = 128
/** What is kept by longer texts is not remembered. Characters. */
const longestPlace = 1024
/** Routes; what is of others is counted together. */
const mostRoutes = 200
const otherRoutes = "(other routes)"
/** Groups that were collected, before all items are gone through for them. */
const mostCollected = 1000
/** Minutes. */
export const span = 60

/** What is known of a stored item. */
export interface Seen {
  readonly row: Row
  readonly bytes: number
  /** `undefined`: it is kept for one user. */
  readonly variant: string | undefined
  readonly groups: ReadonlyArray<string>
  /** Epoch milliseconds. */
  readonly retainUntil: number
  /** How many collects had been seen when it was seen last. */
  collects: number
  /** It was collected, or has expired. Its variant is remembered, so that it does not count as a new one. */
  isGone: boolean
}

/** What is known of a URI. */
export class Row {
  readonly key: string
  route: string
  readonly counts = none()
  /** Names of the items in the other table. */
  readonly places = new Set<string>()
  bytes = 0
  /** Under how many values of its fields something was stored for it. */
  values = 0
  /** The fields that the latest of these was stored by. */
  vary: ReadonlyArray<string> = []

  constructor(key: string, route: string) {
    this.key = key
    this.route = route
  }
}

/** Why a request was not answered with what is stored, and how often. */
interface Missed {
  readonly reason: CacheStatus.ForwardReason
  readonly detail: CacheStatus.Detail | undefined
  count: number
  /** The latest URI. */
  key: string
}

export interface Minute {
  /** Since the epoch. */
  readonly at: number
  readonly counts: Counts
}

const placeOf = ({ key, partition, variant }: CacheItem): string =>
  `${key.length} ${partition.length} ${key}${partition}${variant}`

export class Observation implements Observer {
  /** Epoch milliseconds. */
  readonly since: number
  readonly all = none()
  /** The requests for which the handler ran. */
  ran = 0
  readonly routes = new Map<string, Counts>()
  readonly missed = new Map<string, Missed>()
  /** Goes up with whatever is seen. */
  revision = 0
  private collects = 0
  /** Groups that were collected, with the number of the collect, while the items are not gone through for them. */
  private readonly groups = new Map<string, number>()
  private readonly byMinute = new Map<number, Minute>()
  private readonly items = new LRUCache<string, Seen>({
    max: mostItems,
    maxSize: mostBytes,
    sizeCalculation: ({ groups }, place) =>
      groups.reduce((bytes, group) => bytes + 2 * group.length, overhead + 2 * place.length),
    dispose: (seen, place) => this.leave(seen, place)
  })
  private readonly rows = new LRUCache<string, Row>({
    max: mostUris,
    maxSize: mostBytes,
    sizeCalculation: (_, key) => overhead + 2 * key.length,
    dispose: (row) => {
      for (const place of row.places) this.items.delete(place)
    }
  })

  constructor(since: number) {
    this.since = since
  }

  answered(key: string, route: string, outcome: CacheStatus.Outcome | CacheStatus.NotCached, now: number): void {
    const kind = whatBecame(outcome)
    this.all[kind]++
    this.ofRoute(route)[kind]++
    this.ofMinute(now)[kind]++
    const row = this.rowOf(key, route)
    if (row !== undefined) row.counts[kind]++
    if (outcome._tag === "Forwarded" && kind !== "shared") {
      this.ran++
      this.miss(outcome, key)
    }
    this.revision++
  }

  saw(item: CacheItem): void {
    const row = this.rowOf(item.key)
    if (row === undefined || item.partition.length + item.variant.length > longestPlace) return
    const place = placeOf(item)
    const known = this.items.get(place)
    const bytes = item.body.byteLength
    if (known?.isGone === false) {
      known.collects = this.collects
      if (known.bytes === bytes && known.retainUntil === item.retainUntil) return
    }
    const isPrivate = item.partition !== ""
    if (known?.row !== row && item.vary.length > 0 && !isPrivate) {
      row.values++
      row.vary = item.vary
    }
    this.revision++
    this.items.delete(place)
    row.bytes += bytes
    row.places.add(place)
    const { groups, retainUntil, variant } = item
    this.items.set(place, {
      row,
      bytes,
      variant: isPrivate ? undefined : variant,
      groups,
      retainUntil,
      collects: this.collects,
      isGone: false
    })
  }

  /** What is collected is not there any more. What is of a group is looked for later: a write does not wait for that. */
  collected(name: string, soft: Soft): void {
    this.revision++
    if (soft !== false) return
    this.collects++
    if (name === everything) return this.drop(() => true)
    if (kindOf(name) === "group") {
      this.groups.set(textOf(name), this.collects)
      if (this.groups.size > mostCollected) this.settle(0)
      return
    }
    for (const place of this.rows.peek(textOf(name))?.places ?? []) this.forget(place)
  }

  /** Takes out what has been collected or has expired. `now`: epoch milliseconds. */
  settle(now: number): void {
    this.drop(({ collects, groups, retainUntil }) =>
      retainUntil <= now || groups.some((group) => (this.groups.get(group) ?? 0) > collects)
    )
    this.groups.clear()
  }

  /** All that is known, after what is gone is out of it. */
  uris(now: number): ReadonlyArray<Row> {
    this.settle(now)
    return [...this.rows.values()]
  }

  /** What is known of one URI. */
  uri(key: string): Row | undefined {
    return this.rows.peek(key)
  }

  itemsOf({ places }: Row): ReadonlyArray<Seen> {
    return [...places].flatMap((place) => this.items.peek(place) ?? [])
  }

  /** The minutes up to now, the earliest first, also those in which nothing was asked. */
  minutes(now: number): ReadonlyArray<Minute> {
    const last = Math.floor(now / 60_000)
    return Array.from({ length: span }, (_, back) => {
      const at = last - span + 1 + back
      return this.byMinute.get(at) ?? { at, counts: none() }
    })
  }

  private drop(isGone: (seen: Seen) => boolean): void {
    const gone = [...this.items].filter(([, seen]) => !seen.isGone && isGone(seen))
    for (const [place] of gone) this.forget(place)
  }

  private forget(place: string): void {
    const seen = this.items.peek(place)
    if (seen === undefined) return
    this.leave(seen, place)
    if (seen.variant === undefined) this.items.delete(place)
  }

  private leave(seen: Seen, place: string): void {
    if (seen.isGone) return
    seen.isGone = true
    seen.row.bytes -= seen.bytes
    seen.row.places.delete(place)
  }

  /** `undefined`: the key is too long to be kept. */
  private rowOf(key: string, route?: string): Row | undefined {
    let row = this.rows.get(key)
    if (row === undefined) {
      row = new Row(key, route ?? "")
      this.rows.set(key, row)
      if (!this.rows.has(key)) return undefined
    }
    if (route !== undefined) row.route = route
    return row
  }

  private ofRoute(route: string): Counts {
    const name = this.routes.has(route) || this.routes.size < mostRoutes ? route : otherRoutes
    const counts = this.routes.get(name) ?? none()
    this.routes.set(name, counts)
    return counts
  }

  private ofMinute(now: number): Counts {
    const at = Math.floor(now / 60_000)
    let minute = this.byMinute.get(at)
    if (minute === undefined) {
      this.byMinute.set(at, minute = { at, counts: none() })
      for (const other of this.byMinute.keys()) if (Math.abs(at - other) >= span) this.byMinute.delete(other)
    }
    return minute.counts
  }

  private miss({ detail, reason }: CacheStatus.Forwarded, key: string): void {
    const name = `${reason} ${detail ?? ""}`
    const known = this.missed.get(name)
    if (known === undefined) this.missed.set(name, { reason, detail, count: 1, key })
    else {
      known.count++
      known.key = key
    }
  }
}

const observations = new WeakMap<Runtime, Observation>()

/** The one of a storage, which begins when it is first asked for. `now`: epoch milliseconds. */
export const observationOf = (runtime: Runtime, now: number): Observation => {
  const known = observations.get(runtime)
  if (known !== undefined) return known
  const made = new Observation(now)
  observations.set(runtime, made)
  runtime.observer = made
  runtime.listeners.add((name, soft) => made.collected(name, soft))
  return made
}
