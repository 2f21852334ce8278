/** A cache around a client: who gets which copy, and what no storage gets to know. */
import { Cookies, HttpClient, HttpClientRequest, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import {
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  HttpClientCache,
  InMemoryCacheStorage,
  withCache
} from "effect-http-cache"
import { caching, fresh, said, scripted, type Sent, url } from "./client.js"

const storage = InMemoryCacheStorage.layerCollectable

type Fields = { readonly [name: string]: string }

const ask = (client: HttpClient.HttpClient, headers: Fields = {}, path = "/a") =>
  client.execute(HttpClientRequest.setHeaders(HttpClientRequest.get(url(path)), headers)).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => [said(response), text] as const))
  )

const whoever = ({ headers }: Sent) => `${headers["authorization"] ?? ""}/${headers["cookie"] ?? ""}`

/** All pairs are of two users. */
const users: ReadonlyArray<Fields> = [
  {},
  { authorization: "Bearer a" },
  { authorization: "Bearer b" },
  { cookie: "s=1" },
  { cookie: "s=2" },
  { authorization: "Bearer a", cookie: "s=1" },
  { authorization: "s=1" },
  { cookie: "Bearer a" }
]

describe("two users", () => {
  it.scoped.each(["max-age=60", "private, max-age=60", "public, max-age=60", "max-age=60, s-maxage=0"])(
    "each have copies of their own of what is %s, one after the other",
    (cacheControl) =>
      Effect.gen(function*() {
        const { client, sent } = yield* caching((sent) => fresh(whoever(sent), { "cache-control": cacheControl }))
        for (const word of ["fwd=", "hit"]) {
          for (const headers of users) {
            const [status, text] = yield* ask(client, headers)
            expect(status).toContain(word)
            expect(text).toBe(whoever({ headers } as Sent))
          }
        }
        expect(sent.length).toBe(users.length)
      }).pipe(Effect.provide(storage))
  )

  it.scoped("are never mixed where they ask at one time, nor in the background, nor by a 304", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(
        (sent) =>
          Effect.delay(
            Effect.sync(() =>
              sent.headers["if-none-match"] === undefined
                ? fresh(whoever(sent), { "cache-control": "max-age=10", "etag": "\"same\"" })
                : new Response(null, { status: 304 })
            ),
            "1 second"
          ),
        { staleWhileRevalidate: 30 }
      )
      const everybody = Effect.all(
        users.flatMap((headers) =>
          Array.from(
            { length: 5 },
            () => Effect.map(ask(client, headers), ([, text]) => [text, whoever({ headers } as Sent)] as const)
          )
        ),
        { concurrency: "unbounded" }
      )
      for (let round = 0; round < 4; round++) {
        const asking = yield* Effect.fork(everybody)
        yield* TestClock.adjust("1 second")
        for (const [text, own] of yield* Fiber.join(asking)) expect(text).toBe(own)
        yield* TestClock.adjust("15 seconds")
      }
      expect(sent.length).toBeGreaterThan(users.length)
      expect(sent.length).toBeLessThan(40)
    }).pipe(Effect.provide(storage)))

  it.scoped("are told apart by what is added around the client, beneath the cache or above it", () =>
    Effect.gen(function*() {
      const { client: beneath } = scripted((sent) => fresh(whoever(sent)))
      const as = (token: string) => HttpClient.mapRequest(HttpClientRequest.bearerToken(token))
      const within = yield* HttpClientCache.transform(beneath.pipe(as("a")))
      const cached = yield* HttpClientCache.transform(beneath)
      expect((yield* ask(within))[1]).toBe("Bearer a/")
      expect(yield* ask(cached.pipe(as("b")))).toEqual(["fwd=uri-miss", "Bearer b/"])
      expect(yield* ask(cached.pipe(as("a")))).toEqual(["hit; ttl=60", "Bearer a/"])
      const cookie = HttpClient.mapRequest(HttpClientRequest.setHeader("cookie", "s=1"))
      expect((yield* ask(cached.pipe(cookie)))[1]).toBe("/s=1")
    }).pipe(Effect.provide(storage)))

  it.scoped("are named in no storage: not in what selects a copy either", () => {
    const stored: Array<unknown> = []
    const memory = InMemoryCacheStorage.make()
    const spying: CollectableCacheStorage.Service = {
      get: (lookup) => memory.get(lookup),
      begin: (lookup) => memory.begin(lookup),
      set: (item, fill) => {
        stored.push(item)
        return memory.set(item, fill)
      },
      collect: (...given) => memory.collect(...given),
      holds: (...given) => memory.holds(...given)
    }
    return Effect.gen(function*() {
      const { client } = yield* caching((sent) =>
        fresh(whoever(sent).length.toString(), { "cache-control": "max-age=60", "vary": "Cookie, Authorization" })
      )
      const headers = { authorization: "Bearer secret-a", cookie: "s=secret-b" }
      yield* ask(client, headers)
      expect((yield* ask(client, headers))[0]).toBe("hit; ttl=60")
      expect(stored).toMatchObject([{ key: "http://origin.test/a", vary: ["authorization", "cookie"] }])
      expect(JSON.stringify(stored)).not.toMatch(/secret/)
    }).pipe(
      Effect.provideService(CacheStorage.CacheStorage, spying),
      Effect.provideService(CollectableCacheStorage.CollectableCacheStorage, spying)
    )
  })

  it.scoped("by another field are told apart where the response says so", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(({ headers }) =>
        fresh(headers["x-api-key"] ?? "", { "cache-control": "max-age=60", "vary": "X-API-Key" })
      )
      for (const key of ["a", "b", "a"]) expect((yield* ask(client, { "x-api-key": key }))[1]).toBe(key)
    }).pipe(Effect.provide(storage)))
})

describe("165: a URI with a user and password", () => {
  it.scoped("is collected, as it was asked for, and with it what others have of it", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(() => fresh("one"))
      const named = url("/a").replace("http://", "http://ada:secret@")
      const stated = Effect.forEach([named, url("/a")], (uri) =>
        Effect.flatMap(client.get(uri), (response) => Effect.as(response.text, said(response))))
      yield* stated
      expect(yield* stated).toEqual(["hit; ttl=60", "hit; ttl=60"])
      yield* HttpCache.collect(named)
      expect(yield* stated).toEqual(["fwd=uri-miss", "fwd=uri-miss"])
    }).pipe(Effect.provide(storage)))
})

describe("67: what Connection lists is sent", () => {
  it.scoped.each(["authorization", "cookie", "accept-language"])(
    "and so it selects: %s",
    (name) =>
      Effect.gen(function*() {
        const { client } = yield* caching(({ headers }) =>
          fresh(String(headers[name]), { "cache-control": "max-age=60", "vary": "accept-language" })
        )
        const asked = (fields: { readonly [name: string]: string }) =>
          Effect.flatMap(client.get(url("/a"), { headers: fields }), ({ text }) => text)
        const listed = (value: string) => asked({ connection: name, [name]: value })
        expect([yield* listed("fr"), yield* listed("de"), yield* asked({})]).toEqual(["fr", "de", "undefined"])
      }).pipe(Effect.provide(storage))
  )
})

describe("a cookie that is set", () => {
  it.scoped("is given to who asked, and not stored", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(() =>
        fresh("one", { "cache-control": "max-age=60", "set-cookie": "s=secret; Path=/" })
      )
      const first = yield* client.get(url("/a"))
      expect([yield* first.text, first.headers["set-cookie"]]).toEqual(["one", "s=secret; Path=/"])
      expect(Cookies.getValue(first.cookies, "s")).toMatchObject({ value: "secret" })
      const second = yield* client.get(url("/a"))
      expect([said(second), second.headers["set-cookie"]]).toEqual(["hit; ttl=60", undefined])
      expect(Cookies.isEmpty(second.cookies)).toBe(true)
    }).pipe(Effect.provide(storage)))
})

describe("a shared cache of a client", () => {
  it.scoped.each([
    { cacheControl: "max-age=60", headers: {}, next: "hit; ttl=60" },
    { cacheControl: "max-age=60", headers: { authorization: "Bearer b" }, next: "fwd=uri-miss" },
    { cacheControl: "public, max-age=60", headers: { authorization: "Bearer b" }, next: "hit; ttl=60" },
    { cacheControl: "private, max-age=60", headers: {}, next: "fwd=uri-miss" },
    { cacheControl: "max-age=60, s-maxage=30", headers: {}, next: "hit; ttl=30" }
  ])("goes by the rules for one: %j", ({ cacheControl, headers, next }) =>
    Effect.gen(function*() {
      const { client } = yield* caching((sent) => fresh(whoever(sent), { "cache-control": cacheControl }), {
        shared: true
      })
      yield* ask(client, headers as Fields)
      expect((yield* ask(client, headers as Fields))[0]).toBe(next)
    }).pipe(Effect.provide(storage)))

  it.scoped("130: has no copy of what was asked for with a user in the URL, and gives such a request none", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching((_, count) => fresh(`run ${count}`), { shared: true })
      const at = (who: string) =>
        Effect.flatMap(
          client.get(`http://${who}origin.test/a`),
          (response) => Effect.map(response.text, (text) => [said(response), text])
        )
      expect(yield* at("ada:secret@")).toEqual(["fwd=bypass", "run 1"])
      expect(yield* at("")).toEqual(["fwd=uri-miss", "run 2"])
      expect(yield* at("ada@")).toEqual(["fwd=bypass", "run 3"])
      expect(yield* at("")).toEqual(["hit; ttl=60", "run 2"])
      yield* client.post("http://ada:secret@origin.test/a")
      expect(yield* at("")).toEqual(["fwd=uri-miss", "run 5"])
      expect(sent.length).toBe(5)
    }).pipe(Effect.provide(storage)))

  it.scoped("does not store what sets cookies, nor answer with what a private one has stored", () =>
    Effect.gen(function*() {
      for (const line of ["s=1", "=1"]) {
        const setting = yield* caching(() => fresh("one", { "cache-control": "max-age=60", "set-cookie": line }), {
          shared: true
        })
        yield* ask(setting.client)
        expect((yield* setting.client.get(url("/a"))).headers).toMatchObject({
          "cache-status": "HttpClientCache; fwd=uri-miss",
          "set-cookie": line
        })
      }
      const { client: beneath, sent } = scripted(() => fresh("one", { "cache-control": "private, max-age=60" }))
      const own = yield* HttpClientCache.transform(beneath)
      const shared = yield* HttpClientCache.transform(beneath, { shared: true })
      yield* ask(own, {}, "/b")
      yield* ask(shared, {}, "/b")
      expect((yield* ask(own, {}, "/b"))[0]).toBe("hit; ttl=60")
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))
})

describe("what the response says", () => {
  it.scoped("stays as it is: nobody is told private, and no tag is made", () =>
    Effect.gen(function*() {
      const { client } = yield* caching(() => fresh("one"))
      for (const _ of ["a miss", "a hit"]) {
        const request = HttpClientRequest.get(url("/a")).pipe(HttpClientRequest.bearerToken("a"))
        const response = yield* client.execute(request)
        yield* response.text
        expect(response.headers).toMatchObject({ "cache-control": "max-age=60" })
        expect(Object.keys(response.headers).filter((name) => name === "etag" || name === "vary")).toEqual([])
      }
    }).pipe(Effect.provide(storage)))

  it.scoped("without freshness is not stored", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(() => fresh("one", {}))
      yield* ask(client)
      expect(yield* ask(client)).toEqual(["fwd=uri-miss", "one"])
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))
})

describe("beside a cache of a server", () => {
  it.scoped("in one storage, neither answers for the other, and what is fetched for a user makes no page private", () =>
    Effect.gen(function*() {
      const { client, sent } = yield* caching(() => fresh("upstream", { "cache-control": "private, max-age=60" }))
      const page = Effect.map(
        ask(client, { authorization: "Bearer service" }),
        ([, text]) => HttpServerResponse.text(`page of ${text}`)
      )
      const app = Effect.scoped(withCache(Effect.orDie(page), { expiry: 30 })).pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(new Request(url("/a"))))
      )
      yield* app
      const { headers } = yield* app
      expect(headers).toMatchObject({ "cache-status": "effect-http-cache; hit; ttl=30", "cache-control": "max-age=30" })
      expect(sent.length).toBe(1)
      yield* HttpCache.collect(url("/a"))
      yield* app
      expect(sent.length).toBe(2)
    }).pipe(Effect.provide(storage)))
})
