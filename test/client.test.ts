/** A cache around a client, through the door: what it asks of the origin, and what it answers. */
import { HttpClient, HttpClientRequest, type HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { CollectableCacheStorage as Collectables, HttpClientCache, InMemoryCacheStorage } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { CacheStorage } from "../src/CacheStorage.js"
import { CollectableCacheStorage } from "../src/CollectableCacheStorage.js"
import { caching, fresh, said, scripted, url } from "./client.js"
import { still } from "./harness.js"
import { troubleOf } from "./platform.js"

const storage = InMemoryCacheStorage.layerCollectable

/** Each way to read a response, as bytes. */
const ways: {
  readonly [name: string]: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<string, unknown>
} = {
  text: ({ text }) => text,
  json: ({ json }) => Effect.map(json, (value) => JSON.stringify(value)),
  arrayBuffer: ({ arrayBuffer }) => Effect.map(arrayBuffer, (buffer) => Buffer.from(buffer).toString()),
  stream: ({ stream }) =>
    Effect.map(Stream.runCollect(stream), (chunks) => Buffer.concat(Array.from(chunks)).toString()),
  urlParamsBody: ({ urlParamsBody }) => Effect.map(urlParamsBody, ([[name = ""] = []]) => name)
}

const content = "{\"a\":1}"

describe("a client with a cache", () => {
  it.scoped("asks once while the response is fresh, and then whether it is current", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(({ headers }) =>
        headers["if-none-match"] === "\"v1\""
          ? new Response(null, { status: 304, headers: { "cache-control": "max-age=60", "x-of": "304" } })
          : fresh("one", { "cache-control": "max-age=60", "etag": "\"v1\"" })
      )
      const first = yield* client.get(url("/a"))
      expect([said(first), yield* first.text]).toEqual(["fwd=uri-miss", "one"])
      yield* TestClock.adjust("10 seconds")
      const second = yield* client.get(url("/a"))
      expect([said(second), second.headers["age"], yield* second.text]).toEqual(["hit; ttl=50", "10", "one"])
      yield* TestClock.adjust("50 seconds")
      const third = yield* client.get(url("/a"))
      expect([said(third), third.status, third.headers["x-of"], yield* third.text])
        .toEqual(["fwd=stale; fwd-status=304; stored", 200, "304", "one"])
      expect(sent.map(({ headers }) => headers["if-none-match"])).toEqual([undefined, "\"v1\""])
    }).pipe(Effect.provide(storage)))

  // As they are set in JavaScript.
  it.scoped.each<[string, unknown, string]>([
    ["x-page", 5, "5"],
    ["x-page", true, "true"],
    ["accept", ["text/html"], "text/html"],
    ["authorization", ["Bearer 1"], "Bearer 1"]
  ])(
    "191: a request field that is no text selects as what is sent: %s %j",
    ([name, value, text]) =>
      Effect.gen(function*() {
        const { client } = yield* caching(() => fresh("one", { "cache-control": "max-age=60", "vary": name }))
        const asked = (value: string) =>
          client.execute(HttpClientRequest.setHeader(HttpClientRequest.get(url("/a")), name, value)).pipe(
            Effect.tap(({ text }) => text),
            Effect.map(said)
          )
        expect(yield* asked(value as string)).toBe("fwd=uri-miss")
        expect(yield* asked(text)).toBe("hit; ttl=60")
        expect(yield* asked("another")).toMatch(/^fwd=(?:uri|vary)-miss$/)
      }).pipe(Effect.provide(storage))
  )

  it.scoped("asks by the date where there is no tag, and finds a fraction of an age fresh where nothing is stated", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2024, 0, 11))
      const { client, sent } = yield* caching(({ headers }) =>
        headers["if-modified-since"] !== undefined
          ? new Response(null, { status: 304 })
          : fresh("one", { "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT" })
      )
      yield* Effect.flatMap(client.get(url("/a")), ({ text }) => text)
      yield* TestClock.adjust("23 hours")
      expect(said(yield* client.get(url("/a")))).toBe("hit; ttl=3600")
      yield* TestClock.adjust("1 hour")
      expect(said(yield* client.get(url("/a")))).toBe("fwd=stale; fwd-status=304; stored")
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))

  it.scoped.each(Object.keys(ways))(
    "is read by %s on a miss and on a hit, each twice, and in the other ways too",
    (way) =>
      Effect.gen(function*() {
        const read = ways[way]!
        const { client, sent } = yield* caching(() => fresh(content))
        const miss = yield* client.get(url("/a"))
        const expected = way === "urlParamsBody" ? content : JSON.stringify(JSON.parse(content))
        expect([yield* read(miss), yield* read(miss)]).toEqual([expected, expected])
        const hit = yield* client.get(url("/a"))
        expect([said(hit), yield* read(hit), yield* read(hit)]).toEqual(["hit; ttl=60", expected, expected])
        for (const other of Object.values(ways)) {
          expect(yield* other(miss)).toBe(content)
          expect(yield* other(hit)).toBe(content)
        }
        expect(sent.length).toBe(1)
      }).pipe(Effect.provide(storage))
  )

  it.scoped("is read as a form", () =>
    Effect.gen(function*() {
      const form = new FormData()
      form.append("name", "Ada")
      const { client } = yield* caching(() => {
        const response = new Response(form)
        response.headers.set("cache-control", "max-age=60")
        return response
      })
      for (const _ of ["a miss", "a hit"]) {
        const response = yield* client.get(url("/a"))
        expect((yield* response.formData).get("name")).toBe("Ada")
        expect((yield* response.formData).get("name")).toBe("Ada")
      }
    }).pipe(Effect.provide(storage)))

  it.scoped("nobody who writes into what was read changes what is stored", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(() => fresh("abc"))
      const write = (response: HttpClientResponse.HttpClientResponse) =>
        Effect.gen(function*() {
          yield* Stream.runForEach(response.stream, (chunk) => Effect.sync(() => chunk.fill(0)))
          new Uint8Array(yield* response.arrayBuffer).fill(0)
          return yield* response.text
        })
      expect(yield* write(yield* client.get(url("/a")))).toBe("abc")
      expect(yield* write(yield* client.get(url("/a")))).toBe("abc")
      expect(yield* write(yield* client.get(url("/a")))).toBe("abc")
    }).pipe(Effect.provide(storage)))

  it.scoped("a larger body than is stored can be read as it comes, once", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(() => fresh("0123456789"), { maxBodyBytes: 9 })
      const response = yield* client.get(url("/a"))
      expect(yield* ways["stream"]!(response)).toBe("0123456789")
      expect(troubleOf(yield* Effect.flip(response.text))).toBe("Decode 200")
      const other = yield* client.get(url("/a"))
      expect([yield* other.text, yield* other.text]).toEqual(["0123456789", "0123456789"])
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))

  it.scoped("what is no JSON fails as with the platform", () =>
    Effect.gen(function*() {
      const none = new Response(null, { headers: { "cache-control": "max-age=60" } })
      const { client } = yield* caching(({ path }) => path === "/none" ? none : fresh("{"))
      const response = yield* client.get(url("/a"))
      expect(troubleOf(yield* Effect.flip(response.json))).toBe("Decode 200")
      for (const word of ["fwd=uri-miss", "hit; ttl=60"]) {
        const response = yield* client.get(url("/none"))
        expect([said(response), yield* response.json]).toEqual([word, null])
      }
    }).pipe(Effect.provide(storage)))

  it.scoped("of a hundred concurrent equal requests one goes out", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) =>
        Effect.delay(Effect.sync(() => fresh(`${count}`)), "1 second")
      )
      const asking = Effect.flatMap(client.get(url("/a")), (response) =>
        Effect.map(response.text, (text) => [said(response), text]))
      const all = yield* Effect.fork(
        Effect.all(Array(100).fill(asking) as Array<typeof asking>, { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      const answers = yield* Fiber.join(all)
      expect(
        answers.filter(([, text]) =>
          text === "1"
        ).length
      ).toBe(100)
      expect(answers.filter(([word]) => word === "fwd=uri-miss; collapsed").length).toBe(99)
      expect(sent.length).toBe(1)
    }).pipe(Effect.provide(storage)))

  it.scoped("who leaves ends nothing for others, and the last one ends the request", () =>
    Effect.gen(function*() {
      let isEnded = false
      const { client, sent } = yield* caching(() =>
        Effect.onInterrupt(Effect.delay(Effect.sync(() => fresh("one")), "1 second"), () =>
          Effect.sync(() => isEnded = true))
      )
      const asking = Effect.flatMap(client.get(url("/a")), ({ text }) =>
        text)
      const [first, second] = [yield* Effect.fork(asking), yield* Effect.fork(asking)]
      yield* TestClock.adjust("0.5 seconds")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("0.5 seconds")
      expect([yield* Fiber.join(second), isEnded, sent.length]).toEqual(["one", false, 1])
      const alone = yield* Effect.fork(Effect.flatMap(client.get(url("/b")), ({ text }) => text))
      yield* TestClock.adjust("0.5 seconds")
      yield* Fiber.interrupt(alone)
      yield* Effect.yieldNow()
      expect(isEnded).toBe(true)
    }).pipe(Effect.provide(storage)))

  it.scoped("229: who leaves while a write is collected closes what came of the write", () =>
    Effect.gen(function*() {
      const [isCollecting, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const waiting = Collectables.layer(Effect.succeed({
        ...InMemoryCacheStorage.make(),
        collect: () => Effect.zipRight(Deferred.succeed(isCollecting, undefined), Deferred.await(goesOn))
      }))
      let isClosed = false
      const content = () => new ReadableStream({ cancel: () => void (isClosed = true) }, { highWaterMark: 0 })
      const { client } = yield* Effect.provide(caching(() => new Response(content())), waiting)
      const asking = yield* Effect.fork(client.post(url("/a")))
      yield* Deferred.await(isCollecting)
      const leaving = yield* Effect.fork(Fiber.interrupt(asking))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(goesOn, undefined)
      yield* Fiber.join(leaving)
      expect(yield* still(() => Number(isClosed))).toBe(1)
    }))

  it.scoped("a request that never ends is given up after five minutes", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(() => Effect.never)
      const asking = yield* Effect.fork(Effect.flip(client.get(url("/a"))))
      yield* TestClock.adjust("5 minutes")
      expect(troubleOf(yield* Fiber.join(asking))).toBe("Transport: it took too long")
    }).pipe(Effect.provide(storage)))

  it.scoped("nothing is left running", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(() => fresh("one"))
      for (let index = 0; index < 3; index++) yield* Effect.flatMap(client.get(url(`/${index}`)), ({ text }) => text)
      expect(activity(yield* CacheStorage)).toMatchObject({ flights: 0, waiters: 0, fibers: 0 })
    }).pipe(Effect.provide(storage)))

  it.scoped("HEAD is answered from what GET has stored, and has no content", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(({ method }) => fresh(method === "HEAD" ? "" : "one"))
      const first = yield* client.head(url("/a"))
      expect([said(first), yield* first.text]).toEqual(["fwd=uri-miss", ""])
      yield* Effect.flatMap(client.get(url("/a")), ({ text }) => text)
      const second = yield* client.head(url("/a"))
      expect([said(second), yield* second.text, yield* ways["stream"]!(second)]).toEqual(["hit; ttl=60", "", ""])
      expect(sent.map(({ method }) => method)).toEqual(["HEAD", "GET"])
    }).pipe(Effect.provide(storage)))

  it.scoped("a request with content passes by", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(() => fresh("one"))
      const request = HttpClientRequest.get(url("/a")).pipe(HttpClientRequest.bodyText("q"))
      expect(said(yield* client.execute(request))).toBe("fwd=bypass")
      expect(said(yield* client.execute(request))).toBe("fwd=bypass")
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))

  it.scoped("sees a request as it is sent, wherever something is added to it", () =>
    Effect.gen(function*() {
      const { client: beneath, sent } = scripted(() => fresh("one"))
      const within = beneath.pipe(HttpClient.mapRequest(HttpClientRequest.prependUrl("http://origin.test/v1")))
      const cached = yield* HttpClientCache.transform(within)
      const client = cached.pipe(HttpClient.mapRequest(HttpClientRequest.setHeader("x-a", "1")))
      yield* Effect.flatMap(client.get("/a"), ({ text }) => text)
      expect(said(yield* client.get("/a"))).toBe("hit; ttl=60")
      expect(sent.map(({ headers, path }) => [path, headers["x-a"]])).toEqual([["/v1/a", "1"]])
    }).pipe(Effect.provide(storage)))

  it.scoped("is a layer around the client's", () =>
    Effect.gen(function*() {
      const { client, sent } = scripted(() => fresh("one"))
      const layer = HttpClientCache.layer().pipe(Layer.provide([Layer.succeed(HttpClient.HttpClient, client), storage]))
      const asking = Effect.flatMap(HttpClient.get(url("/a")), ({ text }) => text)
      expect(yield* Effect.provide(Effect.all([asking, asking]), layer)).toEqual(["one", "one"])
      expect(sent.length).toBe(1)
    }))

  it.scoped("a URL that is none fails as without a cache", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(() => fresh("one"))
      expect(troubleOf(yield* Effect.flip(client.get("/no/host")))).toBe("InvalidUrl")
    }).pipe(Effect.provide(storage)))

  it("says what is wrong with an option, a mode, or the storage", async () => {
    expect(() => HttpClientCache.layer({ expiry: 10 } as never)).toThrow(
      "HttpClientCache: there is no option expiry; there are shared, staleWhileRevalidate, staleIfError, maxBodyBytes"
    )
    expect(() => HttpClientCache.layer({ staleIfError: -1 })).toThrow(
      /^HttpClientCache: staleIfError is -1; it must be/
    )
    expect(() => HttpClientCache.layer({ shared: "yes" } as never)).toThrow(
      /^HttpClientCache: shared is "yes"; it must be/
    )
    expect(() => HttpClientCache.withMode(Effect.void, "force-cache" as never)).toThrow(
      "HttpClientCache.withMode: the mode is \"force-cache\"; it must be one of \"default\", \"no-store\", \"reload\", \"no-cache\", " +
        "\"only-if-cached\""
    )
    const two = Layer.merge(
      Layer.succeed(CacheStorage, InMemoryCacheStorage.make()),
      Layer.succeed(CollectableCacheStorage, InMemoryCacheStorage.make())
    )
    const made = Effect.provide(HttpClientCache.transform(scripted(() => fresh("")).client), two)
    await expect(Effect.runPromise(Effect.scoped(made))).rejects.toThrow(
      /^HttpClientCache: CacheStorage and CollectableCacheStorage are two/
    )
  })
})
