/**
 * What other storages evict, on items of one size: whether each request of a trace is a hit. They are simulations, which keep
 * no item.
 */

export type Policy = (trace: Uint32Array, capacity: number) => Uint8Array

/** Of each request, whether `ask` knew its URI. */
const simulated = (trace: Uint32Array, ask: (uri: number) => boolean): Uint8Array =>
  Uint8Array.from(trace, (uri) => Number(ask(uri)))

const firstOf = (set: Set<number> | Map<number, number>): number => set.keys().next().value!

/** The least recently used goes. */
export const lru: Policy = (trace, capacity) => {
  const kept = new Set<number>()
  return simulated(trace, (uri) => {
    const isHit = kept.delete(uri)
    if (!isHit && kept.size === capacity) kept.delete(firstOf(kept))
    kept.add(uri)
    return isHit
  })
}

/** A hit sets a bit. A hand goes from the oldest to the newest, takes bits away, and evicts the first that has none (NSDI 2024). */
export const sieve: Policy = (trace, capacity) => {
  interface Entry {
    readonly uri: number
    isVisited: boolean
    newer: Entry | undefined
    older: Entry | undefined
  }
  const kept = new Map<number, Entry>()
  let oldest: Entry | undefined
  let newest: Entry | undefined
  let hand: Entry | undefined
  const evict = () => {
    let entry = hand ?? oldest!
    while (entry.isVisited) {
      entry.isVisited = false
      entry = entry.newer ?? oldest!
    }
    hand = entry.newer
    if (entry.older === undefined) oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) newest = entry.older
    else entry.newer.older = entry.older
    kept.delete(entry.uri)
  }
  return simulated(trace, (uri) => {
    const found = kept.get(uri)
    if (found !== undefined) {
      found.isVisited = true
      return true
    }
    if (kept.size === capacity) evict()
    const entry: Entry = { uri, isVisited: false, newer: undefined, older: newest }
    if (newest === undefined) oldest = entry
    else newest.newer = entry
    newest = entry
    kept.set(uri, entry)
    return false
  })
}

/** A tenth is for what is new; what is asked twice there goes to the rest, and what was there lately goes there at once (SOSP 2023). */
export const s3Fifo: Policy = (trace, capacity) => {
  const smallSize = Math.max(1, Math.floor(capacity / 10))
  // By URI, how often it was asked since; a Map is in the order in which it was filled.
  const small = new Map<number, number>()
  const main = new Map<number, number>()
  const ghosts = new Set<number>()
  const evictMain = () => {
    for (;;) {
      const uri = firstOf(main)
      const count = main.get(uri)!
      main.delete(uri)
      if (count === 0) return
      main.set(uri, count - 1)
    }
  }
  const evictSmall = () => {
    while (small.size > 0) {
      const uri = firstOf(small)
      const count = small.get(uri)!
      small.delete(uri)
      if (count <= 1) {
        ghosts.add(uri)
        if (ghosts.size > capacity - smallSize) ghosts.delete(firstOf(ghosts))
        return
      }
      main.set(uri, 0)
      if (main.size > capacity - smallSize) evictMain()
    }
  }
  return simulated(trace, (uri) => {
    for (const queue of [small, main]) {
      const count = queue.get(uri)
      if (count === undefined) continue
      queue.set(uri, Math.min(3, count + 1))
      return true
    }
    while (small.size + main.size >= capacity) {
      if (small.size >= smallSize) evictSmall()
      else evictMain()
    }
    if (ghosts.delete(uri)) main.set(uri, 0)
    else small.set(uri, 0)
    return false
  })
}

/** How often each was asked lately, within a bound: four rows of small counts, which are halved from time to time. */
class Sketch {
  private readonly width: number
  private readonly counts: Uint8Array
  private readonly period: number
  private added = 0

  constructor(capacity: number) {
    this.width = 2 ** Math.ceil(Math.log2(capacity)) * 4
    this.counts = new Uint8Array(4 * this.width)
    this.period = 10 * capacity
  }

  private at(uri: number, row: number): number {
    let mixed = Math.imul(uri + 1, [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f][row]!)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d)
    return row * this.width + ((mixed ^ (mixed >>> 13)) & (this.width - 1))
  }

  add(uri: number): void {
    for (let row = 0; row < 4; row++) {
      const at = this.at(uri, row)
      if (this.counts[at]! < 15) this.counts[at]!++
    }
    if (++this.added < this.period) return
    this.added = 0
    for (let at = 0; at < this.counts.length; at++) this.counts[at]! >>>= 1
  }

  of(uri: number): number {
    let least = 15
    for (let row = 0; row < 4; row++) least = Math.min(least, this.counts[this.at(uri, row)]!)
    return least
  }
}

/** A hundredth is for what is new; from there to the rest goes what was asked more often than what would be evicted for it. */
export const wTinyLfu: Policy = (trace, capacity) => {
  const windowSize = Math.max(1, Math.floor(capacity / 100))
  const mainSize = capacity - windowSize
  const protectedSize = Math.floor(0.8 * mainSize)
  const recent = new Set<number>()
  const probation = new Set<number>()
  const guarded = new Set<number>()
  const sketch = new Sketch(capacity)
  return simulated(trace, (uri) => {
    sketch.add(uri)
    if (recent.delete(uri)) return recent.add(uri) !== undefined
    if (guarded.delete(uri)) return guarded.add(uri) !== undefined
    if (probation.delete(uri)) {
      guarded.add(uri)
      if (guarded.size > protectedSize) {
        const back = firstOf(guarded)
        guarded.delete(back)
        probation.add(back)
      }
      return true
    }
    recent.add(uri)
    if (recent.size <= windowSize) return false
    const candidate = firstOf(recent)
    recent.delete(candidate)
    if (probation.size + guarded.size < mainSize) {
      probation.add(candidate)
      return false
    }
    const queue = probation.size > 0 ? probation : guarded
    const victim = firstOf(queue)
    if (sketch.of(candidate) > sketch.of(victim)) {
      queue.delete(victim)
      probation.add(candidate)
    }
    return false
  })
}

/** Nobody can do better: what is asked again last goes, also where that is the new one. */
export const belady: Policy = (trace, capacity) => {
  const never = trace.length
  const nexts = new Uint32Array(trace.length)
  const seen = new Map<number, number>()
  for (let at = trace.length - 1; at >= 0; at--) {
    nexts[at] = seen.get(trace[at]!) ?? never
    seen.set(trace[at]!, at)
  }
  // A request that will be a hit, by when it comes; what comes last is on top. What is out of date is passed by.
  const heap: Array<number> = []
  const push = (next: number) => {
    let at = heap.push(next) - 1
    while (at > 0 && heap[(at - 1) >> 1]! < next) {
      heap[at] = heap[(at - 1) >> 1]!
      at = (at - 1) >> 1
    }
    heap[at] = next
  }
  const pop = (): number => {
    const [top] = heap as [number]
    const last = heap.pop()!
    if (heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]! > heap[child]!) child++
      if (heap[child]! <= last) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return top
  }
  const willHit = new Uint8Array(trace.length)
  let size = 0
  return Uint8Array.from(trace, (_, at) => {
    const isHit = willHit[at]!
    if (isHit === 1) size--
    const next = nexts[at]!
    if (next === never) return isHit
    willHit[next] = 1
    push(next)
    if (++size > capacity) {
      willHit[pop()] = 0
      size--
    }
    return isHit
  })
}
