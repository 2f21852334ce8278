/** Requests a second of a route with a cache by those of the same route without one: Node's server, and `wrk`. */
import { connections, hasClient, isPinned, load, requests, type Server, startServer } from "./processes.js"
import { head, type Limit, type Results, skip } from "./table.js"

export interface PortEffort {
  /** Of a window; `wrk` knows whole ones. */
  readonly seconds: number
  readonly rounds: number
}

interface Target {
  /** Which of the servers. */
  readonly server: keyof Server["ports"]
  readonly path: string
  /** Each request is for another URI beneath the path. */
  readonly isNew?: boolean
  /** So many URIs beneath the path are asked for in turn. */
  readonly count?: number
  /** What `Cache-Status` says, and whether the handler runs for each request. */
  readonly says: RegExp | undefined
  readonly runs: boolean
  /** What the client sends beside. */
  readonly fields?: ReadonlyArray<string>
}

interface Case {
  readonly name: string
  readonly limit: Limit
  readonly contender: Target
  readonly baseline: Target
}

const plain = (path: string, isNew = false): Target => ({ server: "routes", path, isNew, says: undefined, runs: true })
const hit = (path: string, server: Target["server"] = "routes"): Target => ({
  server,
  path,
  says: /; hit; ttl=\d/,
  runs: false
})
const missed = { says: /; fwd=uri-miss; stored/, runs: true, isNew: true }

const bare = (path: string, fields: ReadonlyArray<string> = []): Target => ({
  server: "bare",
  path,
  says: undefined,
  runs: false,
  fields
})
const byLane = (path: string, fields: ReadonlyArray<string> = []): Target => ({ ...hit(path, "lane"), fields })
const has = ["If-None-Match: *"]

const cases: ReadonlyArray<Case> = [
  { name: "control: without a cache", limit: { about: 1 }, contender: plain("/again"), baseline: plain("/small") },
  { name: "hit, 1 KiB", limit: { least: 0.9 }, contender: hit("/cached/small"), baseline: plain("/small") },
  { name: "hit, 64 KiB", limit: { least: 0.9 }, contender: hit("/cached/large"), baseline: plain("/large") },
  {
    name: "hit, 1 KiB, HttpCache.middleware around the router",
    limit: { least: 1 },
    contender: hit("/small", "around"),
    baseline: plain("/small")
  },
  {
    name: "miss of a new URI, 1 KiB",
    limit: { least: 0.55 },
    contender: { server: "routes", path: "/cached/items/", ...missed },
    baseline: plain("/items/", true)
  },
  {
    name: "control: Node's server by itself",
    limit: { about: 1 },
    contender: bare("/small"),
    baseline: bare("/small")
  },
  {
    name: "hit by the lane, 1 KiB, by Node's server",
    limit: { least: 0.9 },
    contender: byLane("/small"),
    baseline: bare("/small")
  },
  {
    name: "hit by the lane of 200 URIs, 1 KiB, by Node's server",
    limit: { least: 0.8 },
    contender: { ...byLane("/items/"), count: 200 },
    baseline: { ...bare("/items/"), count: 200 }
  },
  {
    name: "hit by the lane, 64 KiB, by Node's server",
    limit: { least: 0.9 },
    contender: byLane("/large"),
    baseline: bare("/large")
  },
  {
    name: "304 by the lane, by Node's server",
    limit: { least: 0.9 },
    contender: byLane("/small", has),
    baseline: bare("/small", has)
  },
  {
    name: "hit by the lane, 1 KiB, by a plain route",
    limit: { least: 4 },
    contender: byLane("/small"),
    baseline: plain("/small")
  }
]

/** The clock of a window and a request under way at its end allow so many runs of the handler more than `wrk` counts. */
const underWay = 2 * connections

let names = 0

/** Requests a second, after what was asked has been seen to be what is to be measured. */
const window = async ({ ports }: Server, target: Target, seconds: number): Promise<number> => {
  const { count, fields = [], isNew = false, path, runs, says, server } = target
  const url = `http://127.0.0.1:${ports[server]}${path}`
  const name = isNew ? `w${names++}` : undefined
  const runsNow = async () => Number(await (await fetch(`http://127.0.0.1:${ports.routes}/runs`)).text())
  const look = async (suffix: string) => {
    const response = await fetch(`${url}${suffix}`)
    await response.arrayBuffer()
    const told = response.headers.get("cache-status")
    if (says === undefined ? told !== null : told === null || !says.test(told)) {
      throw new Error(`${path}: Cache-Status must be ${String(says ?? "absent")}, and is ${String(told)}`)
    }
  }
  // The first one may be stored, and the lane learns from the second one.
  const known = count === undefined ? [""] : Array.from({ length: count }, (_, at) => String(at))
  for (const suffix of name === undefined ? [...known, ...known] : []) {
    await (await fetch(`${url}${suffix}`)).arrayBuffer()
  }
  await look(name === undefined ? known[0]! : `${name}-before`)
  const before = await runsNow()
  const script = requests({ new: name, several: count })
  const { perSecond, requests: answered } = await load({ url, seconds, fields, script })
  const ran = await runsNow() - before
  await look(name === undefined ? known[0]! : `${name}-after`)
  if (runs ? ran < answered || ran > answered + underWay : ran !== 0) {
    throw new Error(`${path}: the handler ran ${ran} times in ${answered} requests`)
  }
  return perSecond
}

const compare = async (server: Server, { baseline, contender }: Case, { rounds, seconds }: PortEffort) => {
  await window(server, contender, seconds)
  let before = await window(server, baseline, seconds)
  const ratios: Array<number> = []
  while (ratios.length < rounds) {
    const own = await window(server, contender, seconds)
    const after = await window(server, baseline, seconds)
    ratios.push(own / ((before + after) / 2))
    before = after
  }
  return ratios
}

/** `args`: of the server. */
const rows = async (
  what: string,
  cases: ReadonlyArray<Case>,
  results: Results,
  effort: PortEffort,
  args: ReadonlyArray<string> = []
): Promise<void> => {
  head(`over a port: requests a second by those ${what}`)
  if (!hasClient()) return skip("all of it", "there is no wrk here; apt-get install wrk, or brew install wrk")
  const server = await startServer(...args)
  try {
    for (const kind of cases) await results.row(kind.name, kind.limit, () => compare(server, kind, effort))
  } finally {
    await server.close()
  }
  if (!isPinned) console.log("There is no taskset here, or one core only: server and client were not kept apart.")
}

export const overPort = (results: Results, effort: PortEffort): Promise<void> =>
  rows("without a cache", cases, results, effort)

const farCases: ReadonlyArray<Case> = [
  {
    name: "hit in Redis, 1 KiB",
    limit: { least: 0.85 },
    contender: hit("/cached/small", "redis"),
    baseline: hit("/cached/small")
  },
  {
    name: "hit near, with Redis behind, 1 KiB",
    limit: { least: 0.9 },
    contender: hit("/cached/small", "tiered"),
    baseline: hit("/cached/small")
  }
]

/** Hits of routes over the Redis of a port, and over a near storage before it. */
export const overPortFar = (redisPort: number, results: Results, effort: PortEffort): Promise<void> =>
  rows("of a hit in memory", farCases, results, effort, [String(redisPort)])
