/** The inspector through its doors: what it shows of a cache, of a URI and of a request. */
import { HttpLayerRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { HttpCache, HttpCacheInspector, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { Observation } from "../src/inspector/observation.js"
import { Faults, itemOf, layerFaulty } from "effect-http-cache/testing"
import { counted, countsOf, routes, serve } from "./harness.js"
import { asking, words } from "./inspectorApp.js"
import { laneServer } from "./lane.js"
import { hows, layerWaiting } from "./waiting.js"

const inspected = HttpCacheInspector.middleware({ path: "/inspector", unguarded: true })

const memory = Effect.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable))

const header = (name: string) =>
  Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers[name] ?? "none")

describe.each(hows)("over a storage that answers %s", (how) => {
  it.effect("the first page says what became of the requests, by route, by reason and by URI", () =>
    Effect.gen(function*() {
      const { get, text } = yield* asking(inspected(routes({
        "GET /users/:id": counted().pipe(withCache({ expiry: 60 })),
        "GET /search": Effect.andThen(header("x-request-id"), counted()).pipe(withCache({ expiry: 60 })),
        "GET /private": counted({ headers: { "cache-control": "private" } }).pipe(withCache({ expiry: 60 }))
      })))
      const before = words(yield* text("/inspector"))
      for (
        const empty of ["No request has come by", "Routes appear when", "has not run yet", "Nothing was stored yet"]
      ) {
        expect(before).toContain(empty)
      }
      for (const id of [1, 2, 1, 1]) yield* get(`/users/${id}`)
      for (let value = 0; value < 30; value++) yield* get("/search", { "x-request-id": `${value}` })
      yield* get("/private")
      const page = words(yield* text("/inspector"))
      expect(page).toContain("Hit ratio 5.7% 2 of 35 that may be answered")
      expect(page).toContain("Requests 35 since 00:00 UTC")
      expect(page).toContain("Handler ran 33")
      expect(page).toContain(" /users/:id 4 50.0% 2 0 0 2 0 ")
      expect(page).toContain(" /search 30 0% 0 0 0 30 0 ")
      expect(page).toContain("/search varies by x-request-id : 30 values, 0 hits. Read less of the request")
      expect(page).toContain(
        "uri-miss, private Not stored: the response is private, and the route has no partition; name the user"
      )
      expect(page).toContain(" /users/1 3 66.7% ")
      expect(page).toContain(" /users/1 1 5 B ")
    }).pipe(Effect.provide(layerWaiting(how))))

  it.effect("the page of a URI has its variants, fields and groups, and how long they may be used yet", () =>
    Effect.gen(function*() {
      const { get, text } = yield* asking(inspected(routes({
        "GET /news": Effect.andThen(HttpCache.group("news"), counted({ headers: { "x-edition": "morning" } })).pipe(
          withCache({ expiry: 60, vary: ["Accept-Language"], staleWhileRevalidate: 30, staleIfError: 100 })
        )
      })))
      yield* get("/news", { "accept-language": "fr" })
      yield* get("/news", { "accept-language": "de" })
      yield* TestClock.adjust("10 seconds")
      const page = words(yield* text("/inspector/item?uri=/news"))
      expect(page.match(/200 · 5 B · Fresh for 50 s more/g)).toHaveLength(2)
      expect(page).toContain("accept-language fr ")
      expect(page).toContain("accept-language de ")
      expect(page).toContain("x-edition morning ")
      expect(page).toContain("Groups Forget news ")
      expect(page).toContain("10 s old")
      expect(page).toContain("Dropped after 2 min 30 s more")
      expect(page).not.toContain("run 1")
      yield* TestClock.adjust("60 seconds")
      expect(words(yield* text("/inspector/item?uri=http://localhost/news"))).toContain(
        "Stale: is served while it is refreshed for 20 s more, stands in for an error for 1 min 30 s more"
      )
      expect(words(yield* text("/inspector/item?uri=/other"))).toContain("Nothing is stored for this URI")
      expect(words(yield* text("/inspector/item"))).toContain("A path of this server")
    }).pipe(Effect.provide(layerWaiting(how))))

  it.effect("a form collects a URI or a group, and what is collected is out of the tables", () =>
    Effect.gen(function*() {
      const { collect, status, text } = yield* asking(inspected(routes({
        "GET /a": Effect.andThen(HttpCache.group("it's \"A\""), counted()).pipe(withCache({ expiry: 60 })),
        "GET /b": counted().pipe(withCache({ expiry: 60 }))
      })))
      for (const path of ["/a", "/b", "/a", "/b"]) yield* status(path)
      const largest = Effect.map(
        text("/inspector"),
        (page) => words(page).match(/ \/[ab] 1 5 B/g)?.map((row) => row[2]).sort()
      )
      expect(yield* largest).toEqual(["a", "b"])
      const collected = yield* collect({ group: "it's \"A\"" })
      expect([collected.status, collected.headers.get("location")]).toEqual([303, "../inspector?done=group"])
      expect(yield* largest).toEqual(["b"])
      yield* collect({ uri: "/b" })
      expect(yield* status("/a")).toBe("fwd=uri-miss; stored")
      expect(yield* status("/b")).toBe("fwd=uri-miss; stored")
      yield* collect({ uri: "http://localhost/a", soft: "yes" })
      expect(yield* status("/a")).toBe("fwd=stale; stored")
      expect((yield* collect({ uri: "http://" })).status).toBe(400)
      expect((yield* collect({ group: "g".repeat(300) })).status).toBe(400)
      expect(words(yield* text("/inspector?done=uri"))).toContain("The URI was collected.")
      expect(yield* text("/inspector?done=constructor")).not.toContain("role=\"status\"")
    }).pipe(Effect.provide(layerWaiting(how))))
})

it.effect("131: where the storage fails, no form says that something was collected", () =>
  Effect.gen(function*() {
    const faults = yield* Faults
    const page = Effect.andThen(HttpCache.group("news"), counted()).pipe(withCache({ expiry: 60 }))
    const { collect, get } = yield* asking(inspected(page))
    yield* get("/a")
    yield* faults.switch({ collect: "fail" })
    for (const form of [{ uri: "http://localhost/a" }, { uri: "/a" }, { group: "news" }] as const) {
      expect((yield* collect(form)).status).toBe(400)
    }
  }).pipe(Effect.provide(layerFaulty)))

it.effect("132: a form collects the spellings of a URI, also of one that was seen", () =>
  Effect.gen(function*() {
    const { collect, get, status } = yield* asking(inspected(counted().pipe(withCache({ expiry: 60 }))))
    for (const uri of ["/a", "http://localhost/a"]) {
      yield* get("/a")
      yield* get("/A/")
      yield* collect({ uri })
      expect([yield* status("/a"), yield* status("/A/")]).toEqual(["fwd=uri-miss; stored", "fwd=uri-miss; stored"])
      yield* collect({ uri: "/a" })
    }
  }).pipe(memory))

it.effect("a stored item whose URI is no URL is found by its link", () =>
  Effect.gen(function*() {
    const { text } = yield* asking(inspected(counted().pipe(withCache({ expiry: 60, name: "<b>all</b>" }))))
    yield* text("/a%20b?x=\"y\"")
    const page = yield* text("/inspector")
    const [, link] = /href="(inspector\/item\?uri=[^"]*)"/.exec(page)!
    expect(words(yield* text(`/${link}`))).toContain("200 · 5 B · Fresh")
    expect(page).toContain("&lt;b&gt;all&lt;/b&gt;")
  }).pipe(memory))

describe("the inspector's own requests", () => {
  it.effect("are not cached, nor counted, by a cache around the app", () =>
    Effect.gen(function*() {
      const app = inspected(counted().pipe(withCache({ expiry: 60 }))).pipe(HttpCache.middleware({ expiry: 60 }))
      const { get, text } = yield* asking(app)
      const before = yield* countsOf("effect_http_cache_requests")
      for (const sub of ["", "", "/item?uri=/", "/explain?url=/", "/no-such-page", "/events"]) {
        const response = yield* get(`/inspector${sub}`)
        expect(response.headers.get("cache-control")).toBe("no-store")
        expect(response.headers.get("cache-status")).toBeNull()
        void response.body?.cancel()
      }
      expect(yield* countsOf("effect_http_cache_requests")).toEqual(before)
      expect(words(yield* text("/inspector"))).toContain("Requests 0 since")
      yield* get("/")
      expect(words(yield* text("/inspector"))).toContain("Requests 1 since")
    }).pipe(memory))
})

it.effect("is a layer of HttpLayerRouter, which looks on from the start", () =>
  Effect.gen(function*() {
    const router = Layer.mergeAll(
      HttpLayerRouter.add("GET", "/users/:id", counted().pipe(withCache({ expiry: 60 }))),
      HttpLayerRouter.add("PATCH", "/users/:id", HttpServerResponse.empty().pipe(withCollect())),
      HttpCacheInspector.layer({ path: "/ops/cache", unguarded: true })
    )
    const { collect, get, status, text } = yield* asking(yield* HttpLayerRouter.toHttpEffect(router), "/ops/cache")
    yield* get("/users/1")
    yield* get("/users/1")
    const page = yield* text("/ops/cache")
    expect(words(page)).toContain(" /users/:id 2 50.0% ")
    expect(page).toContain("href=\"cache/item?uri=")
    expect(yield* text("/ops/cache/")).toContain("href=\"item?uri=")
    expect(words(yield* text("/ops/cache/explain?url=/users/1"))).toContain(
      "It is answered with what is stored, which is 0 seconds old"
    )
    expect((yield* get("/ops/cache/none")).status).toBe(404)
    expect((yield* collect({ uri: "/users/1" })).headers.get("location")).toBe("../cache?done=uri")
    expect(yield* status("/users/1")).toBe("fwd=uri-miss; stored")
  }).pipe(Effect.scoped, memory))

it.scoped("sees what the lane answers", () =>
  Effect.gen(function*() {
    const ask = yield* serve(inspected(routes({ "GET /a": counted().pipe(withCache({ expiry: 60, lane: true })) })))
    for (let turn = 0; turn < 4; turn++) yield* ask("/a")
    expect(words((yield* ask("/inspector")).text)).toContain(" /a 4 75.0% 3 0 0 1 0 ")
  }).pipe(Effect.provide(Layer.fresh(laneServer(() => {})))))

it.effect("what changes is sent as an event of one line, after which the browser asks again", () =>
  Effect.gen(function*() {
    const { get, text } = yield* asking(inspected(routes({
      "GET /:any": Effect.andThen(HttpCache.group("a\nb"), counted()).pipe(withCache({ expiry: 60 }))
    })))
    const [, address] = /data-events="inspector(.*?)"/.exec(yield* text("/inspector"))!
    const ask = (headers: { readonly [name: string]: string } = {}) =>
      Effect.flatMap(get(`/inspector${address}`, headers), (response) => {
        expect(response.headers.get("content-type")).toContain("text/event-stream")
        return Effect.map(Effect.promise(() => response.text()), (event) => {
          const [, id, data] = /^retry: 2000\nid: ([\d-]+)\n(?:data: ([^\n\r]*)\n)?\n$/.exec(event)!
          return {
            id: id!,
            parts: data === undefined ? undefined : JSON.parse(data) as { readonly [id: string]: string }
          }
        })
      })
    expect((yield* ask()).parts).toBeUndefined()
    yield* get("/a%0adata:%20x")
    const { id, parts } = yield* ask()
    expect(words(parts!["figures"]!)).toContain("Requests 1 since")
    expect(Object.keys(parts!)).toEqual(["figures", "requests", "routes", "misses", "hottest", "largest", "filling"])
    expect((yield* ask({ "last-event-id": id })).parts).toBeUndefined()
    yield* TestClock.adjust("1 minute")
    expect((yield* ask({ "last-event-id": id })).parts).not.toBeUndefined()
  }).pipe(memory))

describe("explain", () => {
  const app = inspected(routes({
    "GET /users/:id": counted().pipe(withCache({ expiry: 60, vary: ["accept-language"] }))
  }))

  it.effect("says on a page, and to a program, what would happen", () =>
    Effect.gen(function*() {
      const { get, text } = yield* asking(app)
      yield* get("/users/1", { "accept-language": "fr" })
      const page = words(
        yield* text("/inspector/explain?method=GET&url=/users/1&headers=Accept-Language:+fr%0d%0aX-A:+b")
      )
      expect(page).toContain(
        "It is answered with what is stored, which is 0 seconds old and fresh for 60 seconds more."
      )
      expect(page).toContain("Cache-Status effect-http-cache; hit; ttl=60")
      expect(page).toContain("200 · 5 B · Fresh for 1 min more")
      const other = yield* get("/inspector/explain?url=/users/1&header=Accept-Language:de", {
        accept: "application/json"
      })
      expect(yield* Effect.promise(() => other.json())).toMatchObject({
        uri: "http://localhost/users/1",
        cacheStatus: "effect-http-cache; fwd=vary-miss",
        outcome: { _tag: "Forwarded", reason: "vary-miss" }
      })
    }).pipe(memory))

  it.effect.each(
    [
      ["url=http://", "is no URL; give a path"],
      ["url=/a&method=PUT", "The method is PUT; it must be GET or HEAD."],
      ["url=/a&header=nothing", "is no field; write it as in Accept-Language: fr."],
      ["", "is no URL"]
    ] as const
  )("says what is wrong with %s", ([query, problem]) =>
    Effect.gen(function*() {
      const { get } = yield* asking(app)
      const response = yield* get(`/inspector/explain?${query}`, { accept: "application/json" })
      expect(response.status).toBe(400)
      expect(yield* Effect.promise(() => response.text())).toContain(problem)
    }).pipe(memory))
})

it("what is observed stays within bounds, whatever is asked for", () => {
  const observation = new Observation(0)
  const item = itemOf("hello", undefined, { retainUntil: Infinity })
  const miss = { _tag: "Forwarded", reason: "uri-miss", stored: false } as const
  const [most, ofEach] = [10_000, 3]
  for (let at = 0; at < most + 500; at++) {
    const key = `http://localhost/${at}`
    observation.answered(key, `/${at}`, miss, at * 60_000)
    for (let variant = 0; variant < ofEach; variant++) {
      observation.saw({ ...item, key, variant: `[["accept","${variant}"]]`, vary: ["accept"] })
    }
  }
  const rows = observation.uris(0)
  expect(rows).toHaveLength(most)
  expect(rows.flatMap((row) => observation.itemsOf(row))).toHaveLength(20_000)
  expect(rows.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(20_000 * item.body.byteLength)
  expect(observation.routes.size).toBe(201)
  expect(observation.minutes((most + 499) * 60_000).filter(({ counts }) => counts.miss > 0)).toHaveLength(60)
  expect(observation.all.miss).toBe(most + 500)
  for (let at = 0; at < 3000; at++) observation.answered(`http://localhost/${at}${"x".repeat(8000)}`, "/", miss, 0)
  expect(observation.uris(0).length).toBeLessThan(600)
  const before = observation.uris(0).length
  observation.answered("x".repeat(9 * 1024 * 1024), "/", miss, 0)
  expect(observation.uris(0)).toHaveLength(before)
})
