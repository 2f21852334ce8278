/** What was collected from a storage in memory, as far as a fill that runs may have missed it. */
import { LRUCache } from "lru-cache"
import { randomInt } from "node:crypto"
import type { CacheKey } from "../protocol/CacheKey.js"

/** What a collect costs beside its name. Bytes. */
const overhead = 128

/** The more there are, the fewer names one forgotten collect is about; they take 256 KiB, once one is forgotten. */
const nameBuckets = 65_536

export const nameOfKey = (key: CacheKey): string => `k${key}`
export const nameOfGroup = (group: string): string => `g${group}`

/**
 * The collects that a fill may have missed. They are counted, and a name remembers the number of its latest one. When the
 * oldest is forgotten, every name that shares its bucket counts as collected then, and nobody can choose who shares one: a
 * few responses are stored one request later, and memory stays bounded.
 */
export class Collects {
  /** How many there were. */
  count = 0
  private readonly seed = randomInt(2 ** 31)
  /** By bucket, the latest collect that was forgotten. */
  private forgotten: Uint32Array | undefined
  private readonly latest: LRUCache<string, number>

  constructor(maxBytes: number) {
    this.latest = new LRUCache<string, number>({
      maxSize: Math.max(1, Math.floor(maxBytes)),
      sizeCalculation: (_, name) => overhead + 2 * name.length,
      dispose: (count, name, reason) => {
        if (reason === "evict") this.forget(name, count)
      }
    })
  }

  add(name: string): void {
    this.latest.set(name, ++this.count)
    if (!this.latest.has(name)) this.forget(name, this.count)
  }

  /** Whether the name was collected after the collect with this number. */
  isAfter(since: number, name: string): boolean {
    if (since === this.count) return false
    if ((this.latest.peek(name) ?? 0) > since) return true
    return this.forgotten !== undefined && this.forgotten[this.bucketOf(name)]! > since
  }

  private forget(name: string, count: number): void {
    const bucket = this.bucketOf(name)
    this.forgotten ??= new Uint32Array(nameBuckets)
    this.forgotten[bucket] = Math.max(this.forgotten[bucket]!, count)
  }

  private bucketOf(name: string): number {
    let hash = this.seed
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    return (hash >>> 0) % nameBuckets
  }
}
