/** What is asked for within a transaction of the application, which may be rolled back, and may end before what it has begun. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, type Scope, Stream } from "effect"
import {
  type CacheError,
  type CacheStorage,
  CollectableCacheStorage,
  InMemoryCacheStorage,
  TieredCacheStorage,
  withCache
} from "effect-http-cache"
import type { SqlStorage } from "effect-http-cache/sql/storage"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { bytes, client, eventually, type Logged, logged, routes, serve, still } from "./harness.js"
import { keep, read } from "./keeping.js"
import { describeSql, layerSql, openSql, type SqlDatabase } from "./sqlLayer.js"

const item = itemOf("never", lookupOf())
const ofKey = { keys: [lookupOf().key], groups: [] }

const rollback = Effect.fail("rolled back" as const)

const Request = HttpServerRequest.HttpServerRequest

/** Asks it for the page at the root, as the handler of another page does. */
const ask = <A, E, R>(part: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Request, ({ headers }) => {
    const request = new globalThis.Request(`http://${headers["host"]}/`)
    return Effect.provideService(part, Request, HttpServerRequest.fromWeb(request))
  })

const empty = HttpServerResponse.empty()

/** A value in a table, as a page shows it, and as another process sees it. */
const shop = ({ prefix }: SqlDatabase, other: SqlClient.SqlClient) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const values = sql(`${prefix}values`)
    yield* sql`CREATE TABLE ${values} (value INTEGER NOT NULL)`
    yield* sql`INSERT INTO ${values} (value) VALUES (0)`
    const value = (sql: SqlClient.SqlClient) =>
      Effect.map(
        sql<{ readonly value: number }>`SELECT value FROM ${values}`,
        ([row]) => `value ${row!.value}`
      )
    const storage = yield* CollectableCacheStorage.CollectableCacheStorage
    return {
      storage,
      sql,
      write: sql`UPDATE ${values} SET value = value + 1`,
      value: value(sql),
      committed: value(other)
    }
  })

describeSql("what is asked for within a transaction", (database, name) => {
  /** The test is given where the application and another process are. */
  const within = <A, E>(
    test: (
      where: SqlDatabase,
      other: SqlClient.SqlClient,
      logs: Array<Logged>
    ) => Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof around>> | Scope.Scope>
  ) =>
    Effect.gen(function*() {
      const where = yield* database
      const logs: Array<Logged> = []
      const { sql } = yield* openSql(where)
      yield* Effect.provide(test(where, sql, logs), around(where, logs))
    })

  it.scopedLive("183: is not stored where that was rolled back, nor read by others meanwhile", () =>
    Effect.gen(function*() {
      const { sql, storage: far } = yield* openSql(yield* database)
      const storage = yield* TieredCacheStorage.make(InMemoryCacheStorage.make(), far as SqlStorage, { farTimeout: 5 })
      const [isStored, isRead] = [
        yield* Deferred.make<void>(),
        yield* Deferred.make<string, CacheError.CacheStorageError>()
      ]
      yield* Effect.fork(Effect.zipRight(Deferred.await(isStored), Deferred.complete(isRead, read(storage))))
      const fills: Array<CacheStorage.Fill> = []
      const transaction = Effect.gen(function*() {
        yield* storage.collect(ofKey)
        fills.push(yield* far.begin(lookupOf()))
        yield* keep(storage, item)
        yield* Deferred.succeed(isStored, undefined)
        expect(yield* Deferred.await(isRead)).toBe("uri-miss")
        return yield* rollback
      })
      yield* Effect.ignore(sql.withTransaction(transaction))
      expect(yield* read(storage)).toBe("uri-miss")
      // By the number that the one which was rolled back had.
      yield* storage.collect(ofKey)
      expect(yield* far.set(item, fills[0]!)).toBe("overtaken")
    }))

  it.scopedLive("183: does not let a fill go on over a collect that was rolled back", () =>
    Effect.gen(function*() {
      const { sql, storage } = yield* openSql(yield* database)
      const fill = yield* storage.begin(lookupOf())
      const own: Array<CacheStorage.Fill | void> = []
      const transaction = Effect.map(storage.collect(ofKey, {}, fill), (fill) => own.push(fill))
      yield* Effect.ignore(sql.withTransaction(Effect.zipRight(transaction, rollback)))
      yield* storage.collect(ofKey)
      expect(yield* storage.set(item, own[0] ?? fill)).toBe("overtaken")
    }))

  it.scoped("183: is answered to nobody else by a run that the transaction leaves behind", () =>
    within((where, other) =>
      Effect.gen(function*() {
        const { sql, value, write } = yield* shop(where, other)
        const [gate, left] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let reads = 0
        let asked = 0
        const page = Effect.tap(Effect.map(value, HttpServerResponse.text), () => {
          reads++
          return Deferred.await(gate)
        }).pipe(withCache({ expiry: 60, name: "value" }))
        const answer = yield* serve(routes({
          "GET /": Effect.suspend(() => {
            asked++
            return page
          }),
          "PUT /": Effect.zipRight(write, Effect.raceFirst(ask(page), Deferred.await(left))).pipe(
            Effect.zipRight(rollback),
            sql.withTransaction,
            Effect.catchAll(() => Effect.succeed(empty))
          )
        }))
        const put = yield* Effect.fork(answer("/", { method: "PUT" }))
        yield* eventually(() => reads === 1)
        const beside = client(answer.port)
        yield* eventually(() => asked === 1)
        yield* still(() => reads)
        yield* Deferred.succeed(left, undefined)
        yield* Fiber.join(put)
        yield* Deferred.succeed(gate, undefined)
        expect([(yield* Effect.promise(() => beside.reply)).text, (yield* answer("/")).text]).toEqual([
          "value 0",
          "value 0"
        ])
      })
    ))

  it.scoped("184: leaves the connection alone where its body is sent after that", () =>
    within((where, other, logs) =>
      Effect.gen(function*() {
        const { committed, sql, value, write } = yield* shop(where, other)
        const headers = { "cache-control": "max-age=60" }
        const page = Effect.map(value, (text) => HttpServerResponse.stream(Stream.make(bytes(text)), { headers }))
        const answer = yield* serve(routes({
          "GET /": page.pipe(withCache(), sql.withTransaction),
          "POST /": Effect.as(write, empty)
        }))
        for (let times = 1; times < 4; times++) {
          expect((yield* answer("/")).cacheStatus).toBe("fwd=uri-miss")
          yield* answer("/", { method: "POST" })
          expect(yield* committed).toBe(`value ${times}`)
        }
        expect(logs.map(({ message }) => message)).toEqual([
          "effect-http-cache: SqlCacheStorage stores nothing that is asked for within a transaction of its client, " +
          "since that may be rolled back: put the transaction within withCache; this is logged once"
        ])
      })
    ))

  it.scoped("184: is collected after that by a fiber which the transaction leaves behind, and which leaves the connection alone", () =>
    within((where, other) =>
      Effect.gen(function*() {
        const { committed, sql, storage, value, write } = yield* shop(where, other)
        const gate = yield* Deferred.make<void>()
        const collect = Effect.zipRight(Deferred.await(gate), storage.collect(ofKey))
        yield* keep(storage, item)
        const fiber = yield* sql.withTransaction(Effect.fork(Effect.exit(collect)))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(fiber)
        yield* write
        expect(yield* committed).toBe("value 1")
        expect(yield* sql.withTransaction(Effect.zipRight(write, value))).toBe("value 2")
      })
    ))

  it.scopedLive("185: is not read, nor kept near, as it was before others collected it", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { sql, storage: far } = yield* openSql(where)
      const other = yield* openSql(where)
      const storage = yield* TieredCacheStorage.make(InMemoryCacheStorage.make(), far as SqlStorage, { farTimeout: 5 })
      const fresh = itemOf("old", lookupOf(), { lifetime: 1e13 })
      yield* keep(other.storage, fresh)
      const transaction = Effect.gen(function*() {
        if (name === "pg") yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`
        yield* sql`SELECT 1 FROM ${sql(`${where.prefix}items`)}`
        yield* other.storage.collect(ofKey)
        return yield* read(storage)
      })
      expect([yield* sql.withTransaction(transaction), yield* read(storage)]).toEqual(["uri-miss", "uri-miss"])
    }))
})

const around = (where: SqlDatabase, logs: Array<Logged>) =>
  Layer.mergeAll(layerSql(where), NodeHttpServer.layerTest, logged(logs))
