/**
 * 512 connections for a minute, while items are collected and evicted: no request fails, the slowest hundredth of them takes no
 * more than twice as long as with a bare server of Node, without pauses between requests and with, and the heap stays level.
 * `npm run check:connections -- --seconds 60`
 */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { hasClient, isPinned, load, type Started, startScript } from "../bench/processes.js"
import { median } from "../bench/table.js"
import type { Look, Told } from "./connectionsServer.js"
import { mean, slope } from "./heap.js"

const { values: flags } = parseArgs({ options: { seconds: { type: "string", default: "60" } } })
const seconds = Number(flags.seconds)
if (!(Number.isInteger(seconds) && seconds >= 30)) {
  throw new TypeError(`--seconds is ${flags.seconds}; it must be a whole number, 30 or more`)
}
if (!hasClient()) throw new Error("There is no wrk here: apt-get install wrk, or brew install wrk")

const connections = 512
/** Milliseconds between two requests of a connection: 1,280 requests a second, which a server has to answer in time. */
const pause = 400
/** How often each server has its turn with pauses, and its turn without; then, how often all stands still and the heap is looked at. */
const pieces = 6
/** Of the slowest hundredth, by those of the bare server. */
const maxRatio = 2
/** Bytes per second; of a short run the noise is a larger part. */
const maxHeapSlope = 20 * 1024 * Math.max(1, 120 / seconds)

const start = (which: "ours" | "bare"): Promise<Started<Told>> =>
  startScript<Told>(new URL("connectionsServer.ts", import.meta.url).href, which)

const look = async ({ told }: Started<Told>): Promise<Look> =>
  await (await fetch(`http://127.0.0.1:${told.control}`)).json() as Look

const under = ({ told }: Started<Told>, seconds: number, count: number, wait: number) =>
  load({
    url: `http://127.0.0.1:${told.port}`,
    seconds,
    connections: count,
    script: [fileURLToPath(new URL("connections.lua", import.meta.url)), String(wait), String(count)]
  })

const kibibytes = (bytes: number): string => (bytes / 1024).toFixed(1)
const milliseconds = (values: ReadonlyArray<number>): string => values.map((value) => value.toFixed(1)).join(", ")

const [bare, ours] = await Promise.all([start("bare"), start("ours")])
try {
  let requests = 0
  const slowest = async (server: typeof ours, seconds: number, wait: number, count = connections): Promise<number> => {
    const { p99, requests: answered } = await under(server, seconds, count, wait)
    if (server === ours) requests += answered
    return p99
  }
  // They are compiled, also what one request in fifty needs, and the storage is full.
  for (const server of [ours, bare]) await slowest(server, 30, 0, 32)
  const piece = Math.ceil(seconds / pieces)
  const paused = { ours: [] as Array<number>, bare: [] as Array<number> }
  const busy = { ours: [] as Array<number>, bare: [] as Array<number> }
  for (let turn = 0; turn < pieces; turn++) {
    paused.ours.push(await slowest(ours, piece, pause))
    paused.bare.push(await slowest(bare, piece, pause))
    busy.ours.push(await slowest(ours, Math.min(5, piece), 0))
    busy.bare.push(await slowest(bare, Math.min(5, piece), 0))
  }
  // A look has garbage collected, and with it much of what was compiled: nothing is timed from here on.
  const looks: Array<Look & { readonly at: number }> = []
  for (let at = piece; at <= pieces * piece; at += piece) {
    await slowest(ours, piece, 0)
    looks.push({ ...await look(ours), at })
  }
  const last = looks.at(-1)!
  const growth = slope(looks, ({ heap }) => heap)
  console.log(
    `${requests} requests by ${connections} connections, none failed: ${last.byLane} by the lane, ` +
      `${last.runs + last.rare} runs, ${last.collects} collects, ` +
      `${last.turnovers.toFixed(1)} times as much stored as there is room for`
  )
  const slow = []
  for (const [how, { ours, bare }] of [["without pauses", busy], ["with pauses", paused]] as const) {
    const ratio = median(ours) / median(bare)
    const taken = `${how} the slowest hundredth takes ${ratio.toFixed(1)} times as long as with a bare server`
    console.log(`${taken}: ${milliseconds(ours)} ms, and ${milliseconds(bare)} ms`)
    if (ratio > maxRatio) slow.push(taken)
  }
  console.log(`heap ${kibibytes(mean(looks.map(({ heap }) => heap)))} KiB, ${kibibytes(growth)} KiB/s`)
  if (!isPinned) console.log("There is no taskset here, or one core only: server and client were not kept apart.")
  const problems = [
    ...slow,
    ...(growth > maxHeapSlope ? [`the heap grows by ${kibibytes(growth)} KiB a second`] : []),
    ...(last.byLane < requests / 2 ? ["the lane has not answered half of them"] : []),
    ...(last.collects === 0 ? ["nothing was collected"] : []),
    ...(last.turnovers < 1 ? ["little was evicted"] : [])
  ]
  for (const problem of problems) console.error(`connections: ${problem}`)
  if (problems.length > 0) process.exitCode = 1
} finally {
  await Promise.all([bare.close(), ours.close()])
}
