/** A file of SQLite that may not grow any more, as on a full disk: a quota of pages stands in for one. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { withCache, withCollect } from "effect-http-cache"
import { type Logged, logged, routes, serve } from "./harness.js"
import { layerSqlite } from "./sqliteLayer.js"

it.scoped(
  "a full disk fails no request and shows nothing old, and what could not be collected is collected when there is room",
  () => {
    const warnings: Array<Logged> = []
    return Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const values = new Map<string, number>()
      const pathOf = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => url)
      const read = Effect.map(
        pathOf,
        (path) => HttpServerResponse.text(`${values.get(path) ?? 0} ${"x".repeat(20_000)}`)
      )
      const write = Effect.map(pathOf, (path) => {
        values.set(path, (values.get(path) ?? 0) + 1)
        return HttpServerResponse.empty()
      })
      const ask = yield* serve(routes({
        "GET /:id": read.pipe(withCache({ expiry: 3600 })),
        "PATCH /:id": write.pipe(withCollect())
      }))
      const pages = Effect.map(
        sql.unsafe<{ readonly page_count: number }>("PRAGMA page_count"),
        ([row]) => row!.page_count
      )
      const paths = Array.from({ length: 20 }, (_, id) => `/${id}`)
      /** Whether each shows what was written last; how many hit. */
      const look = Effect.gen(function*() {
        let hits = 0
        for (const path of paths) {
          const { cacheStatus, status, text } = yield* ask(path)
          expect([status, path, Number.parseInt(text, 10)]).toEqual([200, path, values.get(path) ?? 0])
          if (cacheStatus.startsWith("hit")) hits++
        }
        return hits
      })

      yield* sql.unsafe(`PRAGMA max_page_count = ${(yield* pages) + 40}`)
      yield* look
      const hits = yield* look
      expect(hits).toBeGreaterThan(0)
      expect(hits).toBeLessThan(paths.length)
      const isRefused = () => warnings.some(({ message }) => message.includes("collect failed"))
      for (let round = 0; !isRefused() && round < 50; round++) {
        for (const path of paths) yield* ask(path, { method: "PATCH" })
        yield* look
        for (let other = 0; other < 20; other++) yield* ask(`/other-${round}-${other}`, { method: "PATCH" })
      }
      expect(isRefused()).toBe(true)
      yield* look

      yield* sql.unsafe("PRAGMA max_page_count = 1000000")
      yield* TestClock.adjust("11 seconds")
      yield* look
      expect(yield* look).toBe(paths.length)
    }).pipe(Effect.provide(Layer.mergeAll(NodeHttpServer.layerTest, layerSqlite(), logged(warnings))))
  },
  60_000
)
