/** What goes from the tables: what is over, forgotten or beyond the bounds, and collects that nobody can have missed. */
import { HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { type CacheStorage, withCache } from "effect-http-cache"
import type { SqlCacheStorage } from "effect-http-cache/sql"
import type { SqlStorage } from "effect-http-cache/sql/storage"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { routes, serve } from "./harness.js"
import { keep, read } from "./keeping.js"
import {
  describePostgres,
  describeSql,
  layerSql,
  openSql,
  pgClient,
  sharedPostgres,
  type SqlDatabase
} from "./sqlLayer.js"

const at = (id: number) => lookupOf({}, { key: `http://localhost/${id}` })

/** A storage whose sweeps are begun by hand, each of them a turn. */
const swept = (database: SqlDatabase, options: SqlCacheStorage.Options = {}) =>
  Effect.map(openSql(database, options), ({ sql, storage }) => {
    const rows = (table: string) =>
      Effect.map(
        sql<{ readonly rows: number }>`SELECT COUNT(*) AS rows FROM ${sql(`${database.prefix}${table}`)}`,
        ([row]) => Number(row!.rows)
      )
    const isDue = sql`UPDATE ${sql(`${database.prefix}state`)} SET swept_at = 0`
    const sweep = Effect.zipRight(
      isDue,
      Effect.suspend(() => (storage as SqlStorage).sweeper.sweep)
    )
    return {
      storage,
      sweep,
      isDue,
      left: Effect.all({ items: rows("items"), groups: rows("groups"), collects: rows("collects") })
    }
  })

describeSql("a sweep", (database) => {
  it.scoped("leaves what is alive by retainUntil, and no more", () =>
    Effect.gen(function*() {
      const { left, storage, sweep } = yield* swept(yield* database)
      for (let id = 0; id < 650; id++) {
        const retainUntil = id % 13 === 0 ? 60_000 : 10_000
        yield* keep(
          storage,
          itemOf(`${id}`, at(id), { retainUntil, groups: id % 2 === 0 ? ["even", "all"] : [] }),
          at(id)
        )
      }
      yield* TestClock.adjust("10 seconds")
      yield* sweep
      expect(yield* left).toEqual({ items: 50, groups: 50, collects: 0 })
      expect([yield* read(storage, at(12)), yield* read(storage, at(13))]).toEqual(["uri-miss", "13"])
      yield* storage.collect({ keys: [at(13).key], groups: ["even"] })
      yield* sweep
      expect(yield* left).toEqual({ items: 24, groups: 0, collects: 2 })
      yield* TestClock.adjust("50 seconds")
      yield* sweep
      expect(yield* left).toEqual({ items: 0, groups: 0, collects: 0 })
    }))

  it.scoped("forgets a collect when every fill that it overtakes is known no more", () =>
    Effect.gen(function*() {
      const { left, storage, sweep } = yield* swept(yield* database)
      const fills = yield* Effect.all([1, 2, 3].map((id) => storage.begin(at(id))))
      yield* storage.collect({ keys: [at(1).key], groups: [] })
      yield* sweep
      expect(yield* left).toEqual({ items: 0, groups: 0, collects: 1 })
      expect(yield* storage.set(itemOf("late", at(1)), fills[0]!)).toBe("overtaken")
      expect(yield* storage.set(itemOf("2", at(2)), fills[1]!)).toBe("kept")
      yield* sweep
      expect(yield* left).toEqual({ items: 1, groups: 0, collects: 0 })
      expect(yield* storage.set(itemOf("late", at(1)), fills[0]!)).toBe("overtaken")
      expect(yield* storage.set(itemOf("3", at(3)), fills[2]!)).toBe("overtaken")
      expect(yield* storage.holds({ keys: [], groups: [] }, fills[2]!)).toBe(false)
      expect(yield* keep(storage, itemOf("3", at(3)), at(3))).toBe("kept")
    }))

  it.scoped("32: leaves what replaced an item when the old one would have gone", () =>
    Effect.gen(function*() {
      const { left, storage, sweep } = yield* swept(yield* database)
      yield* keep(storage, itemOf("old", lookupOf(), { retainUntil: 10_000 }))
      yield* keep(storage, itemOf("new", lookupOf(), { retainUntil: 60_000 }))
      yield* TestClock.adjust("10 seconds")
      yield* sweep
      expect([yield* read(storage), yield* left]).toEqual(["new", { items: 1, groups: 0, collects: 0 }])
    }))

  it.scoped("keeps in mind what soft collects have done", () =>
    Effect.gen(function*() {
      const { left, storage, sweep } = yield* swept(yield* database)
      for (const id of [1, 2, 3, 4]) yield* keep(storage, itemOf("1", at(id), { groups: [`${id}`] }), at(id))
      yield* storage.collect({ keys: [at(1).key], groups: ["2"] }, { soft: true })
      yield* storage.collect({ keys: [], groups: ["2", "3"] }, { soft: "unless-error" })
      yield* Effect.repeat(sweep, { times: 2 })
      expect(yield* left).toEqual({ items: 4, groups: 4, collects: 0 })
      const found = yield* Effect.forEach([1, 2, 3, 4], (id) => storage.get(at(id)))
      expect(found.map(({ alwaysValidate }) => alwaysValidate)).toEqual([true, true, true, false])
      yield* storage.collect({ keys: [], groups: [], everything: true }, { soft: true })
      yield* Effect.repeat(sweep, { times: 2 })
      expect((yield* storage.get(at(4))).alwaysValidate).toBe(true)
      yield* storage.collect({ keys: [], groups: [], everything: true })
      yield* sweep
      expect(yield* left).toEqual({ items: 0, groups: 0, collects: 1 })
    }))

  it.scopedLive("is begun by the layer, again and again", () =>
    Effect.gen(function*() {
      const { left, storage } = yield* swept(yield* database, { maxFill: 1 })
      for (const id of [1, 2]) {
        yield* keep(storage, itemOf("over", at(id), { retainUntil: Date.now() - 1 }), at(id))
        yield* Effect.repeat(Effect.delay(left, "10 millis"), { until: ({ items }) => items === 0 })
      }
      expect(yield* keep(storage, itemOf("1"))).toBe("kept")
    }))

  it.scopedLive("is a turn for all processes once in maxFill, by the clock of the database", () =>
    Effect.gen(function*() {
      const where = yield* database
      const [first, second] = [yield* openSql(where), yield* openSql(where)]
      const fill = yield* second.storage.begin(at(1))
      for (const { storage } of [first, second, first, second]) yield* (storage as SqlStorage).sweeper.sweep
      expect(yield* second.storage.set(itemOf("kept", at(1)), fill)).toBe("kept")
    }))
})

describePostgres("sweeps of PostgreSQL", () => {
  const server = sharedPostgres()

  it.scopedLive("138: go on where something is stored at each moment, and wait for a fill of the turn before", () =>
    Effect.gen(function*() {
      const database = { client: pgClient(server.port), prefix: "busy_" }
      const { left, storage, sweep } = yield* swept(database)
      const { sql, storage: other } = yield* openSql(database)
      /** Stores it in a transaction, which is open until the deferred is done. */
      const storing = (id: number, fill: CacheStorage.Fill) =>
        Effect.gen(function*() {
          const [isStored, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const stored = Effect.zipLeft(other.set(itemOf(`${id}`, at(id)), fill), Deferred.succeed(isStored, undefined))
          const fiber = yield* Effect.fork(sql.withTransaction(Effect.zipLeft(stored, Deferred.await(commit))))
          yield* Deferred.await(isStored)
          return Effect.zipRight(Deferred.succeed(commit, undefined), Fiber.join(fiber))
        })
      let end: Effect.Effect<unknown> = Effect.void
      for (let id = 0; id < 5; id++) {
        const open = yield* storing(id, yield* other.begin(at(id)))
        yield* end
        end = Effect.orDie(open)
        yield* storage.collect({ keys: [], groups: [`${id}`] })
        yield* sweep
      }
      expect((yield* left).collects).toBe(1)
      yield* storage.collect({ keys: [at(4).key], groups: [] })
      yield* Effect.repeat(sweep, { times: 3 })
      yield* end
      expect(yield* read(storage, at(4))).toBe("uri-miss")
      yield* Effect.repeat(sweep, { times: 3 })
      expect([yield* read(storage, at(4)), yield* left]).toEqual(["uri-miss", { items: 4, groups: 0, collects: 0 }])
    }))

  it.scopedLive.each(["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])(
    "158: are known to a transaction that is open meanwhile, which stores nothing of before: %s",
    (isolation) =>
      Effect.gen(function*() {
        const database = { client: pgClient(server.port), prefix: `open_${isolation.length}_` }
        const { isDue, storage, sweep } = yield* swept(database)
        const { sql, storage: other } = yield* openSql(database)
        yield* isDue
        const [hasBegun, isSwept] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const fill = yield* other.begin(at(1))
        const transaction = sql.withTransaction(Effect.gen(function*() {
          yield* sql.unsafe(`SET TRANSACTION ISOLATION LEVEL ${isolation}`)
          yield* sql.unsafe(`SELECT 1 FROM ${database.prefix}items`)
          yield* Deferred.succeed(hasBegun, undefined)
          yield* Deferred.await(isSwept)
          return yield* other.set(itemOf("old", at(1)), fill)
        }))
        const fiber = yield* Effect.fork(transaction)
        yield* Deferred.await(hasBegun)
        yield* storage.collect({ keys: [at(1).key], groups: [] })
        yield* Effect.repeat(sweep, { times: 2 })
        yield* Deferred.succeed(isSwept, undefined)
        expect([yield* Fiber.join(fiber), yield* read(storage, at(1))]).toEqual(["overtaken", "uri-miss"])
      })
  )
})

describeSql("the bounds", (database) => {
  it.scopedLive("hold after every set, and what was stored longest ago goes first", () =>
    Effect.gen(function*() {
      const { left, storage } = yield* swept(yield* database, { maxItems: 20 })
      for (let id = 0; id < 60; id++) {
        yield* keep(storage, itemOf(`${id}`, at(id), { groups: ["all"] }), at(id))
        const { groups, items } = yield* left
        expect(items).toBeLessThanOrEqual(20)
        expect(groups).toBe(items)
      }
      expect((yield* left).items).toBeGreaterThanOrEqual(19)
      expect([yield* read(storage, at(39)), yield* read(storage, at(59))]).toEqual(["uri-miss", "59"])
    }))

  it.scopedLive("hold in bytes, also for what is too large for all of it", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { left, storage } = yield* swept(where, { maxBytes: 200_000, maxItemBytes: 1_000_000 })
      const { sql } = yield* openSql(where)
      const items = sql(`${where.prefix}items`)
      const bytes = Effect.map(
        sql<{ readonly bytes: string }>`SELECT SUM(OCTET_LENGTH(record)) AS bytes FROM ${items}`,
        ([row]) => Number(row!.bytes)
      )
      for (let id = 0; id < 60; id++) {
        const body = new Uint8Array(1000 + id * 300)
        expect(yield* keep(storage, itemOf("", at(id), { body }), at(id))).toBe("kept")
        expect(yield* bytes).toBeLessThanOrEqual(200_000)
      }
      expect((yield* left).items).toBeGreaterThan(8)
      expect(yield* keep(storage, itemOf("", at(59), { body: new Uint8Array(200_001) }), at(59))).toBe("refused")
      expect(yield* read(storage, at(59))).toBe("uri-miss")
    }))

  it.scoped("168: take nothing for stored that can't stay, and nothing else out for it", () =>
    Effect.gen(function*() {
      const where = yield* database
      const test = Effect.gen(function*() {
        const ask = yield* serve(routes({
          "GET /small": Effect.sync(() => HttpServerResponse.text("small")).pipe(withCache({ expiry: 60 })),
          "GET /large": Effect.sync(() => HttpServerResponse.text("x".repeat(19_000))).pipe(withCache({ expiry: 60 }))
        }))
        const said = (path: string) => Effect.map(ask(path), ({ cacheStatus }) => cacheStatus)
        yield* said("/small")
        expect([yield* said("/large"), yield* said("/large"), yield* said("/small")]).toEqual([
          "fwd=uri-miss",
          "fwd=uri-miss",
          "hit; ttl=60"
        ])
      })
      yield* Effect.provide(test, Layer.mergeAll(NodeHttpServer.layerTest, layerSql(where, { maxBytes: 20_000 })))
    }))

  it.scopedLive.each([1, 16])(
    "168: hold for items of any size, where there are at most %s",
    (maxItems) =>
      Effect.gen(function*() {
        const { storage } = yield* openSql(yield* database, { maxBytes: 4000, maxItems })
        for (let size = 100; size <= 4000; size += 100) {
          const kept = yield* keep(storage, itemOf("x".repeat(size)))
          expect([size, kept === "kept"]).toEqual([size, (yield* read(storage)).length === size])
        }
      })
  )
})
