/** What is not for everybody never leaves by the lane, and no input makes it answer what the route would not. */
import { Headers, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import {
  type CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { type ChannelListener, subscribe, unsubscribe } from "node:diagnostics_channel"
import type { IncomingMessage, ServerResponse } from "node:http"
import { type App, counted, routes, send, serve } from "./harness.js"
import { laneServer, usualServer } from "./lane.js"

const lane = { expiry: 10, lane: true } as const

/** Says what it was asked for, and by whom. */
const told = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers, method, url }) => HttpServerResponse.text(`${method} ${url} for ${headers["host"]}`)
)

/** The fields that it shows select what is stored, whether the route names them or not. */
const shows = (name: string) =>
  Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => HttpServerResponse.text(`${name}: ${headers[name]}`))

const get = (target: string, ...fields: ReadonlyArray<string>): string =>
  [`GET ${target} HTTP/1.1`, ...fields.length === 0 ? ["Host: a"] : fields, "Connection: close", "", ""].join("\r\n")

/** Node's own field, by its own clock. */
const withoutDate = (answer: string): string => answer.replaceAll(/\r\nDate: [^\r]*/g, "")

/** Two servers with one app, of which the first has a lane: each text is sent to both, which must answer the same bytes. */
const besides = <E, R>(app: () => App<E, R>) =>
  Effect.gen(function*() {
    let byLane = 0
    const both: Array<number> = []
    for (const server of [laneServer(() => byLane++), usualServer()]) {
      const { port } = yield* Effect.provide(serve(app()), yield* Layer.build(server))
      both.push(port)
    }
    return (text: string) =>
      Effect.gen(function*() {
        const before = byLane
        const [own, usual] = yield* Effect.forEach(both, (port) => send(port, text))
        expect(withoutDate(own!)).toBe(withoutDate(usual!))
        return { answer: own!, byLane: byLane - before }
      })
  })

const app = () =>
  routes({
    "GET /page": told.pipe(withCache(lane)),
    "GET /admin": Effect.succeed(HttpServerResponse.text("secret", { headers: { "cache-control": "private" } })),
    "GET /named": shows("accept-language").pipe(withCache({ ...lane, vary: ["Accept-Language"] })),
    "GET /honored": counted().pipe(withCache({ ...lane, requestDirectives: "honor" })),
    "POST /page": Effect.succeed(HttpServerResponse.text("written")),
    "* /*": told
  })

const usual = get("/page")
const body = (text: string): string => `Content-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`
const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"

describe("no input makes the lane answer what the route would not", () => {
  /** Each with how many requests of it the lane answers. */
  const inputs: ReadonlyArray<readonly [what: string, text: string, byLane: number]> = [
    ["both lengths", `GET /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${body("0\r\n\r\n")}`, 0],
    ["a chunked request within another", get("/page", "Host: a", "Transfer-Encoding: chunked") + "0\r\n\r\n", 0],
    ["a coding that is not the last", get("/page", "Host: a", "Transfer-Encoding: chunked, identity"), 0],
    ["an obscure coding", get("/page", "Host: a", "Transfer-Encoding: \x0bchunked"), 0],
    ["a request as content", `GET /page HTTP/1.1\r\nHost: a\r\n${body(smuggled)}`, 0],
    ["two lengths", get("/page", "Host: a", "Content-Length: 0", "Content-Length: 5"), 0],
    ["a length with a sign", get("/page", "Host: a", "Content-Length: +0"), 0],
    ["a length of many noughts", get("/page", "Host: a", "Content-Length: 000"), 0],
    ["a field on two lines", get("/page", "Host: a", "X-Y: a", " b"), 0],
    ["a space before the colon", get("/page", "Host : a"), 0],
    ["a line that ends too early", "GET /page HTTP/1.1\nHost: a\nConnection: close\n\n", 0],
    ["a nought in a value", get("/page", "Host: a\0b"), 0],
    ["a nought in the target", get("/page\0"), 0],
    ["no host", get("/page", "X-Y: z"), 0],
    ["an empty host", get("/page", "Host:"), 0],
    ["two hosts, another one first", get("/page", "Host: b", "Host: a"), 0],
    ["two hosts, another one last", get("/page", "Host: a", "Host: b"), 1],
    ["a host in capitals", get("/page", "Host: A"), 0],
    ["a host with its port", get("/page", "Host: a:80"), 0],
    ["a host with another port", get("/page", "Host: a:81"), 0],
    ["a host that another field names", get("/page", "Host: a", "X-Forwarded-Host: b", "Forwarded: host=b"), 1],
    ["a target with its host", get("http://a/page"), 0],
    ["a target with another host", get("http://b/page"), 0],
    ["a target with another host, and that as Host", get("http://b/page", "Host: b"), 0],
    ["a target with another scheme", get("https://a/page"), 0],
    ["a target that looks like a host", get("//b/page"), 0],
    ["a target with an encoded letter", get("/%70age"), 0],
    ["a target with an encoded slash", get("/%2Fpage"), 0],
    ["a target with a dot", get("/./page"), 0],
    ["a target with dots", get("/x/../page"), 0],
    ["a target with a fragment", get("/page#/admin"), 0],
    ["a target with an empty query", get("/page?"), 0],
    ["a target with a slash at its end", get("/page/"), 0],
    ["a target with a backslash", get("\\page"), 0],
    ["names of fields in capitals", get("/page", "HOST: a"), 1],
    ["another method in lower case", usual.replace("GET", "get"), 0],
    ["another method in a field", get("/page", "Host: a", "X-HTTP-Method-Override: POST", "X-HTTP-Method: PUT"), 1],
    ["another target in a field", get("/page", "Host: a", "X-Original-URL: /admin", "X-Rewrite-URL: /admin"), 1],
    ["names that every object has", get("/page", "Host: a", "__proto__: x", "constructor: y", "toString: z"), 1],
    ["credentials that are empty", get("/page", "Host: a", "Authorization:"), 0],
    ["an expectation", get("/page", "Host: a", "Expect: 100-continue"), 0],
    ["an expectation of something else", get("/page", "Host: a", "Expect: x"), 0],
    ["another protocol", "GET /page HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\n\r\n", 0],
    ["a range of nothing", get("/page", "Host: a", "Range: bytes=99-"), 0],
    ["many ranges", get("/page", "Host: a", `Range: bytes=${"0-,".repeat(500)}0-`), 0],
    ["more fields than there is room for", get("/page", "Host: a", `X-Y: ${"z".repeat(20_000)}`), 0],
    ["an older version", "GET /page HTTP/1.0\r\nHost: a\r\n\r\n", 1],
    [
      "an older version that keeps its connection",
      `GET /page HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n${usual}`,
      2
    ],
    ["a version that there is not", "GET /page HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n", 0],
    [
      "a selecting field that Connection takes away",
      [
        "GET /named HTTP/1.1",
        "Host: a",
        "Accept-Language: de",
        "Connection: close, Accept-Language",
        "",
        ""
      ].join("\r\n"),
      1
    ],
    ["a host that Connection takes away", "GET /page HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n", 1],
    ["what a client asks of caches", get("/honored", "Host: a", "Cache-Control: no-cache"), 0],
    ["what a client asks of caches that are old", get("/honored", "Host: a", "Pragma: no-cache"), 0],
    ["what a client asks of a cache that does not listen", get("/page", "Host: a", "Cache-Control: no-store"), 1],
    ["an empty tag", get("/page", "Host: a", "If-None-Match:"), 1],
    ["many tags", get("/page", "Host: a", `If-None-Match: ${"\"x\", ".repeat(1000)}*`), 1],
    ["a write before a read", `POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy${usual}`, 1],
    ["many at once", usual.replace("close", "keep-alive").repeat(20) + usual, 21]
  ]

  it.scoped.each(inputs)("%s", ([, text, byLane]) =>
    Effect.gen(function*() {
      const ask = yield* besides(app)
      const warm = [usual, get("/named"), get("/named", "Host: a", "Accept-Language: de"), get("/honored")]
      for (const request of [...warm, ...warm]) yield* ask(request)
      const known = yield* ask(usual)
      expect([known.byLane, known.answer]).toEqual([1, expect.stringContaining("\r\n\r\nGET /page for a")])
      const first = yield* ask(text)
      expect(first.byLane).toBe(byLane)
      expect(first.answer).not.toContain("secret")
      // Also what the lane has learnt from it.
      for (const _ of [1, 2]) yield* ask(text)
      expect(yield* ask(usual)).toEqual(known)
    }))
})

/** Known to the lane, which has answered it. */
const answering = <E, R>(app: App<E, R>, storage?: typeof InMemoryCacheStorage.layerCollectable) =>
  Effect.gen(function*() {
    const hits: Array<unknown> = []
    const context = yield* Layer.build(laneServer((hit) => hits.push(hit), storage))
    const ask = yield* Effect.provide(serve(app), context)
    for (const _ of [1, 2, 3]) yield* ask("/page")
    expect(hits.length).toBe(1)
    return { ask, context, hits }
  })

describe("what is not for everybody, or not any more, never leaves by the lane", () => {
  it.scoped("poisoned: a response that shows a field that nobody has named", () =>
    Effect.gen(function*() {
      const hits: Array<unknown> = []
      const server = laneServer((hit) => hits.push(hit))
      const page = shows("x-forwarded-host").pipe(withCache(lane))
      const ask = yield* Effect.provide(serve(routes({ "GET /page": page })), yield* Layer.build(server))
      for (const host of ["evil", "evil", "evil", undefined, undefined, "evil", undefined]) {
        const { text } = yield* ask("/page", { headers: host === undefined ? {} : { "x-forwarded-host": host } })
        expect(text).toBe(`x-forwarded-host: ${host}`)
      }
      expect(hits).toEqual([])
    }))

  it.scoped("poisoned: a variant that is stored beside what everybody may have", () =>
    Effect.gen(function*() {
      const { ask } = yield* answering(
        routes({ "GET /page": shows("x-evil").pipe(withCache({ ...lane, vary: ["X-Evil"] })) })
      )
      expect((yield* ask("/page", { headers: { "x-evil": "e" } })).text).toBe("x-evil: e")
      for (const _ of [1, 2]) expect((yield* ask("/page")).text).toBe("x-evil: undefined")
    }))

  it.scoped("within the application only: a target that a middleware has written into Node's message", () =>
    Effect.gen(function*() {
      const router = routes({ "GET /inside": counted().pipe(withCache(lane)) })
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        if (request.url !== "/page") return Effect.succeed(HttpServerResponse.empty({ status: 403 }))
        const inside = { url: "/inside" }
        Object.assign(request.source as object, inside)
        return Effect.provideService(router, HttpServerRequest.HttpServerRequest, request.modify(inside))
      })
      const hits: Array<unknown> = []
      const ask = yield* Effect.provide(serve(app), yield* Layer.build(laneServer((hit) => hits.push(hit))))
      for (const _ of [1, 2, 3]) expect((yield* ask("/page")).text).toBe("run 1")
      expect((yield* ask("/inside")).status).toBe(403)
      expect(hits).toEqual([])
    }))

  it.scoped("private, or not to be stored, from now on", () =>
    Effect.gen(function*() {
      let control = "max-age=5"
      let runs = 0
      const page = Effect.sync(() =>
        HttpServerResponse.text(`run ${++runs}`, { headers: { "cache-control": control } })
      )
      const { ask, hits } = yield* answering(routes({ "GET /page": page.pipe(withCache({ lane: true })) }))
      for (const next of ["private, max-age=5", "no-store", "no-cache", "max-age=0"]) {
        control = next
        yield* TestClock.adjust("6 seconds")
        const before = runs
        for (const _ of [1, 2, 3]) yield* ask("/page")
        expect([next, runs - before, hits.length]).toEqual([next, 3, 1])
      }
    }))

  it.scoped("partitioned", () =>
    Effect.gen(function*() {
      const user = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"] ?? "")
      const own = shows("x-user").pipe(withCache({ expiry: 10, partition: user }))
      const hits: Array<unknown> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const ask = yield* Effect.provide(serve(routes({ "GET /own": own })), context)
      for (const user of ["ada", "grace", "ada", "grace", "ada"]) {
        expect((yield* ask("/own", { headers: { "x-user": user } })).text).toBe(`x-user: ${user}`)
      }
      expect(hits).toEqual([])
    }))

  it.scoped.each<[string, CollectableCacheStorage.CollectStyle | undefined]>([
    ["collected", undefined],
    ["softly collected", { soft: true }],
    ["softly collected, unless there is an error", { soft: "unless-error" }]
  ])("%s: by URI, by group and everything", ([, style]) =>
    Effect.gen(function*() {
      const page = counted().pipe(withCache({ ...lane, groups: () => ["pages"] }))
      const { ask, context, hits } = yield* answering(routes({ "GET /page": page }))
      const origin = `http://127.0.0.1:${ask.port}`
      const all = [
        HttpCache.collect(`${origin}/page`, style),
        HttpCache.collectGroup("pages", { origin, ...style }),
        HttpCache.collectEverything(style)
      ]
      let run = 1
      for (const collect of all) {
        yield* Effect.provide(collect, context)
        const before = hits.length
        expect((yield* ask("/page")).text).toBe(`run ${++run}`)
        expect(hits.length).toBe(before)
        expect((yield* ask("/page")).text).toBe(`run ${run}`)
        expect(hits.length).toBe(before + 1)
      }
    }))

  it.scoped("collected by a write whose answer is on its way", () =>
    Effect.gen(function*() {
      let written = 0
      const { ask, hits } = yield* answering(routes({
        "GET /page": Effect.sync(() => HttpServerResponse.text(`version ${written}`)).pipe(withCache(lane)),
        "PUT /page": Effect.sync(() => HttpServerResponse.text(`version ${++written}`)).pipe(withCollect())
      }))
      const put = `PUT /page HTTP/1.1\r\nHost: 127.0.0.1:${ask.port}\r\nContent-Length: 0\r\n\r\n`
      const answers = yield* send(ask.port, put + get("/page", `Host: 127.0.0.1:${ask.port}`))
      // Both come at once: who asks before the write is answered may have what was there before.
      expect(answers.match(/version \d/g)).toEqual(["version 1", expect.stringMatching(/version [01]/)])
      const before = hits.length
      expect((yield* ask("/page")).text).toBe("version 1")
      expect(hits.length - before).toBeLessThanOrEqual(1)
    }))

  it.scoped("expired, to the millisecond", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* answering(routes({ "GET /page": counted().pipe(withCache(lane)) }))
      yield* TestClock.adjust(9999)
      expect([(yield* ask("/page")).text, hits.length]).toEqual(["run 1", 2])
      yield* TestClock.adjust(1)
      expect([(yield* ask("/page")).text, hits.length]).toEqual(["run 2", 2])
    }))

  it.scoped("evicted, though the lane has its head", () =>
    Effect.gen(function*() {
      const app = routes({ "GET /:any": counted().pipe(withCache(lane)) })
      const { ask, hits } = yield* answering(app, InMemoryCacheStorage.layerWith({ maxItems: 1 }))
      yield* ask("/another")
      expect([(yield* ask("/page")).text, hits.length]).toEqual(["run 3", 1])
    }))

  it.scoped("100: of a host, or another field, that a middleware sets", () =>
    Effect.gen(function*() {
      const hits: Array<unknown> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const page = Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) => HttpServerResponse.text(`${headers["host"]}, ${headers["x-tenant"]}`)
      ).pipe(withCache({ ...lane, vary: ["x-tenant"] }))
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const { "x-forwarded-host": host = "", "x-forwarded-tenant": tenant = "none", ...headers } = request.headers
        const set = request.modify({ headers: Headers.fromInput({ ...headers, host, "x-tenant": tenant }) })
        return Effect.provideService(page, HttpServerRequest.HttpServerRequest, set)
      })
      const ask = yield* Effect.provide(serve(app), context)
      const said = (host: string, fields: Record<string, string> = {}) =>
        Effect.map(ask("/page", { headers: { "x-forwarded-host": host, ...fields } }), ({ text }) => text)
      for (const _ of [1, 2, 3]) yield* said("a.example", { "x-forwarded-tenant": "acme" })
      expect([yield* said("b.example"), yield* said("a.example", { "x-tenant": "acme" })])
        .toEqual(["b.example, none", "a.example, none"])
      expect(hits).toEqual([])
    }))

  it.scoped("126: of a field that a listener writes into Node's message", () =>
    Effect.gen(function*() {
      const hits: Array<unknown> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const page = shows("x-tenant").pipe(withCache({ ...lane, vary: ["x-tenant"] }))
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ source }) => {
        const { headers } = source as IncomingMessage
        headers["x-tenant"] = headers["x-key"] === "key of acme" ? "acme" : "none"
        return page
      })
      const ask = yield* Effect.provide(serve(app), context)
      const own = { "x-key": "key of acme", "x-tenant": "" }
      for (const _ of [1, 2, 3]) expect((yield* ask("/page", { headers: own })).text).toBe("x-tenant: acme")
      expect((yield* ask("/page", { headers: { "x-tenant": "acme" } })).text).toBe("x-tenant: none")
      expect(hits).toEqual([])
    }))

  it.scoped("100: with a field that somebody adds to each response of Node's", () =>
    Effect.gen(function*() {
      let count = 0
      const add: ChannelListener = (message) => {
        const { response } = message as { readonly response: ServerResponse }
        const { writeHead } = response
        const withId = (fields: object) => {
          const id = String(++count)
          return Array.isArray(fields) ? [...fields, "x-request-id", id] : { ...fields, "x-request-id": id }
        }
        response.writeHead = ((status: number, fields: object) =>
          Reflect.apply(writeHead, response, [status, withId(fields)])) as never
      }
      subscribe("http.server.request.start", add)
      yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("http.server.request.start", add)))
      const hits: Array<unknown> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const ask = yield* Effect.provide(serve(routes({ "GET /page": counted().pipe(withCache(lane)) })), context)
      const ids: Array<unknown> = []
      for (const _ of [1, 2, 3, 4, 5, 6]) ids.push((yield* ask("/page")).headers["x-request-id"])
      expect(ids.slice(2)).toEqual([...new Set(ids.slice(2))])
      expect(hits.length).toBeGreaterThan(2)
    }))

  it.scoped("128: to a request that somebody has answered before", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* answering(routes({ "GET /page": counted().pipe(withCache(lane)) }))
      const refuse: ChannelListener = (message) =>
        (message as { readonly response: ServerResponse }).response.writeHead(503).end("down")
      subscribe("http.server.request.start", refuse)
      yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("http.server.request.start", refuse)))
      expect([(yield* ask("/page")).text, hits.length]).toEqual(["down", 1])
    }))

  it.scoped.each<[string, HttpCache.Options, Partial<HttpCache.DefaultOptions>]>([
    ["bypassed", { bypass: ({ headers }) => headers["x-y"] === "z" }, {}],
    ["disabled", {}, { enabled: Effect.succeed(false) }],
    ["of an application with a partition", {}, { partition: Effect.succeed("tenant") }]
  ])("%s", ([, options, defaults]) =>
    Effect.gen(function*() {
      const hits: Array<unknown> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const page = counted().pipe(withCache({ ...lane, ...options }))
      const app = routes({ "GET /page": page }).pipe(Effect.provideService(HttpCache.Defaults, defaults))
      const ask = yield* Effect.provide(serve(app), context)
      for (const _ of [1, 2, 3, 4]) yield* ask("/page")
      yield* ask("/page", { headers: { "x-y": "z" } })
      expect(hits).toEqual([])
    }))
})
