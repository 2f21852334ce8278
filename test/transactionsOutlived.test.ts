/** What a request has begun within a transaction of the application, and what goes on once that has ended. */
import { type HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, type Scope, Stream, TestClock } from "effect"
import { InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { bytes, client, counted, eventually, logged, routes, serve, still, TestServer } from "./harness.js"
import { describeSql, layerSql, openSql, type SqlDatabase } from "./sqlLayer.js"

/** What the client of libSQL provides within a transaction. It exports no tag of it. */
class LibsqlTransaction extends Context.Tag("@effect/sql-libsql/LibsqlClient/LibsqlTransaction")<
  LibsqlTransaction,
  ReadonlyArray<unknown>
>() {}

const rollback = Effect.fail("rolled back" as const)

const Request = HttpServerRequest.HttpServerRequest

/** Asks it for the page at the root, as the handler of another page does. */
const askPart = <A, E, R>(part: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Request, ({ headers }) => {
    const request = new globalThis.Request(`http://${headers["host"]}/`)
    return Effect.provideService(part, Request, HttpServerRequest.fromWeb(request))
  })

/** A value in a table. */
const shop = ({ prefix }: SqlDatabase) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const values = sql(`${prefix}values`)
    yield* sql`CREATE TABLE ${values} (value INTEGER NOT NULL)`
    yield* sql`INSERT INTO ${values} (value) VALUES (0)`
    const value = Effect.map(
      sql<{ readonly value: number }>`SELECT value FROM ${values}`,
      ([row]) => `value ${row!.value}`
    )
    return { sql, value, write: sql`UPDATE ${values} SET value = value + 1` }
  })

const inMemory = ({ client }: SqlDatabase) => Layer.merge(InMemoryCacheStorage.layerCollectable, client)

/** A transaction of another request that writes, and is rolled back once `goOn` has run beside it. */
const beside = <R>(
  { sql, write }: Effect.Effect.Success<ReturnType<typeof shop>>,
  goOn: Effect.Effect<unknown, never, R>
) =>
  Effect.gen(function*() {
    let writes = 0
    const end = yield* Deferred.make<void>()
    const transaction = Effect.gen(function*() {
      yield* write
      writes++
      yield* Deferred.await(end)
      return yield* rollback
    })
    const fiber = yield* Effect.fork(Effect.ignore(sql.withTransaction(transaction)))
    yield* still(() => writes)
    yield* goOn
    yield* Deferred.succeed(end, undefined)
    yield* Fiber.join(fiber)
  })

describeSql("what outlives a transaction around the cache", (database) => {
  const around = (where: SqlDatabase) => Layer.mergeAll(inMemory(where), NodeHttpServer.layerTest, logged([]))

  it.scoped("219: reads nothing that another transaction has not committed, as a refresh in the background", () =>
    Effect.gen(function*() {
      const where = yield* database
      const test = Effect.gen(function*() {
        const world = yield* shop(where)
        const gate = yield* Deferred.make<void>()
        let runs = 0
        let reads = 0
        const page = Effect.suspend(() => runs++ === 0 ? Effect.void : Deferred.await(gate)).pipe(
          Effect.zipRight(world.value),
          Effect.tap(() => Effect.sync(() => reads++)),
          Effect.map(HttpServerResponse.text),
          withCache({ expiry: 60, staleWhileRevalidate: 600, name: "value" })
        )
        const ask = yield* serve(routes({ "GET /": page, "PUT /": world.sql.withTransaction(askPart(page)) }))
        expect((yield* ask("/")).text).toBe("value 0")
        yield* TestClock.adjust("61 seconds")
        const within = yield* Effect.fork(ask("/", { method: "PUT" }))
        yield* eventually(() => runs === 2)
        yield* still(() => runs)
        yield* beside(world, Effect.zipRight(Deferred.succeed(gate, undefined), still(() => reads)))
        yield* Fiber.join(within)
        yield* still(() => reads)
        expect((yield* ask("/")).text).toBe("value 0")
      })
      yield* Effect.provide(test, around(where))
    }))

  it.scoped("219: reads nothing that another transaction has not committed, as a streamed body", () =>
    Effect.gen(function*() {
      const where = yield* database
      const test = Effect.gen(function*() {
        const world = yield* shop(where)
        const gate = yield* Deferred.make<void>()
        let reads = 0
        let ended = 0
        const read = Effect.tap(world.value, () => Effect.sync(() => reads++))
        const body = Stream.fromEffect(Effect.zipRight(Deferred.await(gate), Effect.map(Effect.orDie(read), bytes)))
        const page = Effect.sync(() => HttpServerResponse.stream(body)).pipe(
          withCache({ expiry: 60 }),
          world.sql.withTransaction,
          Effect.ensuring(Effect.sync(() => ended++))
        )
        const ask = yield* serve(routes({ "GET /": page }))
        const asked = yield* Effect.fork(ask("/"))
        yield* eventually(() => ended === 1)
        yield* beside(world, Effect.zipRight(Deferred.succeed(gate, undefined), still(() => reads)))
        expect((yield* Fiber.join(asked)).text).toBe("value 0")
        expect((yield* ask("/")).text).toBe("value 0")
      })
      yield* Effect.provide(test, around(where))
    }))

  it.scoped("219: reads nothing that another transaction has not committed, as a run for others", () =>
    Effect.gen(function*() {
      const where = yield* database
      const test = Effect.gen(function*() {
        const world = yield* shop(where)
        const [gate, leave] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        let runs = 0
        let asked = 0
        let ended = 0
        const page = Effect.suspend(() => {
          runs++
          return Deferred.await(gate)
        }).pipe(
          Effect.zipRight(world.value),
          Effect.map(HttpServerResponse.text),
          withCache({ expiry: 60 })
        )
        const ask = yield* serve(routes({
          "GET /": Effect.suspend(() =>
            asked++ === 0
              ? Effect.raceFirst(page, Effect.as(Deferred.await(leave), HttpServerResponse.empty())).pipe(
                world.sql.withTransaction,
                Effect.ensuring(Effect.sync(() => ended++))
              )
              : page
          )
        }))
        const leader = client(ask.port)
        yield* eventually(() => runs === 1)
        const follower = client(ask.port)
        yield* eventually(() => asked === 2)
        yield* still(() => runs)
        yield* Deferred.succeed(leave, undefined)
        yield* still(() => ended)
        yield* beside(world, Effect.zipRight(Deferred.succeed(gate, undefined), still(() => runs)))
        expect((yield* Effect.promise(() => follower.reply)).text).toBe("value 0")
        expect((yield* ask("/")).text).toBe("value 0")
        yield* Effect.promise(() => leader.reply)
      })
      yield* Effect.provide(test, around(where))
    }))
})

describeSql("what is asked for within a transaction, with a storage of any kind", (database, name) => {
  for (const [kind, storage] of [["in memory", inMemory], ["over SQL", layerSql]] as const) {
    const within = <A, E>(
      test: (
        world: Effect.Effect.Success<ReturnType<typeof shop>>
      ) => Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof storage>> | HttpServer.HttpServer | Scope.Scope>
    ) =>
      Effect.gen(function*() {
        const where = yield* database
        const around = Layer.mergeAll(storage(where), NodeHttpServer.layerTest, logged([]))
        yield* Effect.provide(Effect.flatMap(shop(where), test), around)
      })

    it.scoped(`220: waits for no other request, which may wait for that transaction: ${kind}`, () =>
      within(({ sql, value, write }) =>
        Effect.gen(function*() {
          const gate = yield* Deferred.make<void>()
          let runs = 0
          const page = Effect.suspend(() => runs++ === 0 ? Deferred.await(gate) : Effect.void).pipe(
            Effect.zipRight(value),
            Effect.map(HttpServerResponse.text),
            withCache({ expiry: 60 })
          )
          const ask = yield* serve(routes({
            "GET /": page,
            "PUT /": write.pipe(
              Effect.zipRight(Deferred.succeed(gate, undefined)),
              Effect.zipRight(askPart(page)),
              sql.withTransaction
            )
          }))
          const beside = client(ask.port)
          yield* eventually(() => runs === 1)
          expect((yield* ask("/", { method: "PUT" })).text).toBe("value 1")
          expect((yield* Effect.promise(() => beside.reply)).text).toMatch(/^value [01]$/)
        })
      ))

    it.scoped(`221: is made anew, as the transaction sees it, and stored for nobody: ${kind}`, () =>
      within(({ sql, value, write }) =>
        Effect.gen(function*() {
          const texts: Array<string> = []
          const page = value.pipe(
            Effect.tap((text) => Effect.sync(() => texts.push(text))),
            Effect.map(HttpServerResponse.text),
            withCache({ expiry: 60, name: "value" })
          )
          const failing = Effect.zipRight(Effect.zipRight(write, askPart(page)), rollback)
          const ask = yield* serve(routes({
            "GET /": page,
            "PUT /": failing.pipe(
              sql.withTransaction,
              Effect.catchAll(() => Effect.succeed(HttpServerResponse.empty({ status: 409 })))
            )
          }))
          yield* ask("/", { method: "PUT" })
          expect((yield* ask("/")).text).toBe("value 0")
          yield* ask("/", { method: "PUT" })
          expect((yield* ask("/")).text).toBe("value 0")
          expect(texts.slice(0, 3)).toEqual(["value 1", "value 0", "value 1"])
        })
      ))
  }

  it.scoped("221: is not stored where it is older than what was collected before", () =>
    Effect.gen(function*() {
      const where = yield* database
      const test = Effect.gen(function*() {
        const { sql, value } = yield* shop(where)
        const { sql: other } = yield* openSql(where)
        const [hasRead, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const page = Effect.map(value, HttpServerResponse.text).pipe(withCache({ expiry: 60, name: "value" }))
        const ask = yield* serve(routes({
          "GET /": page,
          "PATCH /": other`UPDATE ${other(`${where.prefix}values`)} SET value = 1`.pipe(
            Effect.as(HttpServerResponse.empty()),
            withCollect()
          ),
          "PUT /": Effect.gen(function*() {
            if (name === "pg") yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`
            yield* value
            yield* Deferred.succeed(hasRead, undefined)
            yield* Deferred.await(goOn)
            return yield* askPart(page)
          }).pipe(sql.withTransaction)
        }))
        const put = yield* Effect.fork((yield* ask.another)("/", { method: "PUT" }))
        yield* Deferred.await(hasRead)
        yield* ask("/", { method: "PATCH" })
        yield* Deferred.succeed(goOn, undefined)
        expect((yield* Fiber.join(put)).text).toBe("value 0")
        expect((yield* ask("/")).text).toBe("value 1")
      })
      yield* Effect.provide(test, Layer.mergeAll(inMemory(where), NodeHttpServer.layerTest, logged([])))
    }))
})

it.scoped("221: nor is what is made within a transaction of libSQL, which is kept in a place of its own", () =>
  Effect.gen(function*() {
    const page = counted().pipe(withCache({ expiry: 60 }))
    const ask = yield* serve(routes({
      "GET /": page,
      "GET /within": Effect.provideService(page, LibsqlTransaction, [])
    }))
    const said: Array<string | undefined> = []
    for (const path of ["/", "/", "/within", "/within"]) said.push((yield* ask(path)).cacheStatus)
    expect(said).toEqual(["fwd=uri-miss; stored", "hit; ttl=60", "fwd=uri-miss", "fwd=uri-miss"])
  }).pipe(Effect.provide(TestServer)))
