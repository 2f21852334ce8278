/**
 * How many nodes a cache in front of a slow origin can have: `npm run bench:nodes` prints, for a trace in which a few URIs are
 * asked most (Zipf), what part of all requests a node answers from its own memory, and what part reaches the far storage and
 * the handlers. It computes, and measures nothing: the same on each machine. The figures of docs/storages.md are its own.
 */
import { LRUCache } from "lru-cache"
import { Dice } from "../test/simulation.js"
import { zipf } from "./zipf.js"

/** All nodes together. */
const perSecond = 1000
const uris = 100_000
/** Of the trace. */
const exponent = 0.9
/** How long a response is fresh. Seconds. */
const expiry = 60
const requests = 300_000
/** What is counted comes after so many requests: all storages are warm then. */
const warmUp = 150_000

const nodeCounts = [1, 3, 10, 30, 100, 300]
/** How many responses the near storage of a node holds. */
const nearSizes = [1000, 10_000, 100_000]

interface Shares {
  /** Of all requests, those that a node answers by itself. */
  readonly near: number
  /** Those that reach a handler: with a far storage, and where each node has its own alone. */
  readonly tiered: number
  readonly alone: number
}

/** By URI, until when its response is fresh. */
type Storage = LRUCache<number, number>

const simulate = (nodes: number, nearSize: number): Shares => {
  const dice = new Dice(1)
  const next = zipf(dice, uris, exponent)
  const storages = () => Array.from({ length: nodes }, (): Storage => new LRUCache({ max: nearSize }))
  const nears = storages()
  const alones = storages()
  /** It holds all URIs. */
  const far = new Float64Array(uris)
  const counts = { near: 0, tiered: 0, alone: 0 }
  for (let request = 0; request < warmUp + requests; request++) {
    const now = request / perSecond
    const uri = next()
    const node = dice.below(nodes)
    const isNear = (nears[node]!.get(uri) ?? 0) > now
    const isFar = far[uri]! > now
    if (!isNear) {
      if (!isFar) far[uri] = now + expiry
      // What was found far is fresh for as long as it is there.
      nears[node]!.set(uri, far[uri]!)
    }
    const isAlone = (alones[node]!.get(uri) ?? 0) > now
    if (!isAlone) alones[node]!.set(uri, now + expiry)
    if (request < warmUp) continue
    if (isNear) counts.near++
    else if (!isFar) counts.tiered++
    if (!isAlone) counts.alone++
  }
  return { near: counts.near / requests, tiered: counts.tiered / requests, alone: counts.alone / requests }
}

const percent = (share: number): string => (100 * share).toFixed(1)

const results = nearSizes.map((nearSize) => ({ nearSize, of: nodeCounts.map((nodes) => simulate(nodes, nearSize)) }))

console.log(
  `${perSecond} requests a second for ${uris} URIs, each fresh for ${expiry} seconds; percent of all requests\n`
)
console.log("| near holds | nodes | answered near | asked far | handlers, with far | handlers, each alone |")
console.log("| ---------- | ----- | ------------- | --------- | ------------------ | -------------------- |")
for (const { nearSize, of } of results) {
  of.forEach(({ alone, near, tiered }, at) =>
    console.log(
      `| ${nearSize} | ${nodeCounts[at]} | ${percent(near)} | ${percent(1 - near)} | ${percent(tiered)} | ${
        percent(alone)
      } |`
    )
  )
}

const line = (shares: ReadonlyArray<number>): string => `  line [${shares.map(percent).join(", ")}]`
console.log("\n```mermaid\nxychart-beta")
console.log("  title \"Requests that reach a handler: each node alone (upper), and with a far storage (lower)\"")
console.log(`  x-axis "nodes" [${nodeCounts.join(", ")}]`)
console.log("  y-axis \"percent of all requests\" 0 --> 100")
const largest = results.at(-1)!.of
console.log(`${line(largest.map(({ alone }) => alone))}\n${line(largest.map(({ tiered }) => tiered))}\n\`\`\``)
