/** What a request is for is read once, and goes on unchanged. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Target from "../../examples/reverse-proxy/target.js"
import { ask, linesOf, message, originOf, proxied, requestLine, send, statusOf } from "./harness.js"

const ok = message("HTTP/1.1 200 OK\nCache-Control: max-age=60", "ok")

describe("the request target", () => {
  it.each<[string, string, string, Target.Target | undefined]>([
    ["GET", "/", "h", { path: "/", host: "h" }],
    ["GET", "/a/../b?c?/d", "h", { path: "/a/../b?c?/d", host: "h" }],
    ["GET", "//other/x", "h", { path: "//other/x", host: "h" }],
    ["GET", "/", "SHOP.example:80", { path: "/", host: "shop.example" }],
    ["GET", "/", "shop.example:", { path: "/", host: "shop.example" }],
    ["GET", "/", "shop.example:8080", { path: "/", host: "shop.example:8080" }],
    ["GET", "/", "[::1]:80", { path: "/", host: "[::1]" }],
    ["GET", "/", "", { path: "/", host: "" }],
    ["GET", "http://h?next=/admin", "h", { path: "/?next=/admin", host: "h" }],
    ["GET", "http://h?", "h", { path: "/?", host: "h" }],
    ["GET", "http://h", "h", { path: "/", host: "h" }],
    ["GET", "HTTP://H:80/a", "other", { path: "/a", host: "h" }],
    ["GET", "http://h/http://other/a", "h", { path: "/http://other/a", host: "h" }],
    ["OPTIONS", "*", "h", { path: "*", host: "h" }],
    ["OPTIONS", "http://h", "h", { path: "*", host: "h" }],
    ["OPTIONS", "http://h/", "h", { path: "/", host: "h" }],
    ["OPTIONS", "http://h/*", "h", { path: "/*", host: "h" }],
    ["OPTIONS", "http://h*", "h", { path: "*", host: "h*" }],
    ["GET", "*", "h", undefined],
    ["OPTIONS", "*x", "h", undefined],
    ["GET", "*@127.0.0.1:1/secret", "h", undefined],
    ["GET", "@127.0.0.1:1/secret", "h", undefined],
    ["GET", "secret", "h", undefined],
    ["GET", "?a", "h", undefined],
    ["GET", "", "h", undefined],
    ["GET", "h:80", "h", undefined],
    ["GET", "/a#b", "h", undefined],
    ["GET", "/a b", "h", undefined],
    ["GET", "/a\tb", "h", undefined],
    ["GET", "/a\x7f", "h", undefined],
    ["GET", "https://h/", "h", undefined],
    ["GET", "ftp://h/", "h", undefined],
    ["GET", "http:/h/", "h", undefined],
    ["GET", "http:///a", "h", undefined],
    ["GET", "http://:80/a", "h", undefined],
    ["GET", "http://user@h/a", "h", undefined],
    ["GET", "http://h\\@other/a", "h", undefined],
    ["GET", "http://h/a", "h, other", undefined],
    ["GET", "/", "x\";for=\"6.6.6.6", undefined],
    ["GET", "/", "a b", undefined],
    ["GET", "/", "h/x", undefined],
    ["GET", "/", "h:80a", undefined],
    ["GET", "/", "user@h", undefined],
    ["GET", "/", "h%zz", undefined]
  ])("95: %s %s for host %s", (method, requestTarget, host, expected) => {
    expect(Target.parse(method, requestTarget, host)).toEqual(expected)
  })

  it.scopedLive("95: nothing but the origin is ever asked, whatever the target says", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(ok)
      const secret = yield* originOf(message("HTTP/1.1 200 OK", "secret"))
      const port = yield* proxied(origin)
      const there = `127.0.0.1:${secret.port}`
      for (
        const target of [
          `*@${there}/secret`,
          `@${there}/secret`,
          `http://x@${there}/secret`,
          `https://${there}/`,
          there
        ]
      ) {
        const post = `POST ${target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer mine\r\nContent-Length: 1\r\n` +
          "Connection: close\r\n\r\nx"
        expect([target, statusOf(yield* send(port, post))]).toEqual([target, 400])
        expect([target, statusOf(yield* ask(port, `GET ${target} HTTP/1.1\nHost: h`))]).toEqual([target, 400])
      }
      expect(origin.received).toEqual([])
      for (const target of [`http://${there}/a`, `//${there}/b`, `/@${there}/c`]) {
        expect([target, statusOf(yield* ask(port, `GET ${target} HTTP/1.1\nHost: ${there}`))]).toEqual([target, 200])
      }
      expect(origin.received.map(requestLine)).toEqual([
        "GET /a HTTP/1.1",
        `GET //${there}/b HTTP/1.1`,
        `GET /@${there}/c HTTP/1.1`
      ])
      expect(origin.received.map((request) => linesOf(request, "host"))).toEqual(
        Array.from({ length: 3 }, () => [`127.0.0.1:${origin.port}`])
      )
      expect(secret.received).toEqual([])
    }))

  it.scopedLive("95: an absolute target without a path is that of /, for the origin and for the cache", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket, request) =>
        socket.end(message("HTTP/1.1 200 OK\nCache-Control: max-age=60", requestLine(request)))
      )
      const port = yield* proxied(origin)
      const first = yield* ask(port, "GET http://h?next=/admin HTTP/1.1\nHost: h")
      expect(first).toContain("GET /?next=/admin HTTP/1.1")
      const second = yield* ask(port, "GET /?next=/admin HTTP/1.1\nHost: h")
      expect([linesOf(second, "cache-status")[0], second.includes("GET /?next=/admin HTTP/1.1")])
        .toEqual([expect.stringMatching(/; hit/), true])
      const admin = yield* ask(port, "GET /admin HTTP/1.1\nHost: h")
      expect([linesOf(admin, "cache-status")[0], admin.includes("GET /admin HTTP/1.1")])
        .toEqual([expect.stringMatching(/fwd=uri-miss/), true])
    }))

  it.scopedLive("95: one spelling of a host is the cache's and the origin's", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket, request) =>
        socket.end(message("HTTP/1.1 200 OK\nCache-Control: max-age=60", linesOf(request, "forwarded")[0]))
      )
      const port = yield* proxied(origin)
      for (
        const head of [
          "GET / HTTP/1.1\nHost: SHOP.example",
          "GET / HTTP/1.1\nHost: shop.example:80",
          "GET HTTP://Shop.Example HTTP/1.1\nHost: shop.example",
          "GET http://shop.example:80/ HTTP/1.1\nHost: other.example"
        ]
      ) expect(yield* ask(port, head)).toContain("for=\"127.0.0.1\";host=\"shop.example\";proto=http")
      expect(origin.received).toHaveLength(1)
      const other = yield* ask(port, "GET / HTTP/1.1\nHost: other.example")
      expect(other).toContain("host=\"other.example\"")
    }))

  it.scopedLive("95: a host that is none, two of them, or none where there must be one: 400", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(ok)
      const port = yield* proxied(origin)
      for (
        const head of [
          "GET / HTTP/1.1\nHost: x\";for=\"6.6.6.6",
          "GET / HTTP/1.1\nHost: a\nHost: b",
          "GET / HTTP/1.1\nHost: a, b",
          "GET http://a/ HTTP/1.1\nHost: a/b",
          "GET / HTTP/1.1"
        ]
      ) expect([head, statusOf(yield* ask(port, head))]).toEqual([head, 400])
      expect(statusOf(yield* send(port, "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"))).toBe(400)
      expect(origin.received).toEqual([])
      expect(statusOf(yield* ask(port, "GET / HTTP/1.0"))).toBe(200)
      expect(linesOf(origin.received[0]!, "forwarded")).toEqual(["for=\"127.0.0.1\";proto=http"])
    }))

  it.scopedLive("95: OPTIONS * is answered; OPTIONS of a resource is the origin's", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(message("HTTP/1.1 200 OK\nAllow: GET, PUT"))
      const port = yield* proxied(origin)
      expect(statusOf(yield* ask(port, "OPTIONS * HTTP/1.1\nHost: h"))).toBe(204)
      expect(statusOf(yield* ask(port, "OPTIONS http://h HTTP/1.1\nHost: h"))).toBe(204)
      expect(origin.received).toEqual([])
      expect(linesOf(yield* ask(port, "OPTIONS /a HTTP/1.1\nHost: h"), "allow")).toEqual(["GET, PUT"])
      expect(statusOf(yield* ask(port, "GET * HTTP/1.1\nHost: h"))).toBe(400)
      expect(origin.received.map(requestLine)).toEqual(["OPTIONS /a HTTP/1.1"])
    }))

  it.scopedLive("96: no path and no query changes on the way, and each is a key of its own", () =>
    Effect.gen(function*() {
      const origin = yield* originOf((socket, request) =>
        socket.end(message("HTTP/1.1 200 OK\nCache-Control: max-age=60", requestLine(request)))
      )
      const port = yield* proxied(origin)
      const targets = [
        "/a/../b",
        "/b",
        "/%2e%2e/b",
        "/a/./b",
        "/a//b",
        "/a\\b",
        "/a/b",
        "/a?q=\"y\"",
        "/a?q=%22y%22",
        "/a?",
        "/a",
        "/%61",
        "/a?b=c?d=/e",
        "/a?b={c}|^`<d>'",
        "/a%",
        "/a%zz",
        "/a;b=c",
        "/?",
        "/"
      ]
      for (const target of targets) {
        expect(yield* ask(port, `GET ${target} HTTP/1.1\nHost: h`)).toContain(`\r\n\r\nGET ${target} HTTP/1.1`)
      }
      expect(origin.received.map(requestLine)).toEqual(targets.map((target) => `GET ${target} HTTP/1.1`))
      for (const target of targets) {
        const again = yield* ask(port, `GET ${target} HTTP/1.1\nHost: h`)
        expect(again).toContain(`\r\n\r\nGET ${target} HTTP/1.1`)
        expect(linesOf(again, "cache-status")[0]).toMatch(/; hit/)
      }
    }))

  it.scopedLive("96: a fragment, which no target has, is refused", () =>
    Effect.gen(function*() {
      const origin = yield* originOf(ok)
      const port = yield* proxied(origin)
      for (const target of ["/a#b", "/#", "/a?b#c", "http://h/#"]) {
        expect([target, statusOf(yield* ask(port, `GET ${target} HTTP/1.1\nHost: h`))]).toEqual([target, 400])
      }
      expect(origin.received).toEqual([])
    }))
})
