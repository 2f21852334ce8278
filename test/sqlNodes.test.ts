/** Failures of the list where two processes share one database, through the door. The numbers are those of docs/failures.md. */
import { expect, it } from "@effect/vitest"
import { Effect, type Scope, TestClock } from "effect"
import { itemOf } from "effect-http-cache/testing"
import { placeOf } from "effect-http-cache/sql/rows"
import { failuresOfNodes } from "./failuresOfNodes.js"
import { around, type Database, type Greeter, late, nodeOver, origin, said } from "./nodes.js"
import { describeSql, layerSql, openSql, type SqlDatabase } from "./sqlLayer.js"

/** Two processes, and a client beside them. */
const worldOver = (where: SqlDatabase) =>
  Effect.gen(function*() {
    const database: Database = { value: 0, reads: 0 }
    const over = nodeOver(layerSql(where), database)
    const [a, b] = [yield* over, yield* over]
    const { sql } = yield* openSql(where)
    const table = (name: string) => sql(`${where.prefix}${name}`)
    const rows = (name: string) => Effect.map(sql`SELECT 1 FROM ${table(name)}`, ({ length }) => length)
    return { a, b, database, late: (path: string) => late(a, database, path), rows, sql, table }
  })

describeSql("two processes over one database", (database, name) => {
  const world = Effect.flatMap(database, worldOver)
  const check = <E>(title: string, test: Effect.Effect<void, E, Scope.Scope | Greeter>) =>
    it.scoped(title, () => Effect.provide(test, around))

  failuresOfNodes(world)

  check(
    "33: what has no group writes nothing about groups, and what is collected without one nothing either",
    Effect.gen(function*() {
      const { a, rows } = yield* world
      yield* a("/1")
      expect(yield* rows("groups")).toBe(0)
      for (let id = 0; id < 5; id++) yield* a(`/group/${id}`)
      for (let id = 0; id < 5; id++) yield* a(`/group/${id}`)
      expect(yield* rows("groups")).toBe(5)
    })
  )

  check(
    "34: a collect by one removes what is stale too, for the other",
    Effect.gen(function*() {
      const { a, b, database } = yield* world
      yield* a("/1")
      yield* TestClock.adjust("61 seconds")
      yield* b("/1", { method: "PATCH" })
      expect([said(yield* a("/1")), database.reads]).toEqual([["value 1", "fwd=uri-miss; stored"], 2])
    })
  )

  check(
    "44: a record that is corrupt, foreign or older is a miss and goes away",
    Effect.gen(function*() {
      const { a, b, rows, sql, table } = yield* world
      for (const record of ["", "of somebody else", "ehc0....", JSON.stringify(itemOf("JSON"))]) {
        yield* a("/1")
        yield* sql`UPDATE ${table("items")} SET record = ${Buffer.from(record)}`
        expect(said(yield* b("/1"))).toEqual(["value 0", "fwd=uri-miss; stored"])
        expect(said(yield* a("/1"))).toEqual(["value 0", "hit; ttl=60"])
        expect(yield* rows("items")).toBe(1)
      }
    })
  )

  check(
    "45: after a restart the age goes on",
    Effect.gen(function*() {
      const where = yield* database
      const once = nodeOver(layerSql(where), { value: 0, reads: 0 })
      yield* Effect.scoped(Effect.flatMap(once, (ask) => ask("/1")))
      yield* TestClock.adjust("7 seconds")
      const reply = yield* (yield* once)("/1")
      expect([reply.cacheStatus, reply.headers["age"]]).toEqual(["hit; ttl=53", "7"])
    })
  )

  check(
    "47: a line break in a field of a record never reaches a client",
    Effect.gen(function*() {
      const { a, b, sql, table } = yield* world
      yield* a("/1")
      const [row] = yield* sql<{ readonly record: Uint8Array }>`SELECT record FROM ${table("items")}`
      const record = Buffer.from(row!.record)
      const broken = record.toString("latin1").replace("text/plain", "a\\r\\nx-b: ")
      expect(broken.length).toBe(record.length)
      yield* sql`UPDATE ${table("items")} SET record = ${Buffer.from(broken, "latin1")}`
      const reply = yield* b("/1")
      expect([...said(reply), reply.headers["x-b"]]).toEqual(["value 0", "fwd=uri-miss; stored", undefined])
    })
  )

  check(
    "54: a collect that one could not deliver is delivered before that one reads again, also for the other",
    Effect.gen(function*() {
      const { a, b, sql, table } = yield* world
      yield* a("/1")
      yield* sql`ALTER TABLE ${table("collects")} RENAME TO ${table("away")}`
      expect((yield* a("/1", { method: "PATCH" })).status).toBe(204)
      expect((yield* a("/1")).text).toBe("value 1")
      yield* sql`ALTER TABLE ${table("away")} RENAME TO ${table("collects")}`
      const reply = yield* Effect.repeat(Effect.zipRight(TestClock.adjust("1 second"), a("/1")), {
        until: ({ cacheStatus }) => cacheStatus.endsWith("stored"),
        times: 100
      })
      expect(said(reply)).toEqual(["value 1", "fwd=uri-miss; stored"])
      yield* TestClock.adjust("10 seconds")
      expect((yield* b("/1")).text).toBe("value 1")
    })
  )

  check(
    "89: one key that the database can't bear does not take the others down",
    Effect.gen(function*() {
      const { a, b, sql, table } = yield* world
      yield* a("/good")
      const [bad] = placeOf({ key: `${origin}/bad`, partition: "" })
      yield* name === "pg"
        ? sql`ALTER TABLE ${table("items")} ADD CHECK (key_hash <> ${sql.literal(`'${bad}'`)})`
        : sql`CREATE TRIGGER bad BEFORE INSERT ON ${table("items")} WHEN NEW.key_hash = ${sql.literal(`'${bad}'`)}
            BEGIN SELECT RAISE(ABORT, 'bad'); END`
      for (let second = 0; second < 30; second++) {
        expect(said(yield* a("/bad"))[0]).toBe("value 0")
        expect(yield* b("/bad")).toMatchObject({ text: "value 0", cacheStatus: "fwd=uri-miss" })
        if (second % 10 === 9) expect((yield* b("/good")).cacheStatus).toMatch(/^hit/)
        yield* TestClock.adjust("1 second")
      }
      expect((yield* a("/another")).cacheStatus).toBe("fwd=uri-miss; stored")
    })
  )
})
