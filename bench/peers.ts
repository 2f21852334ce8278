/**
 * Requests a second, beside those of others and of a bare server of Node: `npm run bench:peers`, or `-- --quick` in less than
 * two minutes. With `--write` the table goes to docs/bench.md and the chart to docs/bench.svg.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { type Contestant, contestants, type Kind, startRedis } from "./contestants.js"
import { chart } from "./peersChart.js"
import { type Column, pageOf, type Rates, tablesOf } from "./peersTable.js"
import { hasClient, isPinned, load, requests, type Started } from "./processes.js"

const { values: flags } = parseArgs({
  options: { quick: { type: "boolean", default: false }, write: { type: "boolean", default: false } }
})
/** Of a window, whose end `wrk` notices within a tenth of a second, and of the first one, in which Node compiles. */
const { first, rounds, seconds } = flags.quick
  ? { first: 0.35, rounds: 2, seconds: 0.35 }
  : { first: 2, rounds: 5, seconds: 0.6 }

const kinds: ReadonlyArray<Kind> = ["small", "large", "huge", "304", "miss"]
const columns: ReadonlyArray<Column> = flags.quick
  ? (["small", "large", "304", "miss"] as const).map((kind) => ({ kind, connections: 32 }))
  : [32, 512].flatMap((connections) => kinds.map((kind) => ({ kind, connections })))

const bytes: { readonly [kind in Kind]: number } = { small: 1024, large: 65_536, huge: 1_048_576, "304": 0, miss: 1024 }

interface Running extends Started<number> {
  readonly contestant: Contestant
}

const leftOut: Array<string> = []
const leave = (name: string, error: unknown, needs?: string) => {
  const reason = error instanceof Error ? error.message : String(error)
  leftOut.push(`${name} is left out: ${reason}${needs === undefined ? "" : `; it needs ${needs}`}.`)
  console.error(leftOut.at(-1))
}

let names = 0

const expectThat = (what: string, is: unknown, expected: unknown): void => {
  if (is !== expected) throw new Error(`${what} is ${String(is)}, and not ${String(expected)}`)
}

/** Sees that the answer is what is to be measured, and tells the fields that a client sends for it. */
const look = async ({ contestant, told }: Running, kind: Kind): Promise<ReadonlyArray<string>> => {
  const { paths, says } = contestant
  const url = `http://127.0.0.1:${told}${paths[kind]}${kind === "miss" ? `seen-${names++}` : ""}`
  const ask = async (headers: { readonly [name: string]: string } = {}) => {
    const response = await fetch(url, { headers })
    return { headers: response.headers, status: response.status, length: (await response.arrayBuffer()).byteLength }
  }
  const expectHit = (now: Headers, before: Headers | undefined, expected: boolean) => {
    if (says === undefined) return
    const [field, value] = says
    const told = now.get(field) ?? ""
    expectThat("a hit", value === "the same" ? told === before?.get(field) : value.test(told), expected)
  }
  const first = await ask()
  if (kind === "miss") expectHit(first.headers, undefined, false)
  // Now it is stored, and a lane learns from the second one.
  await ask()
  const { headers, length, status } = await ask()
  expectThat("the status", status, 200)
  expectThat("the length", length, kind === "304" ? bytes.small : bytes[kind])
  expectHit(headers, first.headers, true)
  if (kind !== "304") return []
  const tag = headers.get("etag") ?? ""
  expectThat("the status", (await ask({ "if-none-match": tag })).status, 304)
  return [`If-None-Match: ${tag}`]
}

/** So many connections begin when all are there, this much late. Seconds. */
const many = 100
const late = 0.5

/** Requests a second. */
const window = async (
  running: Running,
  { connections, kind }: Column,
  fields: ReadonlyArray<string>,
  lasting: number
) => {
  const { contestant: { paths }, told } = running
  const together = connections < many ? undefined : connections
  const wait = together === undefined ? 0 : late
  const { perSecond } = await load({
    url: `http://127.0.0.1:${told}${paths[kind]}`,
    seconds: lasting + wait,
    connections,
    fields,
    script: requests({ new: kind === "miss" ? `w${names++}` : undefined, together })
  })
  return perSecond * (lasting + wait) / lasting
}

/** One round after the other, and in each round everybody once; what comes first is for the compiler. */
const measure = async (running: ReadonlyArray<Running>, column: Column): Promise<Rates> => {
  const { kind } = column
  const taking = running.filter(({ contestant: { paths } }) => paths[kind] !== undefined)
  const rates = new Map<Contestant, Array<number>>(taking.map(({ contestant }) => [contestant, []]))
  const fields = new Map<Running, ReadonlyArray<string>>()
  const all = async (what: (running: Running) => Promise<void>) => {
    for (const running of taking.filter(({ contestant }) => rates.has(contestant))) {
      try {
        await what(running)
      } catch (error) {
        // All are compared with the first one.
        if (running === taking[0]) throw error
        rates.delete(running.contestant)
        leave(`${running.contestant.name}, ${kind}, ${column.connections} connections,`, error)
      }
    }
  }
  await all(async (running) => void fields.set(running, await look(running, kind)))
  for (let round = -1; round < rounds; round++) {
    await all(async (running) => {
      const rate = await window(running, column, fields.get(running)!, round < 0 ? first : seconds)
      if (round >= 0) rates.get(running.contestant)!.push(rate)
    })
  }
  await all(async (running) => void await look(running, kind))
  return rates
}

if (!hasClient()) {
  console.error("There is no wrk here: apt-get install wrk, or brew install wrk")
  process.exit(1)
}
const begun = performance.now()
const closing: Array<() => Promise<void>> = []
try {
  let redisPort: number | undefined
  try {
    const redis = await startRedis()
    closing.push(redis.close)
    redisPort = redis.told
  } catch (error) {
    leave("Redis", error, "apt-get install redis-server")
  }
  const all = (await Promise.all(
    contestants(redisPort).map(async (contestant): Promise<ReadonlyArray<Running>> => {
      try {
        const started = await contestant.start()
        closing.unshift(started.close)
        return [{ ...started, contestant }]
      } catch (error) {
        leave(contestant.name, error, contestant.needs)
        return []
      }
    })
  )).flat()
  console.log(`${all.length} servers have started in ${((performance.now() - begun) / 1000).toFixed(0)} s.`)
  for (const running of all) await window(running, { kind: "small", connections: 32 }, [], 1)
  const results = new Map<Column, Rates>()
  for (const column of columns) {
    results.set(column, await measure(all, column))
    console.log(
      `${column.kind}, ${column.connections} connections: ${((performance.now() - begun) / 1000).toFixed(0)} s`
    )
  }
  console.log(`\n${tablesOf(results)}`)
  if (flags.write) {
    const page = pageOf(results, { rounds, seconds, isPinned, leftOut })
    writeFileSync(new URL("../docs/bench.md", import.meta.url), page)
    writeFileSync(new URL("../docs/bench.svg", import.meta.url), chart(results))
  }
} finally {
  for (const close of closing) await close()
}
console.log(`It took ${((performance.now() - begun) / 1000).toFixed(0)} s.`)
