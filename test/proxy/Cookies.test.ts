/** `Set-Cookie` lines on the wire, at both ends of the proxy. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ask, linesOf, message, originOf, proxied, send, statusOf } from "./harness.js"

const lines = [
  "session=; Path=/; Max-Age=0",
  "session=; Path=/admin; Max-Age=0",
  "session=; Path=/; Domain=.Example.com; expires=Thu, 01-Jan-1970 00:00:00 GMT",
  "odd",
  "a=b=c;path=/;;HTTPONLY ;  Unknown=1; SameSite=whatever",
  "odd; Secure",
  "=empty",
  "quoted=\"x;y\"",
  "bytes=\xc3\xa9\xff%41",
  "9=digits",
  "1=digits",
  "__proto__=x",
  "session=again"
]
const setCookies = lines.map((line) => `\nSet-Cookie: ${line}`).join("")

describe("Set-Cookie through the proxy", () => {
  it.scopedLive("80: all lines, in order, byte for byte, not stored", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message(`HTTP/1.1 200 OK\nCache-Control: max-age=60${setCookies}`, "x"))
      const port = yield* proxied(origin)
      for (const expected of [1, 2]) {
        expect(linesOf(yield* ask(port, "GET / HTTP/1.1\nHost: h"), "set-cookie")).toEqual(lines)
        expect(origin.received).toHaveLength(expected)
      }
      const head = yield* ask(port, "HEAD / HTTP/1.1\nHost: h")
      expect(linesOf(head, "set-cookie")).toEqual(lines)
    }))

  it.scopedLive("80: all lines, in order, byte for byte, of a logout and of a redirect", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message(`HTTP/1.1 303 See Other\nLocation: /${setCookies}`))
      const port = yield* proxied(origin)
      const post = "POST /logout HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
      const response = yield* send(port, post)
      expect([statusOf(response), linesOf(response, "set-cookie")]).toEqual([303, lines])
    }))

  it.scopedLive("80: all lines, in order, byte for byte, stored with COOKIES=store", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message(`HTTP/1.1 200 OK\nCache-Control: max-age=60${setCookies}`, "x"))
      const port = yield* proxied(origin, { cookies: "store" })
      for (const status of [/fwd=uri-miss/, /; hit/, /; hit/]) {
        const response = yield* ask(port, "GET / HTTP/1.1\nHost: h")
        expect(linesOf(response, "cache-status")[0]).toMatch(status)
        expect(linesOf(response, "set-cookie")).toEqual(lines)
      }
    }))

  it.scopedLive("80: a 304 with lines of its own brings them, one without leaves those that are stored", () =>
    Effect.gen(function*() {
      let asked = 0
      const origin = yield* originOf((socket) => {
        asked++
        const fields = "Cache-Control: max-age=0\nETag: \"1\""
        if (asked === 1) socket.end(message(`HTTP/1.1 200 OK\n${fields}${setCookies}`, "x"), "latin1")
        else if (asked === 2) socket.end(message(`HTTP/1.1 304 Not Modified\n${fields}`))
        else socket.end(message(`HTTP/1.1 304 Not Modified\n${fields}\nSet-Cookie: b=1; Path=/a\nSet-Cookie: b=1`))
      })
      const port = yield* proxied(origin, { cookies: "store" })
      const get = () => Effect.map(ask(port, "GET / HTTP/1.1\nHost: h"), (response) => linesOf(response, "set-cookie"))
      expect([yield* get(), yield* get(), yield* get()]).toEqual([lines, lines, ["b=1; Path=/a", "b=1"]])
    }))

  it.scopedLive("80: COOKIES=strip takes them all", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message(`HTTP/1.1 200 OK\nCache-Control: max-age=60${setCookies}`, "x"))
      const port = yield* proxied(origin, { cookies: "strip" })
      for (const _ of [1, 2]) expect(linesOf(yield* ask(port, "GET / HTTP/1.1\nHost: h"), "set-cookie")).toEqual([])
    }))
})
