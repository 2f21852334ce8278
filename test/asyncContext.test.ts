/** What `AsyncLocalStorage` holds for a request, such as its id for a log: each request finds its own, whatever it waits for. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Stream, TestClock } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"
import { Faults, layerFaulty } from "effect-http-cache/testing"
import { AsyncLocalStorage } from "node:async_hooks"
import { createServer } from "node:http"
import { type App, bytes, client, eventually, logged, routes, serve } from "./harness.js"

const expiry = 10
const ids = new AsyncLocalStorage<string>()

/** As an agent that traces requests does: what a request and all that it begins finds is the `id` that its client has sent. */
const tracing = () => {
  const server = createServer()
  const emit = server.emit.bind(server) as (event: string, ...values: Array<unknown>) => boolean
  server.emit = (event: string, ...values: Array<unknown>) => {
    const { headers } = Object(values[0]) as { readonly headers?: { readonly id?: string } }
    return event === "request" ? ids.run(headers?.id ?? "", () => emit(event, ...values)) : emit(event, ...values)
  }
  return server
}

/** Asks by the id of a client, and tells what that client's request has found once its route was done. */
const asking = <E, R>(app: App<E, R>) =>
  Effect.gen(function*() {
    const found: Array<string> = []
    let begun = 0
    const told = Effect.gen(function*() {
      begun++
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const response = yield* app
      found.push(`${headers["id"]} ${ids.getStore()}`)
      return response
    })
    const server = yield* Layer.build(NodeHttpServer.layer(tracing, { host: "127.0.0.1", port: 0 }))
    const { port } = yield* Effect.provide(serve(told), server)
    /** Goes on once the request has come to its route. */
    const ask = (path: string, id: string) =>
      Effect.suspend(() => {
        const before = begun
        const { reply } = client(port, path, { id })
        return Effect.as(eventually(() => begun > before), Effect.promise(() => reply))
      })
    return { ask, found }
  })

const Memory = Layer.merge(Layer.fresh(InMemoryCacheStorage.layerCollectable), logged([]))

describe("232: a request finds what AsyncLocalStorage holds for itself", () => {
  it.scoped("when it has waited for another's run", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const page = Effect.as(Deferred.await(gate), HttpServerResponse.text("page")).pipe(withCache({ expiry }))
      const { ask, found } = yield* asking(routes({ "GET /": page }))
      const replies = [yield* ask("/", "a"), yield* ask("/", "b"), yield* ask("/", "c")]
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Effect.all(replies)).map(({ cacheStatus }) => cacheStatus)).toEqual([
        "fwd=uri-miss; stored",
        "fwd=uri-miss; collapsed",
        "fwd=uri-miss; collapsed"
      ])
      expect(found).toEqual(["a a", "b b", "c c"])
    }).pipe(Effect.provide(Memory)))

  it.scoped("when a run has taken too long", () =>
    Effect.gen(function*() {
      const { ask, found } = yield* asking(Effect.never.pipe(withCache({ expiry, deadline: "5 seconds" })))
      const replies = [yield* ask("/a", "a"), yield* ask("/b", "b")]
      yield* TestClock.adjust("6 seconds")
      for (const { status } of yield* Effect.all(replies)) expect(status).toBe(504)
      expect(found).toEqual(["a a", "b b"])
    }).pipe(Effect.provide(Memory)))

  it.scoped("when the storage has not answered in time", () =>
    Effect.gen(function*() {
      yield* (yield* Faults).switch({ get: "hang" })
      const { ask, found } = yield* asking(Effect.succeed(HttpServerResponse.text("page")).pipe(withCache({ expiry })))
      const replies = [yield* ask("/a", "a"), yield* ask("/b", "b")]
      yield* TestClock.adjust("10 seconds")
      for (const { text } of yield* Effect.all(replies)) expect(text).toBe("page")
      expect(found).toEqual(["a a", "b b"])
    }).pipe(Effect.provide(Layer.merge(layerFaulty, logged([])))))

  it.scoped("233: when it has waited for a refresh, and no longer than that, also where no router is around the cache", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const page = Effect.suspend(() => ++runs === 1 ? Effect.void : Deferred.await(gate)).pipe(
        Effect.as(HttpServerResponse.text("page")),
        withCache({ expiry, staleWhileRevalidate: 100, refreshWait: 5 })
      )
      const { ask, found } = yield* asking(page)
      yield* yield* ask("/", "a")
      yield* TestClock.adjust("11 seconds")
      const replies = [yield* ask("/", "b"), yield* ask("/", "c")]
      yield* eventually(() => runs === 2)
      yield* Deferred.succeed(gate, undefined)
      for (const { cacheStatus } of yield* Effect.all(replies)) expect(cacheStatus).toBe("fwd=stale; collapsed")
      expect(found).toEqual(["a a", "b b", "c c"])
    }).pipe(Effect.provide(Memory)))

  it.scoped("where many read one body", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const sent: Array<string | undefined> = []
      const body = Stream.concat(
        Stream.make(bytes("a")),
        Stream.fromEffect(Effect.as(Deferred.await(gate), bytes("b")))
      )
      const page = Effect.succeed(HttpServerResponse.stream(body)).pipe(withCache({ expiry }))
      /** Of each reader, when the last chunk has come to it. */
      const watched = Effect.map(page, (response) =>
        response.body._tag !== "Stream"
          ? response
          : HttpServerResponse.stream(
            Stream.tap(response.body.stream, (chunk) => Effect.sync(() => chunk[0] === 98 && sent.push(ids.getStore())))
          ))
      const { ask } = yield* asking(watched)
      const replies = [yield* ask("/", "a"), yield* ask("/", "b")]
      yield* Deferred.succeed(gate, undefined)
      for (const { text } of yield* Effect.all(replies)) expect(text).toBe("ab")
      expect(sent.sort()).toEqual(["a", "b"])
    }).pipe(Effect.provide(Memory)))
})
