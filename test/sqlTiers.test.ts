/** Processes that hear what others collect in a database, and keep near what they read. */
import { expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { InMemoryCacheStorage, TieredCacheStorage } from "effect-http-cache"
import type { SqlStorage } from "effect-http-cache/sql/storage"
import { hearing, holds, isGone, isThere, lookup, store } from "./nearAndFar.js"
import { postgresServer } from "./postgresServer.js"
import { describePostgres, describeSql, openSql, pgClient, type SqlDatabase } from "./sqlLayer.js"

const everything = { keys: [], groups: [], everything: true }
const hard = { keys: [], groups: [], everything: false, soft: false }
const names = { keys: [lookup.key], groups: [] }

/** One process. */
const open = (database: SqlDatabase) =>
  Effect.map(openSql(database), ({ sql, storage }) => ({ sql, storage: storage as SqlStorage }))

/** A process with a near storage; here nothing is slow, however busy the machine is. */
const processOver = (database: SqlDatabase) =>
  Effect.flatMap(
    open(database),
    ({ storage }) => TieredCacheStorage.make(InMemoryCacheStorage.make(), storage, { farTimeout: 5 })
  )

/** Two processes, the second of which has near what is stored no more. */
const whereOnlyNear = (database: SqlDatabase) =>
  Effect.gen(function*() {
    const [a, b] = [yield* processOver(database), yield* processOver(database)]
    const { sql } = yield* openSql(database)
    const isNear = Effect.gen(function*() {
      yield* store(a)
      yield* isThere(b)
      yield* sql`DELETE FROM ${sql(`${database.prefix}items`)}`
      return yield* isThere(b)
    })
    yield* holds(isNear)
    return { a, b }
  })

describeSql("what is collected", (database, name) => {
  it.scopedLive("is told to who listens, from when it begins on, with its name in full", () =>
    Effect.gen(function*() {
      const where = yield* database
      const [one, other] = [yield* open(where), yield* open(where)]
      yield* one.storage.collect({ keys: ["before"], groups: [] })
      const { heard } = yield* hearing(other.storage)
      const odd = "\u0000 \ud800 ' ? \u{1f600}"
      yield* one.storage.collect({ keys: ["a", "b"], groups: [odd] }, { soft: "unless-error" })
      yield* holds(Effect.sync(() => heard.length === 4))
      yield* one.storage.collect({ keys: ["a"], groups: [] }, { soft: true })
      yield* holds(Effect.sync(() => heard.length === 5))
      yield* one.storage.collect({ keys: [], groups: [], everything: true })
      yield* holds(Effect.sync(() => heard.length === 6))
      const softly = { ...hard, soft: "unless-error" }
      expect(heard[0]).toEqual(everything)
      expect(heard.slice(1, 4)).toEqual(expect.arrayContaining([
        { ...softly, keys: ["a"] },
        { ...softly, keys: ["b"] },
        { ...softly, groups: [odd] }
      ]))
      expect(heard.slice(4)).toEqual([{ ...hard, keys: ["a"], soft: true }, { ...everything, soft: false }])
    }))

  it.scopedLive("is told when the transaction that it is in commits, and not if it does not", () =>
    Effect.gen(function*() {
      const where = yield* database
      const [one, other] = [yield* open(where), yield* open(where)]
      const { heard } = yield* hearing(other.storage)
      const own = yield* hearing(one.storage)
      const collect = (key: string) => one.storage.collect({ keys: [key], groups: [] })
      yield* Effect.ignore(one.sql.withTransaction(Effect.zipRight(collect("not"), Effect.fail("rolled back"))))
      yield* one.sql.withTransaction(Effect.gen(function*() {
        yield* collect("first")
        // In PostgreSQL one that began later may end before.
        if (name === "pg") {
          yield* other.storage.collect({ keys: ["second"], groups: [] })
          yield* holds(Effect.sync(() => heard.length === 2))
        }
      }))
      yield* collect("third")
      for (const  of of[heard, own.heard]) {
        yield* holds(Effect.sync(() => of.some(({ keys }) => keys.includes("third"))))
        const keys = of.flatMap(({ keys }) => keys)
        expect(keys.filter((key) => key !== "second")).toEqual(["first", "third"])
      }
    }))

  it.scopedLive("may be anything where the tables were emptied, or a row can't be read", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { sql, storage } = yield* open(where)
      const { heard } = yield* hearing(storage)
      yield* sql`DELETE FROM ${sql(`${where.prefix}state`)}`
      yield* holds(Effect.sync(() => heard.length === 2))
      const collects = sql(`${where.prefix}collects`)
      yield* sql`INSERT INTO ${collects} (name, said, force) VALUES ('a', '?', 3), ('b', '1', 3), ('c', '"ka"', 9)`
      yield* holds(Effect.sync(() => heard.length === 5))
      expect(heard).toEqual(Array.from({ length: 5 }, () => everything))
    }))

  it.scopedLive("may be anything where a listener has not asked for two turns", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { sql, storage } = yield* open(where)
      const { heard } = yield* hearing(storage)
      yield* sql`UPDATE ${sql(`${where.prefix}state`)} SET turn = turn + 1`
      yield* storage.collect(names)
      yield* holds(Effect.sync(() => heard.length === 2))
      yield* sql`UPDATE ${sql(`${where.prefix}state`)} SET turn = turn + 2`
      yield* holds(Effect.sync(() => heard.length === 3))
      expect(heard).toEqual([everything, { ...hard, ...names }, everything])
    }))

  it.scopedLive("is lost near too, by another process", () =>
    Effect.gen(function*() {
      const { a, b } = yield* whereOnlyNear(yield* database)
      yield* a.collect(names)
      yield* holds(isGone(b))
    }))

  it.scopedLive("is not told where the tables are gone: who listens fails", () =>
    Effect.gen(function*() {
      const where = yield* database
      const { sql, storage } = yield* open(where)
      const { fiber } = yield* hearing(storage)
      yield* sql`DROP TABLE ${sql(`${where.prefix}collects`)}`
      const exit = yield* Effect.timeout(Fiber.await(fiber), "30 seconds")
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      expect(error).toMatchObject({ _tag: "CacheStorageError", storage: "SqlCacheStorage", method: "collect" })
    }))
})

describePostgres("what is collected in PostgreSQL", () => {
  it.scopedLive("while a server is away is forgotten near when it is there again, which has lost what it knew", () =>
    Effect.gen(function*() {
      const server = yield* postgresServer
      const { a, b } = yield* whereOnlyNear({ client: pgClient(server.port), prefix: "shop_" })
      yield* Effect.promise(() => server.stop("SIGQUIT"))
      yield* Effect.ignore(a.collect(names))
      expect(yield* isThere(b)).toBe(true)
      yield* Effect.promise(() => server.start())
      yield* holds(isGone(b))
    }))
})
