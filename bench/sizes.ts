/** Does it matter how much is stored? The same requests to a large storage and to a small one, in one process. */
import { HttpServerResponse } from "@effect/platform"
import { Effect, Exit } from "effect"
import { CacheStorage, HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { getHeapStatistics } from "node:v8"
import { compare, type Contender, type Effort, ended, type Response, withRuntime } from "./meter.js"
import { asking, at } from "./requests.js"
import { head, type Results, skip } from "./table.js"

type Fork = Contender<unknown>["fork"]

const small = 1000
/** So many URIs are asked for in turn, of either storage: neighbours in the small one, far from each other in the large one. */
const asked = 1000
const contentBytes = 16
/** Bytes of heap for each item. */
const heapBytes = 3 * 1024

const uriOf = (item: number): string => at(`/items/${item}`)

const app = Effect.sync(() => HttpServerResponse.uint8Array(new Uint8Array(contentBytes))).pipe(
  withCache({ expiry: "1 day" })
)

const layer = InMemoryCacheStorage.layerWith({ maxBytes: 2 ** 33 })

const valueOf = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  throw new Error(`it failed: ${String(exit.cause)}`)
}

const run = async <A, E>(fork: Fork, effect: Parameters<typeof fork<A, E>>[0]): Promise<A> =>
  valueOf(await ended(fork(effect)))

const verify = (what: string, says: RegExp, responses: ReadonlyArray<Response>): void => {
  for (const { headers } of responses) {
    const told = headers["cache-status"] ?? ""
    if (!says.test(told)) throw new Error(`${what}: Cache-Status must be ${String(says)}, and is ${told}`)
  }
}

/** One item is that of a request; the others are made of it, which is faster than so many requests. */
const fill = (count: number) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    yield* asking(app, uriOf(0))
    const first = yield* HttpCache.lookup(uriOf(0))
    for (let item = 1; item < count; item++) {
      const key = first.key.replace(/0$/, String(item))
      const lookup = { key, partition: first.partition, variantOf: () => first.variant }
      const body = new Uint8Array(contentBytes)
      const kept = yield* storage.set({ ...first, key, id: `item ${item}`, body }, yield* storage.begin(lookup))
      if (kept !== "kept") throw new Error(`the storage kept ${item} items of ${count}`)
    }
  })

/** Goes through the URIs that are asked for, again and again. */
const cycle = (count: number): () => string => {
  let at = 0
  return () => uriOf((at++ % asked) * Math.floor(count / asked))
}

const hitting = async (fork: Fork, count: number): Promise<Contender<Response>> => {
  await run(fork, fill(count))
  const next = cycle(count)
  return {
    fork,
    prepare: async (size) => Array.from({ length: size }, () => asking(app, next())),
    verify: (exits) => verify(`a hit among ${count} items`, /; hit; ttl=\d/, exits.map(valueOf))
  }
}

/** What is to be collected was asked for before; that it was a miss then shows that the collect before had worked. */
const collecting = async (fork: Fork, count: number): Promise<Contender<void>> => {
  await run(fork, fill(count))
  const next = cycle(count)
  const collected = new Set<string>()
  return {
    fork,
    prepare: async (size) => {
      const uris = Array.from({ length: size }, next)
      for (const uri of uris) {
        const says = collected.has(uri) ? /; fwd=uri-miss; stored/ : /; hit/
        verify(`what is to be collected among ${count} items`, says, [await run(fork, asking(app, uri))])
        collected.add(uri)
      }
      return uris.map((uri) => HttpCache.collect(uri))
    },
    verify: (exits) => exits.forEach(valueOf)
  }
}

const compared = <A>(make: (fork: Fork, count: number) => Promise<Contender<A>>, large: number, effort: Effort) =>
  withRuntime(
    (one) => withRuntime(async (two) => compare(await make(one, large), await make(two, small), effort), layer),
    layer
  )

const written = (count: number): string => count.toLocaleString("en")

export const sizes = async (results: Results, effort: Effort, isQuick: boolean): Promise<void> => {
  head(`in process: processor time by that with ${written(small)} items stored`)
  const collects = 100_000
  await results.row(
    `collect of one URI, ${written(collects)} items stored`,
    { most: 1.5 },
    () => compared(collecting, collects, effort)
  )
  const hits = 1_000_000
  const name = `hit, ${written(hits)} items stored`
  const lacking = hits * heapBytes - getHeapStatistics().heap_size_limit
  if (isQuick) return skip(name, "it takes longer; leave --quick out")
  if (lacking > 0) return skip(name, "it takes NODE_OPTIONS=--max-old-space-size=4096 and the memory for that")
  await results.row(name, { most: 1.5 }, () => compared(hitting, hits, effort))
}
