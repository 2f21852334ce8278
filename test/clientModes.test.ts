/** A cache around a client: modes, what is forgotten, what is stale, and what has failed. */
import { HttpClient, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Stream, TestClock } from "effect"
import { CacheStorage, HttpClientCache, InMemoryCacheStorage } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { caching, fresh, type Reply, said, scripted, url } from "./client.js"
import { type Logged, logged, troubleOf } from "./platform.js"

const storage = InMemoryCacheStorage.layerCollectable

const withTag = { "cache-control": "max-age=60", "etag": "\"v1\"" }

/** Asks, reads, and tells what the cache says and what the content is. */
const ask = (client: HttpClient.HttpClient, path = "/a", mode: HttpClientCache.Mode = "default") =>
  client.get(url(path)).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => [said(response), text] as const)),
    HttpClientCache.withMode(mode)
  )

/** Until what is refreshed in the background has come. */
const refreshed = Effect.flatMap(
  CacheStorage.CacheStorage,
  (storage) =>
    Effect.repeat(Effect.promise(() => new Promise((resolve) => setImmediate(resolve))), {
      until: () => activity(storage).fibers === 0
    })
)

describe("modes", () => {
  it.scoped("reload asks for all of it, and stores that", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) => fresh(`${count}`, withTag))
      yield* ask(client)
      expect(yield* ask(client, "/a", "reload")).toEqual(["fwd=request", "2"])
      expect(sent[1]!.headers).toMatchObject({ "cache-control": "no-cache", "pragma": "no-cache" })
      expect(sent[1]!.headers).not.toHaveProperty("if-none-match")
      expect(yield* ask(client)).toEqual(["hit; ttl=60", "2"])
    }).pipe(Effect.provide(storage)))

  it.scoped("no-cache asks whether it is current", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(({ headers }) =>
        headers["if-none-match"] === undefined ? fresh("one", withTag) : new Response(null, { status: 304 })
      )
      yield* ask(client)
      expect(yield* ask(client, "/a", "no-cache")).toEqual(["fwd=request; fwd-status=304; stored", "one"])
      expect(sent[1]!.headers).toMatchObject({ "cache-control": "max-age=0", "if-none-match": "\"v1\"" })
    }).pipe(Effect.provide(storage)))

  it.scoped("no-store neither looks nor stores", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) => fresh(`${count}`, withTag))
      expect(yield* ask(client, "/a", "no-store")).toEqual(["fwd=bypass", "1"])
      expect(yield* ask(client)).toEqual(["fwd=uri-miss", "2"])
      expect(yield* ask(client, "/a", "no-store")).toEqual(["fwd=bypass", "3"])
      expect(yield* ask(client)).toEqual(["hit; ttl=60", "2"])
      expect(sent[2]!.headers).toMatchObject({ "cache-control": "no-cache" })
    }).pipe(Effect.provide(storage)))

  it.scoped("only-if-cached answers with what is stored, stale or not, and nothing goes out", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(() => fresh("one"), { staleWhileRevalidate: "2 hours" })
      const onlyIfCached = HttpClientCache.withMode("only-if-cached")
      expect((yield* onlyIfCached(client.get(url("/a")))).status).toBe(504)
      yield* ask(client)
      yield* TestClock.adjust("1 hour")
      expect(yield* ask(client, "/a", "only-if-cached")).toEqual(["hit; ttl=-3540", "one"])
      expect((yield* onlyIfCached(client.post(url("/a")))).status).toBe(504)
      yield* refreshed
      expect(sent.length).toBe(1)
    }).pipe(Effect.provide(storage)))

  it.scoped("only-if-cached answers with nothing stale where the response forbids that", () =>
    Effect.gen(function*() {
      for (const [path, cacheControl] of [["/a", "max-age=10, must-revalidate"], ["/b", "no-cache"]] as const) {
        const { client, sent } = yield* caching(() => fresh("one", { "cache-control": cacheControl, "etag": "\"a\"" }))
        yield* Effect.flatMap(client.get(url(path)), ({ text }) => text)
        yield* TestClock.adjust("11 seconds")
        expect((yield* HttpClientCache.withMode(client.get(url(path)), "only-if-cached")).status).toBe(504)
        expect(sent.length).toBe(1)
      }
    }).pipe(Effect.provide(storage)))

  it.scoped("an inner one wins, and the request's own Cache-Control is heeded in each", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) => fresh(`${count}`))
      const inner = ask(client)
      yield* inner
      expect(yield* HttpClientCache.withMode(inner, "reload")).toEqual(["hit; ttl=60", "1"])
      const own = HttpClientRequest.get(url("/a")).pipe(HttpClientRequest.setHeader("cache-control", "max-age=30"))
      yield* TestClock.adjust("31 seconds")
      expect(said(yield* client.execute(own))).toBe("fwd=request")
      yield* HttpClientCache.withMode(client.execute(own), "reload")
      expect(sent[2]!.headers["cache-control"]).toBe("max-age=30")
    }).pipe(Effect.provide(storage)))
})

describe("what an unsafe method has changed", () => {
  it.scoped.each(["post", "put", "patch", "del"] as const)(
    "is forgotten after a %s, and what its Location names",
    (method) =>
      Effect.gen(function*() {
        const { client, sent } = yield* caching(({ method }) =>
          method === "GET" ? fresh("one") : new Response(null, { status: 201, headers: { location: "/b" } })
        )
        yield* ask(client, "/a")
        yield* ask(client, "/b")
        yield* ask(client, "/c")
        expect(said(yield* client[method](url("/a")))).toBe("fwd=method")
        expect(yield* ask(client, "/a")).toEqual(["fwd=uri-miss", "one"])
        expect(yield* ask(client, "/b")).toEqual(["fwd=uri-miss", "one"])
        expect(yield* ask(client, "/c")).toEqual(["hit; ttl=60", "one"])
        expect(sent.length).toBe(6)
      }).pipe(Effect.provide(storage))
  )

  it.scoped("136: is forgotten at the host that its Host names, and at that of its URL", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(({ headers }) => fresh(headers["host"] ?? "no Host"))
      const at = (host: string) => Effect.tap(client.get(`http://${host}/a`), ({ text }) => text)
      for (const host of ["origin.test", "other.test"]) yield* at(host)
      yield* client.post(url("/a"), { headers: { host: "Other.test:80" } })
      for (const host of ["origin.test", "other.test"]) expect(said(yield* at(host))).toBe("fwd=uri-miss")
    }).pipe(Effect.provide(storage)))

  it.scoped("is nothing after an error, and unknown after no answer", () =>
    Effect.gen(function*() {
      let reply: Reply = new Response(null, { status: 409 })
      const { client } = yield* caching(({ method }) => method === "GET" ? fresh("one") : reply)
      yield* ask(client)
      yield* client.post(url("/a"))
      expect(yield* ask(client)).toEqual(["hit; ttl=60", "one"])
      const refusing = yield* HttpClientCache.transform(
        scripted(() => new Response(null, { status: 409 })).client.pipe(HttpClient.filterStatusOk)
      )
      yield* Effect.flip(refusing.post(url("/a")))
      expect(yield* ask(client)).toEqual(["hit; ttl=60", "one"])
      reply = "no connection"
      yield* Effect.flip(client.post(url("/a")))
      expect(yield* ask(client)).toEqual(["fwd=uri-miss", "one"])
    }).pipe(Effect.provide(storage)))
})

describe("what is stale", () => {
  it.scoped("is answered at once within its window, and refreshed with all that was sent", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) => fresh(`${count}`), { staleWhileRevalidate: 30 })
      const asking = client.pipe(HttpClient.mapRequest(HttpClientRequest.setHeaders({
        "authorization": "Bearer a",
        "accept": "application/json",
        "x-api-key": "k",
        "if-none-match": "\"mine\""
      })))
      expect(yield* ask(asking)).toEqual(["fwd=uri-miss", "1"])
      yield* TestClock.adjust("70 seconds")
      expect(yield* ask(asking)).toEqual(["hit; ttl=-10", "1"])
      yield* refreshed
      expect(yield* ask(asking)).toEqual(["hit; ttl=60", "2"])
      expect(sent.map(({ headers }) => headers)).toEqual([0, 1].map(() => ({
        "accept": "application/json",
        "authorization": "Bearer a",
        "x-api-key": "k"
      })))
    }).pipe(Effect.provide(storage)))

  it.scoped.each(["no connection", 500, 503] as const)(
    "stands in for %s, and that is logged",
    (trouble) =>
      Effect.gen(function*() {
        let reply: () => Reply = () => fresh("one")
        const { client } = yield* caching(() => reply(), { staleIfError: "1 hour" })
        yield* ask(client)
        reply = () => trouble === "no connection" ? trouble : new Response("sorry", { status: trouble })
        yield* TestClock.adjust("61 seconds")
        const lines: Array<Logged> = []
        const result = yield* Effect.provide(ask(client), logged(lines))
        const status = trouble === "no connection" ? 502 : trouble
        expect(result).toEqual([`fwd=stale; fwd-status=${status}`, "one"])
        expect(lines.map(({ message }) => message).join()).toContain("what is stored stands in for it")
        yield* TestClock.adjust("1 hour")
        const [word] = yield* Effect.catchAll(ask(client), () => Effect.succeed(["failed"]))
        expect(word).toBe(trouble === "no connection" ? "failed" : "fwd=stale")
      }).pipe(Effect.provide(storage))
  )
})

describe("a failure", () => {
  it.scoped("is the client's own, and no response is stored", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) => count === 1 ? "no connection" : fresh("one"))
      const error = yield* Effect.flip(ask(client))
      expect([troubleOf(error), String(error.cause)]).toEqual(["Transport", "Error: no connection"])
      expect(yield* ask(client)).toEqual(["fwd=uri-miss", "one"])
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))

  it.scoped("fails all who wait, after a few requests", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(() => Effect.delay(Effect.succeed<Reply>("no connection"), "1 second"))
      const all = yield* Effect.fork(
        Effect.all(Array.from({ length: 50 }, () => Effect.flip(ask(client))), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("10 seconds")
      const errors = yield* Fiber.join(all)
      expect(errors.filter((error) => troubleOf(error).startsWith("Transport")).length).toBe(50)
      expect(sent.length).toBeLessThanOrEqual(4)
    }).pipe(Effect.provide(storage)))

  it.scoped("is tried again by a retry around the cache, and by one beneath it", () =>
    Effect.gen(function*() {
      const answer = (_: unknown, count: number): Reply => count < 3 ? "no connection" : fresh("one")
      const around = yield* caching(answer)
      expect(yield* ask(around.client.pipe(HttpClient.retry(Schedule.recurs(2))))).toEqual(["fwd=uri-miss", "one"])
      expect(around.sent.length).toBe(3)
      const beneath = scripted(answer)
      const client = yield* HttpClientCache.transform(beneath.client.pipe(HttpClient.retry(Schedule.recurs(2))))
      expect(yield* ask(client, "/b")).toEqual(["fwd=uri-miss", "one"])
      expect(beneath.sent.length).toBe(3)
    }).pipe(Effect.provide(storage)))

  it.scoped("of a body is told while it is read, and nothing is stored", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) => {
        const broken = new ReadableStream({
          pull: (controller) => controller.error(new Error("broken"))
        })
        return new Response(count === 1 ? broken : "one", { headers: { "cache-control": "max-age=60" } })
      })
      const response = yield* client.get(url("/a"))
      expect(troubleOf(yield* Effect.flip(response.text))).toBe("Decode 200")
      expect((yield* ask(client))[1]).toBe("one")
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))

  it.scoped("that a client beneath makes of a status is one, but not of a 304 to the cache", () =>
    Effect.gen(function*() {
      const { client: beneath, sent } = scripted(({ headers, path }) =>
        path === "/none"
          ? new Response(null, { status: 404, headers: { "cache-control": "max-age=60" } })
          : headers["if-none-match"] === undefined
          ? fresh("one", withTag)
          : new Response(null, { status: 304 })
      )
      const client = yield* HttpClientCache.transform(beneath.pipe(HttpClient.filterStatusOk))
      yield* ask(client)
      yield* TestClock.adjust("61 seconds")
      expect(yield* ask(client)).toEqual(["fwd=stale; fwd-status=304; stored", "one"])
      expect(troubleOf(yield* Effect.flip(ask(client, "/none")))).toBe("StatusCode 404")
      expect(troubleOf(yield* Effect.flip(ask(client, "/none")))).toBe("StatusCode 404")
      expect(sent.length).toBe(4)
    }).pipe(Effect.provide(storage)))
})

describe("what is beneath", () => {
  it.scoped("has a scope of its own, which closes with the body", () =>
    Effect.gen(function*() {
      const { client: beneath } = scripted(() => fresh("one"))
      let closed = 0
      const scoped = HttpClient.transformResponse(
        beneath,
        Effect.tap(() => Effect.addFinalizer(() => Effect.sync(() => closed++)))
      )
      const client = yield* HttpClientCache.transform(HttpClient.withScope(scoped))
      const response = yield* client.get(url("/a"))
      expect(yield* response.text).toBe("one")
      expect(closed).toBe(1)
      yield* client.head(url("/b"))
      expect(closed).toBe(2)
    }).pipe(Effect.provide(storage)))

  it.scoped.each(["text", "json", "arrayBuffer", "stream", "nothing"] as const)(
    "196: has a scope that closes with the body also where a redirection was followed: read by %s",
    (way) =>
      Effect.gen(function*() {
        const { client: beneath } = scripted(({ path }) =>
          path === "/b" ? fresh("1") : new Response(null, { status: 302, headers: { location: "/b" } })
        )
        let closed = 0
        const scoped = HttpClient.transformResponse(
          HttpClient.followRedirects(beneath),
          Effect.tap(() => Effect.addFinalizer(() => Effect.sync(() => closed++)))
        )
        const client = yield* HttpClientCache.transform(HttpClient.withScope(scoped))
        const response = yield* client[way === "nothing" ? "head" : "get"](url("/a"))
        if (way === "stream") yield* Stream.runDrain(response.stream)
        else if (way !== "nothing") yield* response[way]
        expect(closed).toBe(1)
      }).pipe(Effect.provide(storage))
  )

  it.scoped("is sent on as it comes where it can't be stored", () =>
    Effect.gen(function*() {
      const events = () =>
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n"))
        })
      const { client } = yield* caching(() =>
        new Response(events(), { headers: { "cache-control": "max-age=60", "content-type": "text/event-stream" } })
      )
      const response = yield* client.get(url("/a"))
      const first = yield* Stream.runHead(Stream.decodeText(response.stream))
      expect(first).toMatchObject({ value: "data: 1\n\n" })
    }).pipe(Effect.provide(storage)))

  it.scoped("155: is given up with the scope of a request that passes by", () =>
    Effect.gen(function*() {
      const signals: Array<AbortSignal> = []
      const endless = HttpClient.make((request, _, signal) => {
        signals.push(signal)
        return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(new ReadableStream())))
      })
      const client = yield* HttpClientCache.transform(endless)
      yield* Effect.scoped(HttpClient.withScope(client).post(url("/a")))
      expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    }).pipe(Effect.provide(storage)))
})

describe("a redirection that is followed beneath", () => {
  it.scoped.each(["get", "head"] as const)(
    "194: is no answer about what is stored, by a %s",
    (method) =>
      Effect.gen(function*() {
        let isMoved = false
        const { client: beneath } = scripted(({ headers, method, path }) =>
          path === "/a" && isMoved
            ? new Response(null, { status: 302, headers: { location: "/b" } })
            : headers["if-none-match"] === "\"v1\""
            ? new Response(null, { status: 304, headers: withTag })
            : fresh(method === "HEAD" ? "" : path, withTag)
        )
        const client = yield* HttpClientCache.transform(HttpClient.followRedirects(beneath))
        expect(yield* ask(client)).toEqual(["fwd=uri-miss", "/a"])
        isMoved = true
        yield* TestClock.adjust("61 seconds")
        expect((yield* client[method](url("/a"))).status).toBe(200)
        expect((yield* ask(client))[1]).toBe("/b")
        expect((yield* ask(client))[1]).toBe("/b")
      }).pipe(Effect.provide(storage))
  )

  it.scoped("195: has changed what it leads to, and what is named there", () =>
    Effect.gen(function*() {
      const { client: beneath } = scripted(({ method, path }) =>
        method === "GET"
          ? fresh(path)
          : path === "/a"
          ? new Response(null, { status: 307, headers: { location: "/of/b" } })
          : new Response(null, { status: 201, headers: { location: "c" } })
      )
      const client = yield* HttpClientCache.transform(HttpClient.followRedirects(beneath))
      for (const path of ["/a", "/of/b", "/of/c", "/d"]) yield* ask(client, path)
      yield* client.post(url("/a"))
      for (const path of ["/a", "/of/b", "/of/c"]) expect(yield* ask(client, path)).toEqual(["fwd=uri-miss", path])
      expect(yield* ask(client, "/d")).toEqual(["hit; ttl=60", "/d"])
    }).pipe(Effect.provide(storage)))
})
