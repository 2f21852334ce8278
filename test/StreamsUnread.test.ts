/** Streamed bodies that their clients do not read, over a real port; the numbers are those of the project's list of failures. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { CacheStorage, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { Readable } from "node:stream"
import { eventually, QuietServer, routes, serve } from "./harness.js"
import { app, produced } from "./streamed.js"

describe("streams", () => {
  it.scoped("25, 41: a client that has the content already leaves it to be stored", () =>
    Effect.gen(function*() {
      const { handler, ran, write } = yield* produced({ headers: { etag: "\"1\"" } })
      const ask = yield* serve(app(handler))
      const headers = { "if-none-match": "\"1\"" }
      const reply = yield* ask("/", { headers })
      expect([reply.status, reply.text]).toEqual([304, ""])
      yield* write("a", "b", undefined)
      yield* eventually(() => ran.ended === 1)
      const hit = yield* ask("/")
      expect([hit.text, hit.cacheStatus]).toEqual(["ab", "hit; ttl=10"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("25, 41: so does it with a stream of Node's, which is not closed", () =>
    Effect.gen(function*() {
      const raw = Effect.sync(() =>
        HttpServerResponse.raw(
          Readable.from((async function*() {
            for (const part of ["a", "b"]) yield await new Promise((resolve) => setImmediate(() => resolve(part)))
          })()),
          { headers: { etag: "\"1\"" } }
        )
      )
      const ask = yield* serve(app(raw))
      const storage = yield* CacheStorage.CacheStorage
      expect((yield* ask("/", { headers: { "if-none-match": "\"1\"" } })).status).toBe(304)
      yield* eventually(() => activity(storage).flights === 0)
      const hit = yield* ask("/")
      expect([hit.text, hit.cacheStatus]).toEqual(["ab", "hit; ttl=10"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("41: a stream that nobody reads ends at the deadline", () =>
    Effect.gen(function*() {
      const { handler, ran, write } = yield* produced({ headers: { etag: "\"1\"" } })
      const ask = yield* serve(app(handler, { deadline: 5 }))
      expect((yield* ask("/", { headers: { "if-none-match": "\"1\"" } })).status).toBe(304)
      yield* write("a")
      yield* TestClock.adjust("4999 millis")
      expect(ran.ended).toBe(0)
      yield* TestClock.adjust("1 millis")
      yield* eventually(() => ran.ended === 1)
      const storage = yield* CacheStorage.CacheStorage
      yield* eventually(() => activity(storage).flights === 0)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("41: a body that is not sent is closed", () =>
    Effect.gen(function*() {
      const closed: Array<string> = []
      let isDown = false
      const opened = (name: string) =>
        name === "web"
          ? new ReadableStream({ cancel: () => void closed.push(name) })
          : new Readable({ read() {}, destroy: (_, done) => (closed.push(name), done(null)) })
      const route = (name: string) =>
        Effect.suspend(() =>
          Effect.succeed(HttpServerResponse.raw(isDown ? opened(name) : "whole", {
            status: isDown ? 503 : 200,
            headers: { etag: "\"1\"" }
          }))
        )
      const options = { expiry: 10, staleIfError: 60 }
      const ask = yield* serve(routes({
        "GET /web": route("web").pipe(withCache(options)),
        "GET /node": route("node").pipe(withCache(options)),
        "GET /refreshed": route("node").pipe(withCache({ ...options, staleWhileRevalidate: 60 }))
      }))
      const paths = ["/web", "/node", "/refreshed"]
      for (const path of paths) yield* ask(path)
      isDown = true
      yield* TestClock.adjust("10 seconds")
      for (const path of paths) expect((yield* ask(path)).text).toBe("whole")
      yield* eventually(() => closed.length === 3)
      expect(closed.sort()).toEqual(["node", "node", "web"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("41: where a scope ends between the request and the route, the body is sent all the same", () =>
    Effect.gen(function*() {
      const { handler, write } = yield* produced()
      const route = handler.pipe(withCache({ expiry: 10 }), Effect.scoped)
      const ask = yield* serve(routes({ "GET /": route }))
      yield* write("a", "b", undefined)
      expect([(yield* ask("/")).text, (yield* ask("/")).cacheStatus]).toEqual(["ab", "hit; ttl=10"])
    }).pipe(Effect.provide(QuietServer)))
})
