/** What was measured of all, as tables and as a page: ratios to the first one, each within its round. */
import { arch, availableParallelism, cpus, platform } from "node:os"
import type { Contestant, Kind } from "./contestants.js"
import { median, tolerance } from "./table.js"

export interface Column {
  readonly kind: Kind
  readonly connections: number
}

/** Requests a second, one for each round. */
export type Rates = ReadonlyMap<Contestant, ReadonlyArray<number>>

export type Found = ReadonlyMap<Column, Rates>

export const titles: { readonly [kind in Kind]: string } = {
  small: "200, 1 KiB",
  large: "200, 64 KiB",
  huge: "200, 1 MiB",
  "304": "304",
  miss: "miss, 1 KiB"
}

export interface Ratio {
  readonly middle: number
  readonly least: number
  readonly most: number
}

/** To the first one of the same round. */
export const ratioOf = (rates: Rates, contestant: Contestant): Ratio | undefined => {
  const own = rates.get(contestant)
  const [first] = rates.values()
  if (own === undefined || first === undefined) return undefined
  const ratios = own.map((rate, round) => rate / first[round]!)
  return { middle: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) }
}

export const everybody = (found: Found): ReadonlyArray<Contestant> => [
  ...new Set([...found.values()].flatMap((rates) => [...rates.keys()]))
]

const cellOf = (ratio: Ratio | undefined): string =>
  ratio === undefined
    ? "–"
    : `${ratio.middle.toFixed(2)} (${ratio.least.toFixed(2)} to ${ratio.most.toFixed(2)})`

/** As the formatter of this repository writes it. */
const markdown = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
  const line = (cells: ReadonlyArray<string>) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`
  const [head, ...others] = rows
  return [line(head!), line(widths.map((width) => "-".repeat(width))), ...others.map(line)].join("\n")
}

/** The last one is the first one once more. */
const isDisturbed = (rates: Rates, control: Contestant): boolean =>
  Math.abs((ratioOf(rates, control)?.middle ?? 1) - 1) > tolerance

const tableOf = (found: Found, connections: number): string => {
  const columns = [...found].filter(([column]) => column.connections === connections)
  const rows = everybody(found).map((contestant) => [
    contestant.name,
    ...columns.map(([, rates]) => cellOf(ratioOf(rates, contestant)))
  ])
  const control = everybody(found).at(-1)!
  const disturbed = columns.filter(([, rates]) => isDisturbed(rates, control)).map(([{ kind }]) => titles[kind])
  const said = disturbed.length === 0 ? "" : `**Something else disturbed these columns: ${disturbed.join("; ")}.**\n\n`
  return `## ${connections} connections\n\n${said}${
    markdown([["", ...columns.map(([{ kind }]) => titles[kind])], ...rows])
  }`
}

export const tablesOf = (found: Found): string =>
  [...new Set([...found.keys()].map(({ connections }) => connections))]
    .map((connections) => tableOf(found, connections))
    .join("\n\n")

export interface Circumstances {
  readonly rounds: number
  /** Of a window. */
  readonly seconds: number
  readonly isPinned: boolean
  readonly leftOut: ReadonlyArray<string>
}

export const pageOf = (found: Found, { isPinned, leftOut, rounds, seconds }: Circumstances): string => {
  const [[first, rates]] = found as unknown as readonly [[Column, Rates]]
  const perSecond = Math.round(median([...rates.values()][0]!) / 100) * 100
  const versions = everybody(found).flatMap(({ versions = {} }) =>
    Object.entries(versions).map(([name, version]) => `${name} ${version()}`)
  )
  const where = isPinned
    ? "each server alone on one core, the client on another"
    : "server and client were not kept apart"
  return `# Beside others

Requests a second by those of a bare \`node:http\` listener that sends a prebuilt body: 1 is as fast, 0.5 half as fast. The median of the rounds, and in
brackets the least and the most.

![Requests a second by those of bare node:http](bench.svg)

Measured on ${new Date().toISOString().slice(0, 10)}: ${availableParallelism()} cores of ${
    cpus()[0]?.model.trim() ?? "unknown"
  }, ${platform()} ${arch()}, Node ${process.version}; ${where}.
${rounds} rounds of windows of ${seconds} seconds, in turn for all. Bare \`node:http\` answered ${perSecond} requests a second (${
    titles[first.kind]
  }, ${first.connections} connections).

\`npm run bench:peers -- --write\` measures it anew, and writes this page; \`bench/README.md\` says how. Ratios of two runs or of two machines can't be compared to the last digit:
the second bare listener, in the last row, says how far the machine can be believed. It must be about 1 in each column.

${tablesOf(found)}

## Who is who

- **ours, lane**: [the lane](lane.md); **route**: \`withCache\` around a route; **router**: \`HttpCache.middleware\` around the router. Each in memory, unless it says Redis;
  **near memory and Redis** is \`TieredCacheStorage\`. Redis runs on the core of the client, as if it were another machine.
- **Effect, no cache** is the same route without a cache, with the defaults of the platform. It sends no tag, so it has no \`304\`.
- **no cache** of others: the handler answers each time with what is prebuilt; a \`304\` is by \`@fastify/etag\` and by \`hono/etag\`, which hash the content each time.
- **h3 and ocache** is what Nitro makes of a cached route, without its build.
- **nginx** has one worker; it and **Varnish** ask a bare \`node:http\` on the same core when they miss.
- A **miss** is a request for a URI that nobody has asked for: the handler or the origin answers, and the response is stored.
${versions.length === 0 ? "" : `\nThe versions: ${versions.join(", ")}.\n`}${
    leftOut.map((line) => `\n${line}\n`).join("")
  }`
}
