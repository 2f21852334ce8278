/** What was collected from a storage in memory, as far as an item or a fill may have missed it. */
import { LRUCache } from "lru-cache"
import { randomInt } from "node:crypto"
import { type Force, hard, soft, softUnlessError, spared } from "../storages/force.js"

/** What a collect costs beside its name. Bytes. */
const overhead = 176

/** The more there are, the fewer names one forgotten collect is about; they take 256 KiB, once one is forgotten. */
const nameBuckets = 65_536

/** The numbers of the latest collects of at least each force, the weakest first. */
type Latest = readonly [number, number, number]

const never: Latest = [0, 0, 0]

const after = (latest: Latest, force: Force, count: number): Latest => [
  count,
  force >= soft ? count : latest[1],
  force >= hard ? count : latest[2]
]

const strongest = ([weakest, middle, strongest]: Latest, since: number): Force =>
  strongest > since ? hard : middle > since ? soft : weakest > since ? softUnlessError : spared

/**
 * The collects that an item or a fill may have missed. They are counted, and a name remembers the numbers of its latest
 * ones. When the oldest is forgotten, every name in its bucket counts as collected at that number, and no client can choose a
 * bucket. That bounds the memory, and costs only that a few responses are stored one request later.
 */
export class Collects {
  /** How many there were. */
  count = 0
  private readonly seed = randomInt(2 ** 31)
  private everything: Latest = never
  /** By bucket, the latest collect that was forgotten. */
  private forgotten: Uint32Array | undefined
  private latestForgotten = -1
  private readonly latest: LRUCache<string, Latest>

  constructor(maxBytes: number) {
    this.latest = new LRUCache<string, Latest>({
      maxSize: Math.max(1, Math.floor(maxBytes)),
      sizeCalculation: (_, name) => overhead + 2 * name.length,
      dispose: ([count], name, reason) => {
        if (reason === "evict") this.forget(name, count)
      }
    })
  }

  add(name: string, force: Force): void {
    const latest = after(this.latest.peek(name) ?? never, force, ++this.count)
    this.latest.set(name, latest)
    if (!this.latest.has(name)) this.forget(name, this.count)
  }

  addEverything(force: Force): void {
    this.everything = after(this.everything, force, ++this.count)
  }

  /** The strongest collect of one of these names after the collect with this number. */
  since(count: number, names: ReadonlyArray<string>): Force {
    if (count === this.count) return spared
    let force = strongest(this.everything, count)
    for (let at = 0; at < names.length && force !== hard; at++) {
      const other = this.ofName(names[at]!, count)
      if (other > force) force = other
    }
    return force
  }

  private ofName(name: string, count: number): Force {
    if (this.latestForgotten > count && this.forgotten![this.bucketOf(name)]! > count) return hard
    return strongest(this.latest.peek(name) ?? never, count)
  }

  private forget(name: string, count: number): void {
    const bucket = this.bucketOf(name)
    this.forgotten ??= new Uint32Array(nameBuckets)
    this.forgotten[bucket] = Math.max(this.forgotten[bucket]!, count)
    this.latestForgotten = Math.max(this.latestForgotten, count)
  }

  private bucketOf(name: string): number {
    let hash = this.seed
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    return (hash >>> 0) % nameBuckets
  }
}
