/** A thousand clients at once, over a real port; the numbers are those of the project's list of failures. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, TestClock } from "effect"
import { CacheStorage, type HttpCache, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { countedFibers } from "./steps.js"
import { type App, type Client, client, eventually, QuietServer, routes, serve } from "./harness.js"

/** A resource that outer middleware holds for each request, and whether a handler ever ran without it. */
const resource = () => {
  const open = { now: 0, wasMissed: false }
  class Connection extends Context.Tag("Connection")<Connection, { readonly isOpen: () => boolean }>() {}
  const around = <E, R>(app: App<E, R | Connection>): App<E, Exclude<R, Connection>> =>
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => {
          open.now++
          let isOpen = true
          return { isOpen: () => isOpen, close: () => isOpen = false }
        }),
        (connection) =>
          Effect.sync(() => {
            open.now--
            connection.close()
          })
      ),
      (connection) => Effect.provideService(app, Connection, connection)
    ) as App<E, Exclude<R, Connection>>
  const check = Effect.flatMap(Connection, (connection) =>
    Effect.sync(() => {
      if (!connection.isOpen()) open.wasMissed = true
    }))
  return { open, around, check }
}

const shapes = {
  "in a route": <E, R>(handler: App<E, R>, options: HttpCache.Options) =>
    routes({ "GET /": handler.pipe(withCache(options)) }),
  "around a router": <E, R>(handler: App<E, R>, options: HttpCache.Options) =>
    routes({ "GET /": handler }).pipe(withCache(options))
}

const crowd = 1000

describe.each(Object.keys(shapes) as ReadonlyArray<keyof typeof shapes>)("a thousand clients, %s", (shape) => {
  /** What each handler does once it is let go, and what the clients that stayed get. */
  const world = (
    answer: Effect.Effect<HttpServerResponse.HttpServerResponse, Error>,
    options: HttpCache.Options = {}
  ) =>
    Effect.gen(function*() {
      const fibers = yield* countedFibers
      const storage = yield* CacheStorage.CacheStorage
      const gate = yield* Deferred.make<void>()
      const { around, check, open } = resource()
      const ran = { times: 0, interrupted: 0 }
      const handler = Effect.gen(function*() {
        ran.times++
        yield* check
        yield* Deferred.await(gate)
        yield* check
        return yield* answer
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => ran.interrupted++)))
      const app = around(shapes[shape](handler, { expiry: 10, ...options }))
      const { port } = yield* fibers.of(serve(app))
      const fibersBefore = fibers.running()
      const clients: Array<Client> = []
      while (clients.length < crowd) {
        // As many as the system lets wait to be accepted.
        for (let times = 0; times < 250; times++) clients.push(client(port))
        yield* eventually(() => activity(storage).waiters === clients.length)
      }
      expect([activity(storage).flights, ran.times]).toEqual([1, 1])
      const nothingIsLeft = Effect.gen(function*() {
        yield* eventually(() => open.now === 0 && activity(storage).flights === 0)
        yield* eventually(() => fibers.running() === fibersBefore)
        expect(open.wasMissed).toBe(false)
      })
      return { clients, gate, ran, storage, nothingIsLeft }
    })

  it.scoped("35: half of them leave, the first too: the handler runs once, and all who stay have the whole", () =>
    Effect.gen(function*() {
      const body = "whole ".repeat(10_000)
      const { clients, gate, nothingIsLeft, ran, storage } = yield* world(Effect.succeed(HttpServerResponse.text(body)))
      const stay = clients.filter((client, index) => index % 2 === 1 || void client.request.destroy())
      yield* eventually(() => activity(storage).waiters === stay.length)
      yield* Deferred.succeed(gate, undefined)
      const replies = yield* Effect.promise(() => Promise.all(stay.map(({ reply }) => reply)))
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
      expect(replies.every(({ text }) => text === body)).toBe(true)
      expect(new Set(replies.map(({ cacheStatus }) => cacheStatus))).toEqual(new Set(["fwd=uri-miss; collapsed"]))
      expect(ran).toEqual({ times: 1, interrupted: 0 })
      yield* nothingIsLeft
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("35: all leave: the handler is interrupted, and the slot is free", () =>
    Effect.gen(function*() {
      const { clients, nothingIsLeft, ran } = yield* world(Effect.never)
      for (const { request } of clients) request.destroy()
      yield* nothingIsLeft
      expect(ran).toEqual({ times: 1, interrupted: 1 })
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each<[string, Effect.Effect<HttpServerResponse.HttpServerResponse, Error>]>([
    ["fails", Effect.fail(new Error("no database"))],
    ["dies", Effect.die("a defect")],
    ["interrupts itself", Effect.interrupt],
    ["answers 500", Effect.succeed(HttpServerResponse.text("own", { status: 500 }))]
  ])(
    "36: the handler %s: a run and two retries, and no client has an empty success",
    ([what, answer]) =>
      Effect.gen(function*() {
        const { clients, gate, nothingIsLeft, ran } = yield* world(answer)
        yield* Deferred.succeed(gate, undefined)
        const replies = yield* Effect.promise(() => Promise.all(clients.map(({ reply }) => reply)))
        const expected = what === "interrupts itself" ? 503 : 500
        expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([expected]))
        // Three led; to the others nothing is told of what another request failed with.
        expect(ran.times).toBe(3)
        expect(replies.filter(({ text }) => text === "The request failed.\n")).toHaveLength(crowd - 3)
        yield* nothingIsLeft
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("36: the handler hangs: it is interrupted at the deadline, and every client gets a 504", () =>
    Effect.gen(function*() {
      const { clients, nothingIsLeft, ran } = yield* world(Effect.void as never, { deadline: 5 })
      yield* TestClock.adjust("4999 millis")
      expect(ran.interrupted).toBe(0)
      yield* TestClock.adjust("1 millis")
      const replies = yield* Effect.promise(() => Promise.all(clients.map(({ reply }) => reply)))
      expect(new Set(replies.map(({ status, text }) => `${status} ${text}`))).toEqual(
        new Set(["504 The request took too long.\n"])
      )
      expect(ran).toEqual({ times: 1, interrupted: 1 })
      yield* nothingIsLeft
    }).pipe(Effect.provide(QuietServer)))
})
