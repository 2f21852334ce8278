/** A collect within a transaction is a part of it. */
import { HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, TestClock } from "effect"
import { CacheError, CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import { IsDelivery } from "effect-http-cache/runtime/undeliveredCollects"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { eventually, logged, routes, serve } from "./harness.js"
import { keep, read } from "./keeping.js"
import { clientOf } from "./sqliteLayer.js"
import {
  describePostgres,
  describeSql,
  layerSql,
  openSql,
  pgClient,
  sharedPostgres,
  type SqlDatabase,
  sqliteFile
} from "./sqlLayer.js"

const item = itemOf("old", lookupOf(), { groups: ["users"] })
const ofKey = { keys: [lookupOf().key], groups: [] }
const each = [ofKey, { keys: [], groups: ["users"] }, { keys: [], groups: [], everything: true }]

const rollback = Effect.fail("rolled back" as const)

describeSql("a collect within a transaction", (database) => {
  it.scopedLive("takes effect when that commits, and not if it does not", () =>
    Effect.gen(function*() {
      const { sql, storage } = yield* openSql(yield* database)
      for (const names of each) {
        yield* keep(storage, item)
        const fill = yield* storage.begin(lookupOf())
        yield* Effect.ignore(sql.withTransaction(Effect.zipRight(storage.collect(names), rollback)))
        expect(yield* read(storage)).toBe("old")
        expect(yield* storage.holds({ keys: [lookupOf().key], groups: ["users"] }, fill)).toBe(true)
        yield* sql.withTransaction(storage.collect(names))
        expect(yield* read(storage)).toBe("uri-miss")
        expect(yield* storage.set(item, fill)).toBe("overtaken")
      }
    }))

  it.scopedLive("is seen within the transaction, and by no other process before the end", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { sql, storage } = yield* openSql(where)
      const other = yield* openSql(where)
      yield* keep(storage, item)
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* storage.collect(ofKey)
        expect([yield* read(storage), yield* read(other.storage)]).toEqual(["uri-miss", "old"])
      }))
      expect(yield* read(other.storage)).toBe("uri-miss")
    }))

  it.scopedLive("overtakes a fill that began before the commit, although it began after the collect", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { sql, storage } = yield* openSql(where)
      const other = yield* openSql(where)
      for (const names of each) {
        const fill = yield* sql.withTransaction(
          Effect.zipRight(storage.collect(names), other.storage.begin(lookupOf()))
        )
        expect(yield* other.storage.set(item, fill)).toBe("overtaken")
      }
      expect(yield* keep(other.storage, item)).toBe("kept")
    }))

  it.scopedLive("that fails leaves the transaction as it is", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { sql, storage } = yield* openSql(where)
      const mine = sql(`${where.prefix}mine`)
      yield* sql`CREATE TABLE ${mine} (id INTEGER)`
      yield* sql`DROP TABLE ${sql(`${where.prefix}collects`)}`
      const failed = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`INSERT INTO ${mine} (id) VALUES (1)`
        const fill = { lookup: lookupOf(), item: undefined, since: { turn: 1, moment: null } }
        const calls = [storage.collect(ofKey), Effect.asVoid(storage.set(item, fill))]
        const exits = yield* Effect.forEach(calls, (call) => Effect.exit(call))
        yield* sql`INSERT INTO ${mine} (id) VALUES (2)`
        return exits.map((exit) => Exit.isFailure(exit))
      }))
      expect(failed).toEqual([true, true])
      expect((yield* sql`SELECT id FROM ${mine}`).length).toBe(2)
    }))

  it.scoped("that could not be delivered is delivered outside of it later", () =>
    Effect.gen(function*() {
      const { sql, storage } = yield* openSql(yield* database)
      yield* keep(storage, item)
      let isAsked = false
      let isDelivered = false
      const failing = CollectableCacheStorage.layer(Effect.succeed({
        ...storage,
        collect: (names: CollectableCacheStorage.Names) => {
          if (isAsked) return Effect.tap(storage.collect(names), () => Effect.sync(() => isDelivered = true))
          isAsked = true
          return new CacheError.CacheStorageError({ storage: "failing", method: "collect", key: "", cause: "fails" })
        }
      }))
      const test = Effect.gen(function*() {
        yield* Effect.ignore(sql.withTransaction(HttpCache.collect(lookupOf().key)))
        expect([isAsked, isDelivered]).toEqual([true, false])
        // No longer, since PostgreSQL takes turns of the machine: by the clock of the test it would not answer in time.
        yield* TestClock.adjust("1 second")
        yield* eventually(() => isDelivered)
      })
      yield* Effect.provide(test, Layer.merge(failing, logged([])))
      expect(yield* read(storage)).toBe("uri-miss")
    }))

  it.scoped("through a route: what is written and what is forgotten are one", () =>
    Effect.gen(function*() {
      const where = yield* database
      const around = Layer.mergeAll(layerSql(where), NodeHttpServer.layerTest, logged([]))
      const test = Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const values = sql(`${where.prefix}values`)
        yield* sql`CREATE TABLE ${values} (value INTEGER NOT NULL)`
        yield* sql`INSERT INTO ${values} (value) VALUES (0)`
        const get = Effect.map(
          sql<{ readonly value: number }>`SELECT value FROM ${values}`,
          ([row]) => HttpServerResponse.text(`value ${row!.value}`)
        )
        const write = sql`UPDATE ${values} SET value = value + 1`
        const done = Effect.as(write, HttpServerResponse.empty())
        const app = routes({
          "GET /": get.pipe(withCache({ expiry: 60, groups: () => ["values"] })),
          "PATCH /": done.pipe(withCollect(), sql.withTransaction),
          "PUT /": Effect.zipRight(write, HttpCache.collect("/")).pipe(
            Effect.zipRight(rollback),
            sql.withTransaction,
            Effect.catchAll(() => Effect.succeed(HttpServerResponse.empty({ status: 409 })))
          ),
          "POST /": Effect.zipRight(write, HttpCache.collectGroup("values")).pipe(
            sql.withTransaction,
            Effect.as(HttpServerResponse.empty())
          )
        })
        const ask = yield* serve(app)
        const got = Effect.map(ask("/"), ({ cacheStatus, text }) => [text, cacheStatus])
        expect(yield* got).toEqual(["value 0", "fwd=uri-miss; stored"])
        yield* ask("/", { method: "PUT" })
        expect(yield* got).toEqual(["value 0", "hit; ttl=60"])
        yield* ask("/", { method: "PATCH" })
        expect(yield* got).toEqual(["value 1", "fwd=uri-miss; stored"])
        yield* ask("/", { method: "POST" })
        expect(yield* got).toEqual(["value 2", "fwd=uri-miss; stored"])
      })
      yield* Effect.provide(test, around)
    }))
})

describe("a transaction of another client", () => {
  it.scopedLive("is left alone", () =>
    Effect.gen(function*() {
      const [mine, others] = [yield* sqliteFile, yield* sqliteFile]
      const { storage } = yield* openSql({ client: clientOf(mine), prefix: "a_" })
      const other = yield* openSql({ client: clientOf(others), prefix: "b_" })
      yield* Effect.ignore(other.sql.withTransaction(Effect.gen(function*() {
        expect(yield* keep(storage, item)).toBe("kept")
        expect(yield* read(storage)).toBe("old")
        yield* storage.collect(ofKey)
        return yield* rollback
      })))
      expect(yield* read(storage)).toBe("uri-miss")
    }))
})

describePostgres("transactions in PostgreSQL at the same time", () => {
  const server = sharedPostgres()
  const database = (prefix: string): SqlDatabase => ({ client: pgClient(server.port), prefix })

  it.scopedLive("that collect the same names don't wait for each other, and count by when they commit", () =>
    Effect.gen(function*() {
      const { sql, storage } = yield* openSql(database("same_"))
      const isOpen = yield* Deferred.make<void>()
      const commit = yield* Deferred.make<void>()
      const slow = yield* Effect.fork(sql.withTransaction(
        storage.collect(each[1]!).pipe(
          Effect.zipRight(Deferred.succeed(isOpen, undefined)),
          Effect.zipRight(Deferred.await(commit))
        )
      ))
      yield* Deferred.await(isOpen)
      yield* sql.withTransaction(storage.collect(each[1]!))
      const before = yield* storage.begin(lookupOf())
      const alsoBefore = yield* storage.begin(lookupOf({}, { key: "http://localhost/users/2" }))
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(slow)
      expect(yield* storage.set(item, before)).toBe("overtaken")
      expect(yield* storage.set(itemOf("of none", alsoBefore.lookup), alsoBefore)).toBe("kept")
      expect(yield* keep(storage, item)).toBe("kept")
    }))

  it.scopedLive("that see an older state store nothing of it", () =>
    Effect.gen(function*() {
      const { sql, storage } = yield* openSql(database("older_"))
      const other = yield* openSql(database("older_"))
      const kept = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`
        yield* sql`SELECT 1 FROM older_items`
        yield* other.storage.collect(ofKey)
        return yield* keep(storage, item)
      }))
      expect([kept, yield* read(storage)]).toEqual(["overtaken", "uri-miss"])
    }))

  it.scopedLive("137: that store and then collect the same forget it, whatever others commit meanwhile", () =>
    Effect.gen(function*() {
      const { sql, storage } = yield* openSql(database("own_"))
      const other = yield* openSql(database("own_"))
      const another = lookupOf({}, { key: "http://localhost/users/2" })
      const commit = yield* Deferred.make<void>()
      for (const names of each) {
        const [first, second] = [yield* storage.begin(lookupOf()), yield* storage.begin(lookupOf())]
        const found = yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`SELECT CAST(pg_current_xact_id() AS TEXT)`
          // One that goes on, and one that is over.
          const open = Effect.zipRight(keep(other.storage, itemOf("open", another), another), Deferred.await(commit))
          yield* Effect.fork(other.sql.withTransaction(open))
          yield* other.storage.collect({ keys: ["http://localhost/users/3"], groups: [] })
          expect(yield* storage.set(item, first)).toBe("kept")
          yield* storage.collect(names)
          return [yield* read(storage), yield* storage.set(item, second)]
        }))
        expect(found).toEqual(["uri-miss", "overtaken"])
        expect([yield* read(storage), yield* read(other.storage)]).toEqual(["uri-miss", "uri-miss"])
        expect(yield* keep(storage, item)).toBe("kept")
      }
      yield* Deferred.succeed(commit, undefined)
    }))

  it.scopedLive("are not what a collect of an earlier request is delivered in", () =>
    Effect.gen(function*() {
      const { sql, storage } = yield* openSql(database("late_"))
      yield* keep(storage, item)
      const late = Effect.provideService(storage.collect(ofKey), IsDelivery, true)
      yield* Effect.ignore(sql.withTransaction(Effect.zipRight(late, rollback)))
      expect(yield* read(storage)).toBe("uri-miss")
    }))

  it.scopedLive("of another client are left alone", () =>
    Effect.gen(function*() {
      const { storage } = yield* openSql(database("alone_"))
      const other = yield* openSql(database("others_"))
      yield* keep(storage, item)
      yield* Effect.ignore(other.sql.withTransaction(Effect.zipRight(storage.collect(ofKey), rollback)))
      expect(yield* read(storage)).toBe("uri-miss")
    }))
})
