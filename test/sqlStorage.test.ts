/** What only the storage over SQL promises: its rows, several processes, restarts. */
import { HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { withCache, withCollect } from "effect-http-cache"
import { SqlCacheStorage } from "effect-http-cache/sql"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { logged, routes, serve } from "./harness.js"
import { keep, read } from "./keeping.js"
import { sharedStorage } from "./sharedStorage.js"
import {
  describePostgres,
  describeSql,
  layerSql,
  openSql,
  pgClient,
  sharedPostgres,
  type SqlDatabase
} from "./sqlLayer.js"

/** Two processes that share what is stored, as far as the database can tell. */
const processes = (database: SqlDatabase, options: SqlCacheStorage.Options = {}) =>
  Effect.gen(function*() {
    const [first, second] = [yield* openSql(database, options), yield* openSql(database, options)]
    return { a: first.storage, b: second.storage, sql: first.sql, items: first.sql(`${database.prefix}items`) }
  })

describeSql("the storage", (database) => {
  sharedStorage((options) => Effect.flatMap(database, (database) => processes(database, options)))

  it.scopedLive("answers a miss for a row that is cut, foreign or of another version, and stores in its place", () =>
    Effect.gen(function*() {
      const { a, items, sql } = yield* processes(yield* database)
      const withHead = (from: string, to: string) => (record: Buffer) =>
        Buffer.from(record.toString("latin1").replace(from, to), "latin1")
      const withVersion = (version: string) => (record: Buffer) =>
        Buffer.concat([Buffer.from(version), record.subarray(version.length)])
      const records: ReadonlyArray<(record: Buffer) => Buffer> = [
        (record) => record.subarray(0, -1),
        (record) => record.subarray(0, 7),
        (record) => Buffer.concat([record, Buffer.from("more")]),
        () => Buffer.alloc(0),
        () => Buffer.from(JSON.stringify(itemOf("of somebody else"))),
        withVersion("ehc0"),
        withVersion("ehc2"),
        withHead("\"status\":200", "\"status\":999"),
        withHead("\"text/plain\"", "\"text\\nlain\""),
        withHead("users/1", "users/2"),
        withHead("{\"item", "{{item")
      ]
      const isReplaced = Effect.gen(function*() {
        expect(yield* read(a)).toBe("uri-miss")
        expect(yield* keep(a, itemOf("body"))).toBe("kept")
        expect(yield* read(a)).toBe("body")
        expect((yield* sql`SELECT id FROM ${items}`).length).toBe(1)
      })
      yield* keep(a, itemOf("body"))
      for (const change of records) {
        const [row] = yield* sql<{ readonly record: Buffer }>`SELECT record FROM ${items}`
        yield* sql`UPDATE ${items} SET record = ${change(row!.record)}`
        yield* isReplaced
      }
      for (const head of ["", "{}", "[]", "[1,2,3,4]", "not JSON", "[\"id\",1000,\"\",[1]]"]) {
        yield* sql`UPDATE ${items} SET head = ${head}`
        yield* isReplaced
      }
    }))

  it.scopedLive("is as it was after a restart: items, collects, and fills that were running", () =>
    Effect.gen(function*() {
      const where = yield* database
      const [other, third] = [2, 3].map((id) => lookupOf({}, { key: `http://localhost/${id}` }))
      const fills = yield* Effect.scoped(Effect.gen(function*() {
        const { storage } = yield* openSql(where)
        yield* keep(storage, itemOf("1"))
        yield* keep(storage, itemOf("2", other, { groups: ["users"] }), other)
        yield* keep(storage, itemOf("3", third, { groups: ["soft"] }), third)
        const fills = [yield* storage.begin(lookupOf()), yield* storage.begin(third!)]
        yield* storage.collect({ keys: [], groups: ["users"] })
        yield* storage.collect({ keys: [], groups: ["soft"] }, { soft: true })
        return fills
      }))
      const { storage } = yield* openSql(where)
      expect([yield* read(storage), yield* read(storage, other), yield* read(storage, third)]).toEqual([
        "1",
        "uri-miss",
        "3"
      ])
      expect((yield* storage.get(third!)).alwaysValidate).toBe(true)
      expect(yield* storage.set(itemOf("late", third, { groups: ["soft"] }), fills[1]!)).toBe("overtaken")
      expect(yield* storage.set(itemOf("new"), fills[0]!)).toBe("kept")
    }))

  it.scopedLive("tells texts apart that are one in UTF-8, and takes what a database does not", () =>
    Effect.gen(function*() {
      const { a } = yield* processes(yield* database)
      const partitions = ["\ud800", "\udfff", "a\0b", "a", "", "x".repeat(10_000)]
      const lookups = partitions.map((partition) => lookupOf({ accept: partition }, { partition }))
      for (const [at, lookup] of lookups.entries()) {
        const item = itemOf(`${at}`, lookup, { vary: ["accept"], groups: [`group ${partitions[at]}`] })
        expect(yield* keep(a, item, lookup)).toBe("kept")
      }
      expect(yield* Effect.forEach(lookups, (lookup) => read(a, lookup))).toEqual(lookups.map((_, at) => `${at}`))
      yield* a.collect({ keys: [], groups: ["group \ud800"] })
      expect(yield* Effect.forEach(lookups.slice(0, 3), (lookup) => read(a, lookup))).toEqual(["uri-miss", "1", "2"])
    }))

  it.scopedLive("collects a group by one row, however many items are of it", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { a, sql } = yield* processes(where)
      const lookups = Array.from({ length: 100 }, (_, at) => lookupOf({}, { key: `http://localhost/${at}` }))
      for (const lookup of lookups) yield* keep(a, itemOf("1", lookup, { groups: ["users"] }), lookup)
      yield* a.collect({ keys: [], groups: ["users", "users"] })
      expect((yield* sql`SELECT id FROM ${sql(`${where.prefix}collects`)}`).length).toBe(1)
      const found = yield* Effect.forEach(lookups, (lookup) => read(a, lookup))
      expect(new Set(found)).toEqual(new Set(["uri-miss"]))
    }))

  it.scopedLive("needs no right to create tables that there are, and says what there should be", () =>
    Effect.gen(function*() {
      const where = yield* database
      const missing = yield* Effect.exit(Effect.sandbox(openSql(where, { createTables: false })))
      expect(missing._tag).toBe("Failure")
      const { sql, storage } = yield* openSql(where)
      const dialect = sql.onDialectOrElse({ sqlite: () => "sqlite", orElse: () => "pg" }) as "sqlite" | "pg"
      for (const statement of SqlCacheStorage.schema(dialect, where.prefix)) yield* sql.unsafe(statement)
      yield* keep(storage, itemOf("1"))
      const other = yield* openSql(where, { createTables: false })
      expect(yield* read(other.storage)).toBe("1")
    }))

  it("says which option is not as it must be", () => {
    const given = (options: object) => () => SqlCacheStorage.layer(options)
    expect(given({ maxBytes: 0 })).toThrow("SqlCacheStorage: maxBytes is 0; it must be a whole number, 1 or more")
    expect(given({ prefix: "a; DROP TABLE b" })).toThrow("small letters, digits and underscores")
    expect(given({ maxFill: 0.5 })).toThrow("a number of seconds, 1 or more")
    expect(given({ createTables: "yes" })).toThrow("true or false")
    expect(given({ ttl: 1 })).toThrow("there is no option ttl")
  })
})

describePostgres("the storage in a database of another encoding", () => {
  const server = sharedPostgres()

  it.scoped.each(["LATIN1", "WIN1251", "SQL_ASCII"])(
    "222: keeps and collects what has no text in it: %s",
    (encoding) =>
      Effect.gen(function*() {
        const database = encoding.toLowerCase()
        const { sql } = yield* openSql({ client: pgClient(server.port), prefix: "usual_" })
        yield* sql.unsafe(`CREATE DATABASE ${database} ENCODING '${encoding}' TEMPLATE template0`)
        const where = { client: pgClient(server.port, database), prefix: "other_" }
        const groups = ["\u65e5\u672c \u{1f600}", "caf\u00e9"]
        let runs = 0
        const test = Effect.gen(function*() {
          const ask = yield* serve(routes({
            "GET /": Effect.sync(() => HttpServerResponse.text(`run ${++runs}`)).pipe(
              withCache({ expiry: 60, vary: ["accept-language"], groups: () => groups })
            ),
            "PATCH /:at": Effect.succeed(HttpServerResponse.empty()).pipe(
              withCollect({ groups: ({ url }) => [groups[Number(url.slice(1))]!] })
            )
          }))
          const got = Effect.map(
            ask("/", { headers: { "accept-language": "\u00e9" } }),
            ({ cacheStatus, text }) => [text, cacheStatus]
          )
          for (const [at] of groups.entries()) {
            expect(yield* got).toEqual([`run ${at + 1}`, "fwd=uri-miss; stored"])
            expect(yield* got).toEqual([`run ${at + 1}`, "hit; ttl=60"])
            yield* ask(`/${at}`, { method: "PATCH" })
          }
        })
        yield* Effect.provide(test, Layer.mergeAll(layerSql(where), NodeHttpServer.layerTest, logged([])))
      })
  )
})
