/**
 * What the storage in memory keeps of what is asked most: `npm run bench:zipf` prints, for traces of 100,000 URIs (Zipf), its
 * hit ratio beside those of other policies at the same bytes, and how many requests it answers and what heap it takes.
 */
import { Effect, Exit } from "effect"
import { type CacheStorage, InMemoryCacheStorage } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { Dice } from "../test/simulation.js"
import { belady, lru, type Policy, s3Fifo, sieve, wTinyLfu } from "./policies.js"
import { zipf } from "./zipf.js"

const uris = 100_000
const exponent = 0.9
const requests = 600_000
/** What is counted comes after so many requests. */
const warmUp = 200_000
const bodyBytes = 1024

/** What is asked for by the way, with the chance of `share`. */
const mixed = (share: number, other: () => number) => (): Uint32Array => {
  const dice = new Dice(1)
  const next = zipf(dice, uris, exponent)
  return Uint32Array.from({ length: requests }, () => dice.is(share) ? other() : next())
}

const counting = (first: number, end: number) => {
  let at = first
  return () => first + (at++ - first) % (end - first)
}

/** Every so often the ranks of a part of all URIs change. */
const drifting = (): Uint32Array => {
  const dice = new Dice(1)
  const next = zipf(dice, uris, exponent)
  const ranked = Uint32Array.from({ length: uris }, (_, at) => at)
  return Uint32Array.from({ length: requests }, (_, at) => {
    if (at % 100 === 0) {
      const [one, other] = [next(), dice.below(uris)]
      const uri = ranked[one]!
      ranked[one] = ranked[other]!
      ranked[other] = uri
    }
    return ranked[next()]!
  })
}

interface Trace {
  readonly name: string
  readonly make: () => Uint32Array
  /** For how many requests a response is fresh. */
  readonly expiry: number
}

const plain = mixed(0, () => 0)
const traces: ReadonlyArray<Trace> = [
  { name: "Zipf", make: plain, expiry: Infinity },
  { name: "a quarter is asked for once only", make: mixed(0.25, counting(uris, Infinity)), expiry: Infinity },
  { name: "a fifth is by a crawler, URI by URI", make: mixed(0.2, counting(0, uris)), expiry: Infinity },
  { name: "what is asked most changes", make: drifting, expiry: Infinity },
  { name: "fresh for 50,000 requests", make: plain, expiry: 50_000 },
  { name: "fresh for 10,000 requests", make: plain, expiry: 10_000 }
]

const policies: { readonly [name: string]: Policy } = {
  "LRU": lru,
  "SIEVE": sieve,
  "S3-FIFO": s3Fifo,
  "W-TinyLFU": wTinyLfu
}

/** Those of what was found that are fresh still; what is not is replaced, and counted as asked for. */
const freshOf = (trace: Uint32Array, found: Uint8Array, expiry: number): Uint8Array => {
  const until = new Map<number, number>()
  return found.map((isFound, at) => {
    const uri = trace[at]!
    if (isFound === 1 && at < until.get(uri)!) return 1
    until.set(uri, at + expiry)
    return 0
  })
}

const shareOf = (hits: Uint8Array): number =>
  hits.subarray(warmUp).reduce((sum, hit) => sum + hit, 0) / (requests - warmUp)

const used = (): number => {
  for (let i = 0; i < 2; i++) globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const body = new Uint8Array(bodyBytes)
/** Of one length, so that all items take as much. */
const lookupFor = (uri: number) => lookupOf({}, { key: `http://localhost/${String(uri).padStart(7, "0")}` })
const itemFor = (lookup: CacheStorage.Lookup) =>
  itemOf("", lookup, {
    headers: { "content-type": "application/json", "cache-control": "max-age=600" },
    body: body.slice()
  })

type Storage = ReturnType<typeof InMemoryCacheStorage.make>

const keep = (storage: Storage, lookup: CacheStorage.Lookup) =>
  Effect.runSync(Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemFor(lookup), fill)))

/** Whether it is a hit; the storage answers at once. */
const has = (storage: Storage, lookup: CacheStorage.Lookup): boolean =>
  Exit.isSuccess(Effect.runSyncExit(storage.get(lookup)))

/** How many items are kept within so many bytes. */
const capacityOf = (maxBytes: number): number => {
  const storage = InMemoryCacheStorage.make({ maxBytes })
  const lookups = Array.from({ length: uris }, (_, uri) => lookupFor(uri))
  for (const lookup of lookups) keep(storage, lookup)
  return lookups.filter((lookup) => has(storage, lookup)).length
}

/** The storage as it is: its hits, how many requests a second of processor time, and the bytes of heap. */
const ours = (trace: Uint32Array, expiry: number, maxBytes: number) => {
  const before = used()
  const storage = InMemoryCacheStorage.make({ maxBytes })
  const hits = new Uint8Array(trace.length)
  const until = new Map<number, number>()
  const begun = process.cpuUsage()
  for (let at = 0; at < trace.length; at++) {
    const lookup = lookupFor(trace[at]!)
    if (has(storage, lookup) && at < until.get(trace[at]!)!) hits[at] = 1
    else {
      keep(storage, lookup)
      until.set(trace[at]!, at + expiry)
    }
  }
  const { system, user } = process.cpuUsage(begun)
  const heap = used() - before
  // It lives until here.
  has(storage, lookupFor(0))
  return { hits, perSecond: trace.length / (system + user) * 1e6, heap }
}

const percent = (share: number): string => (100 * share).toFixed(1)
const line = (cells: ReadonlyArray<string>): void => console.log(`| ${cells.join(" | ")} |`)

/** Of all items together. */
const whole = uris * 1700

for (const part of [0.01, 0.05, 0.2]) {
  const maxBytes = Math.round(whole * part)
  const capacity = capacityOf(maxBytes)
  console.log(`\n${capacity} of ${uris} URIs fit into ${(maxBytes / 2 ** 20).toFixed(1)} MiB; hits in percent\n`)
  line(["trace", "ours", ...Object.keys(policies), "optimum", "requests a second", "heap, MiB"])
  line(Array.from({ length: 9 }, () => "---"))
  for (const { expiry, make, name } of traces) {
    const trace = make()
    const { heap, hits, perSecond } = ours(trace, expiry, maxBytes)
    const others = Object.values(policies).map((policy) => shareOf(freshOf(trace, policy(trace, capacity), expiry)))
    // It knows what is asked for next, and not what it costs that something is no more fresh then.
    const optimum = expiry === Infinity ? percent(shareOf(belady(trace, capacity))) : "–"
    const own = [perSecond.toFixed(0), (heap / 2 ** 20).toFixed(1)]
    line([name, percent(shareOf(hits)), ...others.map(percent), optimum, ...own])
  }
}
