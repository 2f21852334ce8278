/**
 * A million distinct items under 64 MiB: the heap grows by less than twice that, also where their texts were cut from
 * larger ones. Clients that read nothing hold a bounded part of what they are sent. So does what a lane knows of
 * many hosts. `npm run check:memory`
 */
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { CacheStorage, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { HttpCacheLane } from "effect-http-cache/node"
import { createServer } from "node:http"
import { connect, type Socket } from "node:net"

const maxBytes = 64 * 1024 * 1024
const sets = 1_000_000

const used = (): number => {
  for (let i = 0; i < 3; i++) globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1)

const fill = (bodyBytes: number) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    const before = used()
    for (let i = 0; i < sets; i++) {
      const headers = Object.assign(Object.create(null), {
        "cache-control": "max-age=60",
        "content-length": String(bodyBytes),
        "content-type": "application/json",
        "date": new Date(i * 1000).toUTCString(),
        "etag": `"${i}"`
      })
      const lookup = lookupOf({}, { key: `http://localhost/items/${i}` })
      const item = itemOf("", lookup, { headers, body: new Uint8Array(bodyBytes) })
      yield* storage.set(item, yield* storage.begin(lookup))
    }
    return used() - before
  }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxBytes })))

const report = (what: string, grown: number, bound: number): void => {
  console.log(`${what}: ${mebibytes(grown)} MiB, of ${mebibytes(bound)} MiB at most`)
  if (grown < bound) return
  console.error(`${what}: more than ${mebibytes(bound)} MiB`)
  process.exitCode = 1
}

for (const bodyBytes of [1024, 16]) {
  report(`bodies of ${bodyBytes} bytes`, Effect.runSync(fill(bodyBytes)), 2 * maxBytes)
}

/** What an item takes beyond its key, its fields and its content, which are held by themselves to know what they take. */
const items = 200_000
const partsOf = (i: number) => ({
  key: `http://localhost/items/${i}`,
  headers: {
    "cache-control": "max-age=60",
    "content-type": "application/json",
    "date": new Date(i * 1000).toUTCString(),
    "etag": `"${i}"`
  },
  body: new Uint8Array(16).fill(i)
})

const overhead = Effect.gen(function*() {
  const storage = yield* CacheStorage.CacheStorage
  const empty = used()
  const parts = Array.from({ length: items }, (_, i) => partsOf(i))
  const held = used() - empty
  parts.length = 0
  const before = used()
  for (let i = 0; i < items; i++) {
    const { body, headers, key } = partsOf(i)
    const lookup = lookupOf({}, { key })
    const now = Date.now()
    const item = itemOf("", lookup, {
      headers,
      body,
      date: now,
      requestTime: now,
      responseTime: now + 1,
      retainUntil: now + 2
    })
    yield* storage.set(item, yield* storage.begin(lookup))
  }
  return (used() - before - held) / items
}).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxBytes: 64 * maxBytes })))

const beyond = Effect.runSync(overhead)
console.log(`an item beyond its key, fields and content: ${beyond.toFixed(0)} bytes, of 400 at most`)
if (beyond > 400) process.exitCode = 1

/** 88: partition, variant and fields of 40 bytes, each cut from 12 KB of its own. */
const cut = Effect.gen(function*() {
  const storage = yield* CacheStorage.CacheStorage
  const before = used()
  for (let i = 0; i < 20_000; i++) {
    const from = (name: string) => `${name}-${i};${"x".repeat(12 * 1024)}`.toUpperCase().slice(0, 40)
    const lookup = lookupOf({}, { key: `http://localhost/${i % 100}?${from("key")}`, partition: from("partition") })
    const item = itemOf("", lookup, {
      vary: [from("vary")],
      variant: from("variant"),
      cookies: [from("cookie")]
    })
    yield* storage.set(
      { ...item, headers: { [from("name").toLowerCase()]: from("value") }, body: new Uint8Array(16) },
      yield* storage.begin(lookup)
    )
  }
  return used() - before
}).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxBytes: 8 * 1024 * 1024 })))

report("texts that were cut from larger ones", Effect.runSync(cut), 16 * 1024 * 1024)

/** 175, 182: what a lane knows of many hosts, each of which a client has named twice, and whose names end so. */
const known = (hosts: number, end: string) =>
  Effect.gen(function*() {
    yield* HttpServer.serveEffect(HttpServerResponse.text("x").pipe(withCache({ expiry: 600, lane: true })))
    const { address } = yield* HttpServer.HttpServer
    const port = address._tag === "TcpAddress" ? address.port : 0
    const before = used()
    const atOnce = 100
    for (let i = 0; i < hosts; i += atOnce) {
      const asked = Array.from(
        { length: atOnce },
        (_, k) => `GET /${i + k} HTTP/1.1\r\nHost: h${i + k}${end}\r\n\r\n`.repeat(2)
      )
      const last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      yield* Effect.promise(() =>
        new Promise<void>((resolve) => {
          const socket = connect(port, "127.0.0.1", () => socket.write(asked.join("") + last))
          socket.resume().on("close", () => resolve())
        })
      )
    }
    return used() - before
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(
      NodeHttpServer.layer(() => HttpCacheLane.createServer(createServer), { host: "127.0.0.1", port: 0 }),
      InMemoryCacheStorage.layerWith({ maxItems: 5 })
    ))
  )

// With what a server that has answered so much keeps.
report("what a lane knows of 40,000 hosts", await Effect.runPromise(known(40_000, "")), 42 * 1024 * 1024)
report("of 2,000 hosts with long names", await Effect.runPromise(known(2000, ".x".repeat(6000))), 42 * 1024 * 1024)

/** 83: a hundred clients that read nothing of 4 MiB. */
const size = 4 * 1024 * 1024
const chunk = new Uint8Array(64 * 1024)
const stream = () => Stream.take(Stream.repeatEffect(Effect.sync(() => chunk)), size / chunk.byteLength)
const endless = () => Stream.repeatEffect(Effect.sync(() => chunk))
const headers = { etag: "\"1\"" }
const app = HttpRouter.empty.pipe(
  HttpRouter.get("/bytes", Effect.sync(() => HttpServerResponse.uint8Array(new Uint8Array(size), { headers }))),
  HttpRouter.get("/streams/:id", Effect.sync(() => HttpServerResponse.stream(stream(), { headers }))),
  HttpRouter.get("/endless/:id", Effect.sync(() => HttpServerResponse.stream(endless(), { headers }))),
  withCache({ expiry: 600 })
)

const silent = (port: number, path: string, headers: Record<string, string> = {}) =>
  Effect.promise(() =>
    new Promise<Socket>((resolve) => {
      const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`)
        resolve(socket)
      })
      socket.pause()
      socket.on("error", () => {})
    })
  )

const clients = (pathOf: (client: number) => string, headers?: Record<string, string>) =>
  Effect.gen(function*() {
    yield* HttpServer.serveEffect(app)
    const { address } = yield* HttpServer.HttpServer
    const port = address._tag === "TcpAddress" ? address.port : 0
    yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/bytes`).then((reply) => reply.arrayBuffer()))
    const before = used()
    const sockets = yield* Effect.forEach(
      Array.from({ length: 100 }, (_, client) => pathOf(client)),
      (path) => silent(port, path, headers)
    )
    yield* Effect.sleep("3 seconds")
    const grown = used() - before
    for (const socket of sockets) socket.destroy()
    return grown
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(NodeHttpServer.layerTest, InMemoryCacheStorage.layerWith({ maxBytes })))
  )

// What Node has begun to send of a body that comes in pieces is its own: up to 1 MiB for each.
const bounds: ReadonlyArray<readonly [what: string, bound: number, grown: Effect.Effect<number, unknown>]> = [
  ["100 clients that read nothing of one hit", 16, clients(() => "/bytes")],
  ["100 clients that read nothing of 100 streams", 96, clients((client) => `/streams/${client}`)],
  ["100 clients that have an endless stream", 16, clients((client) => `/endless/${client}`, { "if-none-match": "*" })]
]
for (const [what, bound, grown] of bounds) report(what, await Effect.runPromise(grown), bound * 1024 * 1024)
