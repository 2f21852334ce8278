/** The test kit: every fault does what it says, bodies are read-only, and `Cache-Status` is read. */
import { Headers, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import type { CacheStorage } from "effect-http-cache"
import { CollectableCacheStorage, withCache, withCollect } from "effect-http-cache"
import * as Kit from "effect-http-cache/testing"
import { AssertionError } from "node:assert"
import { type App, counted, isInterrupted, isRunning, logged } from "./harness.js"

/** The answers to a `GET` and to a `PATCH` of one cached handler. */
const door = () => {
  const app = counted().pipe(withCache({ expiry: 10, cacheStatus: { detail: true } }), withCollect())
  const ask = (method: string) =>
    Effect.scoped(app).pipe(
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request("http://localhost/", { method }))
      )
    )
  return { get: ask("GET"), patch: ask("PATCH") }
}

const quiet = logged([])

describe("a storage whose bodies are read-only", () => {
  const bodyOf = (
    app: App<never, CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage>,
    url: string
  ) =>
    Effect.map(
      Effect.scoped(app).pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(new Request(url)))
      ),
      ({ body }) => body._tag === "Uint8Array" ? body.body : new Uint8Array()
    )

  it.effect("22: finds which body was written into, after the request that did it", () =>
    Effect.gen(function*() {
      const { written } = yield* Kit.ReadOnly
      const app = counted().pipe(withCache({ expiry: 10 }))
      for (const path of ["a", "b"]) yield* bodyOf(app, `http://localhost/${path}`)
      expect(yield* written).toEqual([])
      const served = yield* bodyOf(app, "http://localhost/b")
      expect([new TextDecoder().decode(served), yield* written]).toEqual(["run 2", []])
      served[0] = 0
      expect(yield* written).toEqual(["http://localhost/b"])
      // What it has told it does not tell again.
      expect(yield* written).toEqual([])
      expect(new TextDecoder().decode(yield* bodyOf(app, "http://localhost/a"))).toBe("run 1")
    }).pipe(Effect.provide(Kit.layerReadOnly)))

  it.effect("22: the cache itself writes into none, whatever it answers", () =>
    Effect.gen(function*() {
      const { written } = yield* Kit.ReadOnly
      const { get, patch } = door()
      const conditional = (headers: Record<string, string>) =>
        Effect.scoped(counted().pipe(withCache({ expiry: 10 }))).pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
          )
        )
      yield* get
      for (const range of ["bytes=0-1", "bytes=0-0,2-3", "bytes=9-"]) yield* conditional({ range })
      yield* conditional({ "if-none-match": "*" })
      yield* TestClock.adjust("10 seconds")
      yield* get
      yield* patch
      expect(yield* written).toEqual([])
    }).pipe(Effect.provide(Kit.layerReadOnly)))
})
const faulty = Layer.merge(Kit.layerFaulty, quiet)

describe("faults through the door", () => {
  it.effect("a storage that works stores, hits and collects, and its calls are counted", () =>
    Effect.gen(function*() {
      const faults = yield* Kit.Faults
      const { get, patch } = door()
      Kit.expectCacheStatus(yield* get, { fwd: "uri-miss", stored: true })
      Kit.expectCacheStatus(yield* get, { hit: true, ttl: 10 })
      yield* patch
      Kit.expectCacheStatus(yield* get, { fwd: "uri-miss", stored: true })
      expect(yield* faults.calls).toEqual({ get: 5, set: 2, collect: 1 })
    }).pipe(Effect.provide(faulty)))

  it.effect.each(["fail", "die"] as const)("all methods %s, until they work again", (fault) =>
    Effect.gen(function*() {
      const faults = yield* Kit.Faults
      const { get, patch } = door()
      yield* faults.switchAll(fault)
      Kit.expectCacheStatus(yield* get, { fwd: "miss", stored: false, detail: "storage" })
      expect((yield* patch).status).toBe(200)
      expect(yield* faults.calls).toEqual({ get: 1, set: 0, collect: 1 })
      yield* faults.switchAll("work")
      Kit.expectCacheStatus(yield* get, { fwd: "uri-miss", stored: true })
      Kit.expectCacheStatus(yield* get, { hit: true })
    }).pipe(Effect.provide(faulty)))

  it.effect("a lost write is told as stored, and is not there; a lost collect forgets nothing", () =>
    Effect.gen(function*() {
      const faults = yield* Kit.Faults
      const { get, patch } = door()
      yield* faults.switch({ set: "lose", collect: "lose" })
      Kit.expectCacheStatus(yield* get, { fwd: "uri-miss", stored: true })
      Kit.expectCacheStatus(yield* get, { fwd: "uri-miss", stored: true })
      yield* faults.switch({ set: "work" })
      yield* get
      yield* patch
      Kit.expectCacheStatus(yield* get, { hit: true })
    }).pipe(Effect.provide(faulty)))

  it.effect.each(Object.entries(Kit.corruptions))(
    "%s is never served, stored or not",
    ([, corrupt]) =>
      Effect.gen(function*() {
        const faults = yield* Kit.Faults
        const { get } = door()
        yield* faults.switch({ get: { corrupt } })
        Kit.expectCacheStatus(yield* get, { hit: false, fwd: "miss" })
        yield* faults.switch({ get: "work" })
        yield* get
        Kit.expectCacheStatus(yield* get, { hit: true })
        yield* faults.switch({ get: { corrupt } })
        Kit.expectCacheStatus(yield* get, { hit: false, fwd: "miss" })
      }).pipe(Effect.provide(faulty))
  )

  it.effect("what was never stored is fresh, so that only the corruption is why it isn't served", () =>
    Effect.gen(function*() {
      const faults = yield* Kit.Faults
      yield* TestClock.adjust("1 day")
      yield* faults.switch({ get: { corrupt: (item) => item } })
      Kit.expectCacheStatus(yield* door().get, { hit: true, ttl: 60 })
    }).pipe(Effect.provide(faulty)))

  it.effect("a delay is the request's", () =>
    Effect.gen(function*() {
      const faults = yield* Kit.Faults
      yield* faults.switch({ get: { delay: "100 millis" }, set: { delay: 40 } })
      const request = yield* Effect.fork(door().get)
      yield* TestClock.adjust("239 millis")
      expect(isRunning(request)).toBe(true)
      yield* TestClock.adjust("1 millis")
      Kit.expectCacheStatus(yield* Fiber.join(request), { fwd: "uri-miss", stored: true })
    }).pipe(Effect.provide(faulty)))

  it.effect.each(["hang", "hang uninterruptibly"] as const)(
    "a request to storages that %s waits for the time-out",
    (fault) =>
      Effect.gen(function*() {
        const faults = yield* Kit.Faults
        yield* faults.switchAll(fault)
        const request = yield* Effect.fork(door().get)
        yield* TestClock.adjust("249 millis")
        expect([isRunning(request), yield* faults.calls]).toEqual([
          true,
          { get: 1, set: 0, collect: 0 }
        ])
        yield* TestClock.adjust("1 millis")
        Kit.expectCacheStatus(yield* Fiber.join(request), { fwd: "miss", stored: false, detail: "storage" })
        yield* faults.switchAll("work")
      }).pipe(Effect.provide(faulty))
  )
})

describe("faults of the service", () => {
  const lookup = Kit.lookupOf()
  const names = { keys: [lookup.key], groups: [] }
  const all = Effect.map(CollectableCacheStorage.CollectableCacheStorage, (storage) => ({
    get: Effect.asVoid(storage.get(lookup)),
    begin: Effect.asVoid(storage.begin(lookup)),
    set: Effect.asVoid(storage.set(Kit.itemOf("x"), { lookup, item: undefined, since: 0 })),
    collect: storage.collect(names)
  }))

  it.effect.each(["get", "set", "collect"] as const)(
    "%s fails, dies and hangs by its own switch",
    (method) =>
      Effect.gen(function*() {
        const faults = yield* Kit.Faults
        const calls = yield* all
        const call = calls[method]
        yield* faults.switch({ [method]: "fail" })
        expect(yield* Effect.flip(call)).toMatchObject({ _tag: "CacheStorageError", storage: "faulty", method })
        yield* faults.switch({ [method]: "die" })
        expect(Cause.isDie(yield* Effect.flip(Effect.sandbox(call)))).toBe(true)
        const others = Object.entries(calls).flatMap(([name, other]) =>
          name === method || (method === "get" && name === "begin") ? [] : [other]
        )
        for (const other of others) expect(["Success", "CacheMiss"]).toContain(yield* outcome(other))
        yield* faults.switch({ [method]: "hang" })
        const hanging = yield* Effect.fork(call)
        yield* TestClock.adjust("1 day")
        yield* Fiber.interrupt(hanging)
        expect(isInterrupted(yield* Fiber.await(hanging))).toBe(true)
        yield* faults.switch({ [method]: "hang uninterruptibly" })
        const stuck = yield* Effect.fork(call)
        yield* Effect.yieldNow()
        yield* Effect.fork(Fiber.interrupt(stuck))
        yield* TestClock.adjust("1 day")
        expect(isRunning(stuck)).toBe(true)
        yield* faults.switch({ [method]: "fail" })
        expect(isInterrupted(yield* Fiber.await(stuck))).toBe(true)
        expect((yield* faults.calls)[method]).toBe(4)
      }).pipe(Effect.provide(Kit.layerFaulty))
  )

  const outcome = <E extends { readonly _tag: string }>(call: Effect.Effect<void, E>) =>
    Effect.match(call, { onSuccess: () => "Success", onFailure: ({ _tag }) => _tag })

  it.effect("what hangs becomes what it is switched to", () =>
    Effect.gen(function*() {
      const faults = yield* Kit.Faults
      const { get } = yield* all
      yield* faults.switch({ get: "hang" })
      const hanging = yield* Effect.fork(outcome(get))
      yield* Effect.yieldNow()
      yield* faults.switch({ get: "fail" })
      expect(yield* Fiber.join(hanging)).toBe("CacheStorageError")
    }).pipe(Effect.provide(Kit.layerFaulty)))

  it.effect("the end of the layer is the end of what hangs", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(Kit.layerFaulty, scope)
      yield* Context.get(services, Kit.Faults).switchAll("hang uninterruptibly")
      const hanging = yield* Effect.fork(Effect.provide(Effect.flatMap(all, ({ get }) => outcome(get)), services))
      yield* Effect.yieldNow()
      expect(isRunning(hanging)).toBe(true)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(hanging)).toBe("CacheMiss")
    }))

  it.effect("a lost collect answers as if it had worked, and forgets nothing", () =>
    Effect.gen(function*() {
      const faults = yield* Kit.Faults
      const storage = yield* CollectableCacheStorage.CollectableCacheStorage
      yield* storage.set(Kit.itemOf("x"), yield* Kit.fillOf(lookup))
      yield* faults.switch({ collect: "lose" })
      yield* storage.collect(names)
      expect((yield* storage.get(lookup)).status).toBe(200)
    }).pipe(Effect.provide(Kit.layerFaulty)))
})

describe("Cache-Status", () => {
  const field = "Origin; hit, effect-http-cache; fwd=stale, "
    + "effect-http-cache; fwd=uri-miss; fwd-status=304; stored; key=\"http://a/\"; detail=no-store; constructor=1"
  const said = {
    hit: false,
    fwd: "uri-miss",
    fwdStatus: 304,
    stored: true,
    collapsed: false,
    key: "http://a/",
    detail: "no-store"
  }

  it.each<[string, Kit.Answered]>([
    ["an HttpServerResponse", HttpServerResponse.empty({ headers: { "cache-status": field } })],
    ["a Response", new Response(null, { headers: { "Cache-Status": field } })],
    ["the fields of one", { "Cache-Status": field, "content-type": "text/plain" }],
    ["platform's fields", Headers.fromInput({ "cache-status": field })],
    ["the lines of a field", { headers: "1", get: "2", "cache-status": field.split(", "), "set-cookie": undefined }]
  ])("is read from %s: the last of the name counts", (_, response) => {
    expect(Kit.cacheStatus(response)).toEqual(said)
    expect(Kit.cacheStatus(response, "Origin")).toEqual({ hit: true, stored: false, collapsed: false })
    expect(Kit.cacheStatus(response, "Other")).toBeUndefined()
  })

  it("is nothing where the field isn't there or can't be read, and a name may be a string", () => {
    expect(Kit.cacheStatus({})).toBeUndefined()
    expect(Kit.cacheStatus({ "cache-status": "effect-http-cache; hit;;" })).toBeUndefined()
    expect(Kit.cacheStatus({ "cache-status": "\"My Cache\"; hit; ttl=-3" }, "My Cache")).toMatchObject({ ttl: -3 })
  })

  it("that is as expected passes, of what is named only", () => {
    const response = { "cache-status": field }
    Kit.expectCacheStatus(response, {})
    Kit.expectCacheStatus(response, { hit: false, stored: true, ttl: undefined })
    Kit.expectCacheStatus(response, { hit: true }, "Origin")
  })

  it.each<[string, Partial<Kit.CacheStatus>, string]>([
    ["effect-http-cache; hit; ttl=3", { hit: false }, "it is: effect-http-cache; hit; ttl=3"],
    ["effect-http-cache; hit; ttl=3", { hit: true, ttl: undefined }, "it is: effect-http-cache; hit; ttl=3"],
    ["Origin; hit", {}, "it is: Origin; hit"],
    ["", { hit: false }, "there is none"]
  ])("%s with %o is an AssertionError that says both", (field, expected, but) => {
    const assert = () => Kit.expectCacheStatus({ "cache-status": field }, expected)
    expect(assert).toThrow(AssertionError)
    expect(assert).toThrow(/^expected Cache-Status to have effect-http-cache with \{.*\}, but /)
    expect(assert).toThrow(but)
  })
})
