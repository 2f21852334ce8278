/** The fields that the proxy makes, takes away and heeds. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ask, linesOf, message, originOf, proxied, requestLine, send, statusOf } from "./harness.js"

/** Says which run it is, and has these fields. */
const counting = (fields: string) => {
  let runs = 0
  return originOf((socket) => socket.end(message(`HTTP/1.1 200 OK\n${fields}`, `run ${++runs}`)))
}

const bodyOf = (response: string): string => response.slice(response.indexOf("\r\n\r\n") + 4)

describe("Forwarded and Via", () => {
  const own = "for=\"127.0.0.1\";host=\"h\";proto=http"

  it.scopedLive("96: what a client says is kept where it can be read, and never takes in what the proxy says", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["for=1.2.3.4", `for=1.2.3.4, ${own}`],
        ["for=\"[::1]\";proto=https, for=b", `for="[::1]";proto=https, for=b, ${own}`],
        ["for=\"a\\\"b\"", `for="a\\"b", ${own}`],
        ["for=\"6.6.6.6", own],
        ["for=\"6.6.6.6\\\"", own],
        ["for=a\\\"", own],
        ["for=\"a\", for=\"", own]
      ]
      for (const [said, expected] of cases) {
        yield* ask(port, `GET / HTTP/1.1\nHost: h\nForwarded: ${said}`)
        expect([said, linesOf(origin.received.at(-1)!, "forwarded")]).toEqual([said, [expected]])
      }
    }))

  it.scopedLive("96: Via has the version that came, after what others said", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      yield* ask(port, "GET / HTTP/1.1\nHost: h\nVia: 1.1 a\nVia: 2 b")
      expect(linesOf(origin.received[0]!, "via")).toEqual(["1.1 a, 2 b, 1.1 effect-http-cache"])
      yield* ask(port, "GET / HTTP/1.0\nHost: h")
      expect(linesOf(origin.received[1]!, "via")).toEqual(["1.0 effect-http-cache"])
    }))

  it.scopedLive("96: Vary: Forwarded selects by what the origin was sent", () =>
    Effect.gen(function*() {
      const origin = yield* counting("Cache-Control: max-age=60\nVary: Forwarded")
      const port = yield* proxied(origin)
      const get = (fields: string, address?: string) =>
        Effect.map(ask(port, `GET / HTTP/1.1\nHost: h${fields}`, address), bodyOf)
      expect(yield* get("")).toBe("run 1")
      expect(yield* get("", "127.0.0.2")).toBe("run 2")
      expect(yield* get("\nForwarded: for=a")).toBe("run 3")
      expect(yield* get("\nForwarded: for=\"a")).toBe("run 1")
      expect(yield* get("", "127.0.0.2")).toBe("run 2")
      expect(yield* get("\nForwarded: for=a")).toBe("run 3")
      expect(yield* get("")).toBe("run 1")
    }))

  it.scopedLive("96: Vary: Via selects too", () =>
    Effect.gen(function*() {
      const origin = yield* counting("Cache-Control: max-age=60\nVary: Via")
      const port = yield* proxied(origin)
      const get = (line: string) => Effect.map(ask(port, `${line}\nHost: h`), bodyOf)
      expect(yield* get("GET / HTTP/1.1")).toBe("run 1")
      expect(yield* get("GET / HTTP/1.1\nVia: 1.1 a")).toBe("run 2")
      expect(yield* get("GET / HTTP/1.0")).toBe("run 3")
      expect(yield* get("GET / HTTP/1.1")).toBe("run 1")
    }))

  it.scopedLive("96: what the cache asks in the background comes from nobody, and names the host", () =>
    Effect.gen(function*() {
      const origin = yield* counting("Cache-Control: max-age=0, stale-while-revalidate=60")
      const port = yield* proxied(origin)
      const head = "GET / HTTP/1.1\nHost: h\nForwarded: for=a"
      yield* ask(port, head)
      while (origin.received.length < 2) yield* ask(port, head)
      expect(linesOf(origin.received[1]!, "forwarded")).toEqual(["for=\"unknown\";host=\"h\";proto=http"])
      expect(linesOf(origin.received[1]!, "via")).toEqual(["1.1 effect-http-cache"])
    }))
})

describe("hop by hop", () => {
  it.scopedLive("96: what Connection nominates is absent for the origin as for the cache", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket, request) =>
        socket.end(
          message(
            "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Accept-Language",
            linesOf(request, "accept-language")[0] ?? "no language"
          )
        )
      )
      const port = yield* proxied(origin)
      const get = (fields: string) => Effect.map(send(port, `GET / HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n`), bodyOf)
      expect(yield* get("Accept-Language: fr\r\nConnection: close, Accept-Language")).toBe("no language")
      expect(yield* get("Accept-Language: fr\r\nConnection: close")).toBe("fr")
      expect(yield* get("Connection: close")).toBe("no language")
      expect(origin.received).toHaveLength(2)
    }))

  it.scopedLive("96: what is for the connection alone stays there, and what frames a message can't be nominated", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(
        message("HTTP/1.1 200 OK\nConnection: X-Own, close\nX-Own: 1\nX-End: 2\nKeep-Alive: timeout=9", "whole")
      )
      const port = yield* proxied(origin)
      const response = yield* send(
        port,
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: close, content-length, HOST, x-hop\r\nX-Hop: 1\r\nTE: trailers\r\n" +
          "Proxy-Authorization: Basic x\r\nProxy-Connection: close\r\nKeep-Alive: 1\r\nContent-Length: 3\r\n\r\nabc"
      )
      const [request] = origin.received
      expect(bodyOf(request!)).toBe("abc")
      expect(linesOf(request!, "forwarded")).toEqual(["for=\"127.0.0.1\";host=\"h\";proto=http"])
      for (const name of ["x-hop", "te", "proxy-authorization", "proxy-connection", "keep-alive"]) {
        expect([name, linesOf(request!, name)]).toEqual([name, []])
      }
      expect([linesOf(response, "x-own"), linesOf(response, "x-end"), bodyOf(response)]).toEqual([[], ["2"], "whole"])
    }))

  it.scopedLive("96: nothing is added that the client did not say: no Content-Type, no Accept, no trace", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      const close = "Host: h\r\nConnection: close\r\n"
      const posts = [
        `POST / HTTP/1.1\r\n${close}Content-Length: 3\r\n\r\nabc`,
        `POST / HTTP/1.1\r\n${close}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
        `PUT / HTTP/1.1\r\n${close}Content-Length: 0\r\n\r\n`,
        `DELETE / HTTP/1.1\r\n${close}\r\n`
      ]
      for (const post of posts) yield* send(port, post)
      const names = origin.received.map((request) =>
        request.slice(0, request.indexOf("\r\n\r\n")).split("\r\n").slice(1)
          .map((line) => line.slice(0, line.indexOf(":")).toLowerCase()).sort()
      )
      const always = ["connection", "forwarded", "host", "via"]
      expect(names).toEqual([
        [...always, "content-length"].sort(),
        [...always, "transfer-encoding"].sort(),
        [...always, "content-length"].sort(),
        always
      ])
      expect(origin.received.slice(0, 2).map(bodyOf)).toEqual(["abc", "3\r\nabc\r\n0\r\n\r\n"])
    }))

  it.scopedLive("96: bytes beyond ASCII are the same on both sides, in each direction", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK\nLocation: /\xc5\x82\xff\nX-Own: \xc3\xa9"))
      const port = yield* proxied(origin)
      const response = yield* ask(port, "GET / HTTP/1.1\nHost: h\nX-Own: \xc5\x82\xff")
      expect(linesOf(origin.received[0]!, "x-own")).toEqual(["\xc5\x82\xff"])
      expect([linesOf(response, "location"), linesOf(response, "x-own")]).toEqual([["/\xc5\x82\xff"], ["\xc3\xa9"]])
    }))
})

describe("Max-Forwards", () => {
  it.scopedLive("96: of OPTIONS and TRACE it is counted down, and at nought the proxy answers", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      for (const method of ["OPTIONS", "TRACE"]) {
        for (
          const [said, forwarded] of [
            ["1", ["0"]],
            ["10", ["9"]],
            ["007", ["6"]],
            ["99999999999999999999", ["255"]],
            [undefined, []]
          ] as const
        ) {
          const field = said === undefined ? "" : `\nMax-Forwards: ${said}`
          expect(statusOf(yield* ask(port, `${method} /a HTTP/1.1\nHost: h${field}`))).toBe(200)
          const request = origin.received.at(-1)!
          expect([requestLine(request), linesOf(request, "max-forwards")]).toEqual([`${method} /a HTTP/1.1`, forwarded])
        }
        const asked = origin.received.length
        for (const said of ["abc", "-1", "1.5", "1, 2", "", "1\nMax-Forwards: 2"]) {
          const refused = yield* ask(port, `${method} /a HTTP/1.1\nHost: h\nMax-Forwards: ${said}`)
          expect([method, said, statusOf(refused)]).toEqual([method, said, 400])
        }
        yield* ask(port, `${method} /a HTTP/1.1\nHost: h\nMax-Forwards: 0`)
        expect(origin.received).toHaveLength(asked)
      }
    }))

  it.scopedLive("96: the proxy answers OPTIONS with 204, and TRACE with the message but for credentials", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      expect(statusOf(yield* ask(port, "OPTIONS /a HTTP/1.1\nHost: h\nMax-Forwards: 0"))).toBe(204)
      const traced = yield* ask(
        port,
        "TRACE http://h/a?b HTTP/1.1\nHost: h\nCookie: a=b\nAuthorization: Basic x\nX-Own: y\nMax-Forwards: 00"
      )
      expect([statusOf(traced), linesOf(traced, "content-type")]).toEqual([200, ["message/http"]])
      expect(bodyOf(traced)).toBe(
        "TRACE http://h/a?b HTTP/1.1\r\nHost: h\r\nX-Own: y\r\nMax-Forwards: 00\r\nConnection: close\r\n\r\n"
      )
      expect(origin.received).toEqual([])
    }))

  it.scopedLive("96: of other methods it goes on as it is", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK"))
      const port = yield* proxied(origin)
      expect(statusOf(yield* ask(port, "GET / HTTP/1.1\nHost: h\nMax-Forwards: 0"))).toBe(200)
      expect(linesOf(origin.received[0]!, "max-forwards")).toEqual(["0"])
    }))
})
