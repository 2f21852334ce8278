/** What the inspector counts: it says no more, and no less, than what was. */
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { HttpCache, HttpCacheInspector, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { Faults, itemOf, layerFaulty } from "effect-http-cache/testing"
import { Observation } from "../src/inspector/observation.js"
import { nameOfGroup } from "../src/runtime/names.js"
import { counted, routes } from "./harness.js"
import { asking, words } from "./inspectorApp.js"

const inspected = HttpCacheInspector.middleware({ path: "/inspector", unguarded: true })

const memory = Effect.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable))

it.effect("197: a client that wants only what is stored, and gets nothing, is not counted as a run of the handler", () =>
  Effect.gen(function*() {
    const { get, text } = yield* asking(
      inspected(counted().pipe(withCache({ expiry: 60, requestDirectives: "honor" })))
    )
    expect((yield* get("/a", { "cache-control": "only-if-cached" })).status).toBe(504)
    expect(words(yield* text("/inspector"))).toContain("Handler ran 0 ")
    yield* get("/a", { "cache-control": "no-cache" })
    expect(words(yield* text("/inspector"))).toContain("Handler ran 1 ")
  }).pipe(memory))

it.effect("198: what is stored again under the same fields is no other variant, however often it expires or is collected", () =>
  Effect.gen(function*() {
    const { collect, get, text } = yield* asking(inspected(
      Effect.andThen(HttpCache.group("news"), counted()).pipe(withCache({ expiry: 5, vary: ["accept-language"] }))
    ))
    const turn = Effect.andThen(get("/a", { "accept-language": "fr" }), text("/inspector"))
    for (let time = 0; time < 10; time++) {
      yield* turn
      yield* TestClock.adjust("10 seconds")
    }
    for (const form of [{ uri: "/a" }, { group: "news" }] as const) {
      for (let time = 0; time < 10; time++) {
        yield* turn
        yield* collect(form)
      }
    }
    yield* turn
    const page = words(yield* text("/inspector"))
    expect(page).not.toContain("many variants")
    expect(page).toContain(" /a 1 6 B ")
    expect(words(yield* text("/inspector/item?uri=/a"))).toContain("accept-language , 1 values")
  }).pipe(memory))

it.effect("199: what was kept for one user and has expired is not said to be kept", () =>
  Effect.gen(function*() {
    const { get, text } = yield* asking(
      inspected(counted().pipe(withCache({ expiry: 5, partition: Effect.succeed("ada") })))
    )
    yield* get("/a")
    expect(yield* text("/inspector/item?uri=/a")).toContain("1 response is kept for one user")
    yield* TestClock.adjust("1 hour")
    expect(yield* text("/inspector/item?uri=/a")).not.toContain("kept for one user each")
  }).pipe(memory))

it("200: a collect of a group goes through no item that was seen", () => {
  const observation = new Observation(0)
  let looked = 0
  const groups = new Proxy(["news"], {
    get: (target, name) => {
      looked++
      return Reflect.get(target, name) as unknown
    }
  })
  const item = itemOf("hello", undefined, { retainUntil: Infinity })
  for (let at = 0; at < 100; at++) observation.saw({ ...item, key: `http://localhost/${at}`, groups })
  const bytes = () => observation.uris(0).reduce((sum, row) => sum + row.bytes, 0)
  expect(bytes()).toBe(100 * item.body.byteLength)
  looked = 0
  for (const group of ["news", "others"]) observation.collected(nameOfGroup(group), false)
  expect(looked).toBe(0)
  observation.saw({ ...item, key: "http://localhost/1", groups })
  expect(bytes()).toBe(item.body.byteLength)
  for (let at = 0; at < 3000; at++) observation.collected(nameOfGroup(`${at}`), false)
  observation.saw({ ...item, key: "http://localhost/1", groups })
  expect(bytes()).toBe(item.body.byteLength)
})

it.effect("200: what is of a group that was collected, and was stored again at once, is in the tables", () =>
  Effect.gen(function*() {
    const { collect, get, text } = yield* asking(inspected(routes({
      "GET /a": Effect.andThen(HttpCache.group("news"), counted()).pipe(withCache({ expiry: 60 }))
    })))
    for (let time = 0; time < 2; time++) {
      yield* get("/a")
      yield* collect({ group: "news" })
    }
    expect(words(yield* text("/inspector"))).not.toContain(" /a 1 5 B ")
    yield* get("/a")
    expect(words(yield* text("/inspector"))).toContain(" /a 1 5 B ")
  }).pipe(memory))

it.effect("202: a form that names nothing is not said to have collected something", () =>
  Effect.gen(function*() {
    const { collect, get, status } = yield* asking(inspected(counted().pipe(withCache({ expiry: 60 }))))
    yield* get("/a")
    for (const form of [{}, { uri: "" }, { group: "" }, { soft: "yes" }] as const) {
      expect((yield* collect(form)).status).toBe(400)
    }
    expect(yield* status("/a")).toMatch(/^hit/)
  }).pipe(memory))

it.effect("203: what requests have shared, and no storage has kept, is not said to be stored", () =>
  Effect.gen(function*() {
    const faults = yield* Faults
    const gate = yield* Deferred.make<void>()
    const page = Effect.andThen(Deferred.await(gate), counted()).pipe(withCache({ expiry: 60 }))
    const { get, text } = yield* asking(inspected(page))
    const sharing = yield* Effect.forEach(["/a", "/b", "/a", "/b"], (path) => Effect.fork(get(path)))
    yield* TestClock.adjust(0)
    yield* HttpCache.collect("http://localhost/a")
    yield* faults.switch({ set: "fail" })
    yield* Deferred.succeed(gate, undefined)
    for (const { headers } of yield* Fiber.joinAll(sharing)) expect(headers.get("cache-status")).not.toContain("stored")
    const overview = words(yield* text("/inspector"))
    expect(overview).toContain("2 shared a run")
    expect(overview).toContain("Nothing was stored yet.")
  }).pipe(Effect.provide(layerFaulty)))
