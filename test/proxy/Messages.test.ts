/** Messages on their way: interim responses, early answers, what breaks off. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, type Socket } from "node:net"
import { eventually } from "../harness.js"
import { ask, linesOf, message, originOf, proxied, requestLine, send, statusOf } from "./harness.js"

const hasHead = (received: string): boolean => received.includes("\r\n\r\n")

describe("Expect: 100-continue", () => {
  it.scopedLive("96: the client is told to go on, and the origin gets a whole request without it", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 201 Created"))
      const port = yield* proxied(origin)
      const received = yield* Effect.async<string>((resume) => {
        let received = ""
        const socket = connect(port, "127.0.0.1")
        socket.on("close", () => resume(Effect.succeed(received))).on("data", (chunk) => {
          received += chunk.toString("latin1")
          if (received === "HTTP/1.1 100 Continue\r\n\r\n") socket.write("abc")
        })
        socket.write(
          "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        )
      })
      expect(received).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 Created\r\n/)
      expect(origin.received[0]).toMatch(/^PUT \/ HTTP\/1\.1\r\n[^]*\r\n\r\nabc$/)
      expect(linesOf(origin.received[0]!, "expect")).toEqual([])
    }))

  it.scopedLive("96: of HTTP/1.0 it is ignored; another expectation can't be met", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      const old = yield* send(port, "PUT / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
      expect(statusOf(old)).toBe(200)
      expect(linesOf(origin.received[0]!, "expect")).toEqual([])
      expect(statusOf(yield* ask(port, "GET / HTTP/1.1\nHost: h\nExpect: more"))).toBe(417)
      expect(origin.received).toHaveLength(1)
    }))
})

describe("interim responses", () => {
  const hint = (lines: ReadonlyArray<string>) =>
    `HTTP/1.1 103 Early Hints\r\n${lines.map((line) => `Link: ${line}\r\n`).join("")}\r\n`

  it.scopedLive("96: a 103 with several links passes as it came", () =>
    Effect.gen(function*() {
      for (
        const links of [
          ["</a.css>; rel=preload", "</b.js>; rel=preload"],
          ["</a.css>; rel=preload, </b.js>; rel=\"preload prefetch\"; as=script"],
          ["</a>; rel=preload; imagesizes=\"(max-width: 1px) 1px, 100vw\"", "<https://x/>; rel=preconnect;crossorigin"],
          []
        ]
      ) {
        const origin = yield* originOf(hint(links) + message("HTTP/1.1 200 OK", "x"))
        const response = yield* ask(yield* proxied(origin), "GET / HTTP/1.1\nHost: h")
        expect(response.startsWith(`${hint(links)}HTTP/1.1 200 OK\r\n`)).toBe(true)
      }
    }))

  it.scopedLive("96: several, of any number, in order, without what is hop by hop; none to HTTP/1.0; a 100 ends here", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" +
          "HTTP/1.1 103 Early Hints\r\nConnection: x-own\r\nX-Own: 1\r\nX-End: \xe9\r\n\r\nHTTP/1.1 199 Other\r\n\r\n" +
          message("HTTP/1.1 200 OK", "x")
      )
      const port = yield* proxied(origin)
      expect(yield* ask(port, "GET / HTTP/1.1\nHost: h")).toMatch(
        /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nX-End: \xe9\r\n\r\nHTTP\/1\.1 199 \r\n\r\nHTTP\/1\.1 200 OK/
      )
      expect(yield* ask(port, "GET / HTTP/1.0\nHost: h")).toMatch(/^HTTP\/1\.1 200 OK/)
    }))

  it.scopedLive("96: nobody asked for another protocol: 502", () =>
    Effect.gen(function*() {
      const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
      const origin = yield* originOf(switching)
      expect(statusOf(yield* ask(yield* proxied(origin), "GET / HTTP/1.1\nHost: h"))).toBe(502)
    }))
})

describe("an answer before the request was sent whole", () => {
  const tooLarge = message("HTTP/1.1 413 Content Too Large\nConnection: close\nX-Own: 1", "too large")
  const chunk = "x".repeat(64 * 1024)
  const chunks = 256
  const lengths = {
    "Content-Length": `Content-Length: ${chunk.length * chunks}`,
    "Transfer-Encoding": "Transfer-Encoding: chunked"
  }
  /** Sends as fast as it can, and what comes. */
  const upload = (port: number, framing: keyof typeof lengths) =>
    Effect.async<string>((resume) => {
      let received = ""
      const socket = connect(port, "127.0.0.1")
      socket.on("error", () => {}).on("close", () => resume(Effect.succeed(received)))
      socket.on("data", (chunk) => received += chunk.toString("latin1"))
      socket.write(`POST / HTTP/1.1\r\nHost: h\r\n${lengths[framing]}\r\nConnection: close\r\n\r\n`)
      const isChunked = framing === "Transfer-Encoding"
      for (let n = 0; n < chunks; n++) socket.write(isChunked ? `10000\r\n${chunk}\r\n` : chunk)
      if (isChunked) socket.write("0\r\n\r\n")
    })

  const endings: ReadonlyArray<readonly [string, (socket: Socket) => void]> = [
    ["closes at once", (socket) => socket.end(tooLarge, () => socket.destroy())],
    ["closes without reading", (socket) => {
      socket.pause()
      socket.write(tooLarge, () => socket.destroy())
    }],
    ["ends its side and reads on", (socket) => socket.end(tooLarge)],
    ["answers and leaves the connection open", (socket) => socket.write(tooLarge)]
  ]

  it.scopedLive.each(endings)("96: an origin that %s: the client gets its 413", ([, end]) =>
    Effect.gen(function*() {
      const origin = yield* originOf(end, hasHead)
      const port = yield* proxied(origin)
      for (const framing of ["Content-Length", "Transfer-Encoding", "Content-Length"] as const) {
        const received = yield* upload(port, framing)
        expect([statusOf(received), linesOf(received, "x-own"), received.endsWith("too large")])
          .toEqual([413, ["1"], true])
      }
      yield* eventually(() => origin.sockets.size === 0)
    }))

  it.scopedLive("96: the client's connection goes on after it", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket) => socket.end(tooLarge, () => socket.destroy()), hasHead)
      const port = yield* proxied(origin)
      const received = yield* send(
        port,
        `POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: ${chunk.length}\r\n\r\n${chunk}` +
          "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
      )
      expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 413"])
      expect(origin.received.map(requestLine)).toEqual(["POST /1 HTTP/1.1", "POST /2 HTTP/1.1"])
    }))

  it.scopedLive("96: an origin that answers while it reads gets all", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket) => {
        socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n?")
        socket.on("data", (chunk) => socket.write(chunk.toString("latin1").replace(/[^!]/g, "")))
        socket.on("data", (chunk) => chunk.toString("latin1").includes("!!!") && socket.end())
      }, hasHead)
      const port = yield* proxied(origin)
      const received = yield* Effect.async<string>((resume) => {
        let received = ""
        const socket = connect(port, "127.0.0.1")
        socket.on("close", () => resume(Effect.succeed(received))).on("data", (chunk) => {
          received += chunk.toString("latin1")
          if (received.endsWith("?\r\n")) socket.write("a!b!!!")
        })
        socket.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nConnection: close\r\n\r\n")
      })
      expect([statusOf(received), received.includes("!!!!")]).toEqual([200, true])
    }))
})

describe("content that the cache has read", () => {
  it.scopedLive("96: a QUERY reaches the origin with what it asks, whether it was read or is too long for that", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK\nCache-Control: max-age=60", "x"))
      const port = yield* proxied(origin)
      for (const length of [3, 100_000]) {
        const query = "q".repeat(length)
        const response = yield* send(
          port,
          `QUERY / HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${query}`
        )
        expect([length, statusOf(response)]).toEqual([length, 200])
        expect(origin.received.at(-1)!.endsWith(`\r\n\r\n${query}`)).toBe(true)
      }
    }))

  it.scopedLive("96: what a POST answers for its Content-Location is sent, and kept", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(
        message("HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Location: /doc\nContent-Type: text/x", "new")
      )
      const port = yield* proxied(origin)
      const post = "POST /doc HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
      for (const response of [yield* send(port, post), yield* ask(port, "GET /doc HTTP/1.1\nHost: h")]) {
        expect([linesOf(response, "content-type"), response.endsWith("\r\n\r\nnew")]).toEqual([["text/x"], true])
      }
      expect(origin.received).toHaveLength(1)
    }))
})

describe("what can't be understood, and what breaks off", () => {
  it.scopedLive("96: a coding that the proxy can't read: 501", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      for (const coding of ["gzip, chunked", "chunked, chunked", "identity, chunked"]) {
        const post = `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ${coding}\r\nConnection: close\r\n\r\n0\r\n\r\n`
        expect([coding, statusOf(yield* send(port, post)) >= 400]).toEqual([coding, true])
      }
      expect(origin.received).toEqual([])
    }))

  it.scopedLive("96: an upgrade is not asked for, and the request is answered with its content", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK", "x"))
      const port = yield* proxied(origin)
      for (const [name, length] of [["h2c", 3], ["websocket", 0]] as const) {
        const response = yield* send(
          port,
          `POST /${name} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: ${name}\r\n` +
            `Content-Length: ${length}\r\n\r\n${"abc".slice(0, length)}`
        )
        expect([name, statusOf(response)]).toEqual([name, 200])
        expect(origin.received.at(-1)!.endsWith(`\r\n\r\n${"abc".slice(0, length)}`)).toBe(true)
        expect(linesOf(origin.received.at(-1)!, "upgrade")).toEqual([])
      }
    }))

  it.scopedLive("96: an origin that is no HTTP server, or closes before it has answered: 502", () =>
    Effect.gen(function*() {
      for (const answer of ["", "SSH-2.0-x\r\n", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]) {
        const port = yield* proxied(yield* originOf(answer))
        expect([answer, statusOf(yield* ask(port, "GET / HTTP/1.1\nHost: h"))]).toEqual([answer, 502])
      }
    }))

  it.scopedLive("96: a response that breaks off breaks off for the client, and isn't stored", () =>
    Effect.gen(function*() {
      for (const framing of ["Content-Length: 9", "Transfer-Encoding: chunked"]) {
        const text = framing.startsWith("C") ? "part" : "4\r\npart\r\n"
        const origin = yield* originOf((socket) =>
          socket.write(
            `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n${framing}\r\n\r\n${text}`,
            () => setImmediate(() => socket.destroy())
          )
        )
        const port = yield* proxied(origin)
        for (const asked of [1, 2]) {
          expect((yield* ask(port, "GET / HTTP/1.1\nHost: h")).endsWith("\r\n0\r\n\r\n")).toBe(false)
          expect(origin.received).toHaveLength(asked)
        }
      }
    }))

  it.scopedLive("96: a client that leaves in the middle of its request leaves nothing open", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket) => socket.resume(), hasHead)
      const port = yield* proxied(origin)
      for (const head of ["POST / HTTP/1.1\r\nContent-Length: 9", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked"]) {
        const socket = connect(port, "127.0.0.1").on("error", () => {})
        socket.write(`${head}\r\nHost: h\r\n\r\n`)
        yield* eventually(() => origin.sockets.size === 1)
        socket.destroy()
        yield* eventually(() => origin.sockets.size === 0)
      }
    }))
})
