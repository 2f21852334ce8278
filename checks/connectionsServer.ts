/**
 * A server with a lane whose storage is too small for all that is asked for, or a bare one of Node: `ours` or `bare`. Prints its
 * port as JSON, with that of another server, which tells the heap and what has happened, and ends with its standard input.
 */
import { HttpServer, HttpServerResponse } from "@effect/platform"
import { Effect, Layer } from "effect"
import { InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { startBare } from "../bench/bare.js"
import { portOf, routes } from "../test/harness.js"
import { laneServer } from "../test/lane.js"
import { used } from "./heap.js"

/** All items that are asked for most take half of it. */
const maxBytes = 1024 * 1024

/** How often each has happened. */
const counts = { byLane: 0, runs: 0, rare: 0, collects: 0 }
export type Counts = typeof counts

export interface Told {
  readonly port: number
  readonly control: number
}

export interface Look extends Counts {
  readonly heap: number
  /** What was stored of what is asked rarely, by what there is room for. */
  readonly turnovers: number
}

const answering = (kibibytes: number, count: keyof Counts) => {
  const response = HttpServerResponse.uint8Array(new Uint8Array(kibibytes * 1024).fill(120))
  return Effect.sync(() => {
    counts[count]++
    return response
  })
}

const laned = withCache({ expiry: 30, lane: true })
const collected = Effect.sync(() => {
  counts.collects++
  return HttpServerResponse.empty()
})

const app = routes({
  "GET /items/:id": laned(answering(1, "runs")),
  "PATCH /items/:id": withCollect()(collected),
  "GET /rare/:id": laned(answering(4, "rare"))
})

const ended = Effect.async<void>((resume) => void process.stdin.on("end", () => resume(Effect.void)).resume())

const control = createServer((_, response) => {
  const look: Look = { ...counts, heap: used(), turnovers: counts.rare * 4096 / maxBytes }
  // Minutes may pass until the next one.
  response.setHeader("connection", "close").end(JSON.stringify(look))
})
await new Promise<void>((resolve) => control.listen(0, "127.0.0.1", resolve))
const tell = (port: number) => {
  const told: Told = { port, control: (control.address() as AddressInfo).port }
  console.log(JSON.stringify(told))
}

const ours = Effect.gen(function*() {
  yield* HttpServer.serveEffect(app)
  tell(portOf(yield* HttpServer.HttpServer))
  yield* ended
}).pipe(
  Effect.scoped,
  Effect.provide(laneServer(() => counts.byLane++, Layer.fresh(InMemoryCacheStorage.layerWith({ maxBytes }))))
)

const bare = Effect.gen(function*() {
  const { close, port } = yield* Effect.promise(startBare)
  tell(port)
  yield* ended
  close()
})

await Effect.runPromise(process.argv[2] === "bare" ? bare : ours)
control.close()
control.closeAllConnections()
