/** Connections to a real origin, counted: what is not sent to a client is not kept open. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "node:net"
import { eventually } from "../harness.js"
import { ask, linesOf, message, originOf, proxied, requestLine, send, statusOf } from "./harness.js"

const times = 30
/** A head whose content does not end while the connection is open. */
const endless = (head: string): string => `${head.replaceAll("\n", "\r\n")}\r\nContent-Length: 1000000\r\n\r\npart`

describe("open connections", () => {
  it.scopedLive("82: a 304 to the client of a 200 that may not be stored", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket) => {
        socket.write(endless("HTTP/1.1 200 OK\nETag: \"1\"\nCache-Control: no-store"))
      })
      const port = yield* proxied(origin)
      for (let n = 0; n < times; n++) {
        expect(statusOf(yield* ask(port, "GET / HTTP/1.1\nHost: h\nIf-None-Match: \"1\""))).toBe(304)
      }
      expect(origin.received).toHaveLength(times)
      yield* eventually(() => origin.sockets.size === 0)
    }))

  it.scopedLive("82: an error for which something stale stands in", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket) => {
        if (origin.received.length === 1) socket.end(message("HTTP/1.1 200 OK\nCache-Control: max-age=0", "old"))
        else socket.write(endless("HTTP/1.1 503 Service Unavailable"))
      })
      const port = yield* proxied(origin, { staleIfError: "1 day" })
      for (let n = 0; n <= times; n++) {
        expect((yield* ask(port, "GET / HTTP/1.1\nHost: h")).endsWith("\r\n\r\nold")).toBe(true)
      }
      yield* eventually(() => origin.sockets.size === 0)
    }))

  it.scopedLive("82: a refresh that may not be kept", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket, request) => {
        const isFirst = linesOf(request, "x-first").length > 0
        const fields = "Cache-Control: max-age=0, stale-while-revalidate=60"
        if (isFirst) socket.end(message(`HTTP/1.1 200 OK\n${fields}`, "old"))
        else socket.write(endless("HTTP/1.1 200 OK\nCache-Control: private"))
      })
      const port = yield* proxied(origin)
      for (let n = 0; n < times; n++) {
        const before = origin.received.length
        yield* ask(port, `GET /${n} HTTP/1.1\nHost: h\nX-First: 1`)
        yield* ask(port, `GET /${n} HTTP/1.1\nHost: h`)
        yield* eventually(() => origin.received.length === before + 2)
      }
      yield* eventually(() => origin.sockets.size === 0)
    }))

  it.scopedLive("82: a HEAD that the origin answers with GET's framing, a 204, a 304 and a 502", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket, request) => {
        const [, path] = requestLine(request)!.split(" ")
        if (path === "/204") socket.write("HTTP/1.1 204 No Content\r\n\r\n")
        else if (path === "/304") socket.write("HTTP/1.1 304 Not Modified\r\n\r\n")
        else if (path === "/502") socket.write("no HTTP\r\n")
        else socket.write(endless("HTTP/1.1 200 OK\nCache-Control: no-store"))
      })
      const port = yield* proxied(origin)
      for (let n = 0; n < times / 3; n++) {
        expect(statusOf(yield* ask(port, "HEAD / HTTP/1.1\nHost: h"))).toBe(200)
        expect(statusOf(yield* ask(port, "GET /204 HTTP/1.1\nHost: h"))).toBe(204)
        expect(statusOf(yield* ask(port, "GET /304 HTTP/1.1\nHost: h\nIf-None-Match: \"1\""))).toBe(304)
        expect(statusOf(yield* ask(port, "GET /502 HTTP/1.1\nHost: h"))).toBe(502)
      }
      // One may be kept for the next request.
      yield* eventually(() => origin.sockets.size <= 1)
    }))

  it.scopedLive("82: clients that leave in the middle of a response, or before it", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket, request) => {
        if (requestLine(request)!.includes("/silent")) return
        socket.write(endless("HTTP/1.1 200 OK\nCache-Control: no-store"))
      })
      const port = yield* proxied(origin)
      for (const path of ["/", "/silent"]) {
        const clients = Array.from({ length: times }, (_, n) => {
          const socket = connect(port, "127.0.0.1").on("error", () => {}).on("data", () => {})
          socket.write(`GET ${path}?${n} HTTP/1.1\r\nHost: h\r\n\r\n`)
          return socket
        })
        yield* eventually(() => origin.sockets.size === times)
        for (const client of clients) client.destroy()
        yield* eventually(() => origin.sockets.size === 0)
      }
    }))

  it.scopedLive("82: a connection that has been read to the end serves the next request", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket) => {
        const answer = message("HTTP/1.1 200 OK\nCache-Control: no-store", "x")
        socket.write(answer)
        socket.on("data", () => socket.write(answer))
      })
      const port = yield* proxied(origin)
      for (const method of ["GET", "POST", "GET", "DELETE"]) {
        const request = `${method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`
        expect(statusOf(yield* send(port, request))).toBe(200)
      }
      expect(origin.received).toHaveLength(1)
    }))

  it.scopedLive("96: what has no effect is asked again where an idle connection was closed, anything else is not", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket) => {
        socket.write(message("HTTP/1.1 200 OK\nCache-Control: no-store"))
        socket.on("data", () => socket.destroy())
      })
      const port = yield* proxied(origin)
      const statuses: Array<number> = []
      for (const method of ["GET", "GET", "HEAD", "OPTIONS", "DELETE", "GET"]) {
        statuses.push(statusOf(yield* ask(port, `${method} / HTTP/1.1\nHost: h`)))
      }
      statuses.push(
        statusOf(yield* send(port, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"))
      )
      expect(statuses).toEqual([200, 200, 200, 200, 502, 200, 502])
      expect(origin.received.join("").match(/^[A-Z]+(?= \/ HTTP)/gm)).toEqual(
        ["GET", "GET", "GET", "HEAD", "HEAD", "OPTIONS", "OPTIONS", "DELETE", "GET", "GET"]
      )
    }))
})
