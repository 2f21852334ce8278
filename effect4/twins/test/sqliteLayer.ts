/** The twin of `test/sqliteLayer.ts` for Effect 4, which has no client of SQLite yet: this one is over what Node has. */
import { Effect, Layer, Scope, Semaphore, Stream } from "effect"
import { SqlCacheStorage } from "effect-http-cache/sql"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"

export const sqliteFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-http-cache-sqlite-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "cache.db")
)

/** Node tells SQLite's number of an error as `errcode`. */
const failed = (cause: unknown) => {
  const code = typeof cause === "object" && cause !== null && "errcode" in cause ? cause.errcode : undefined
  const error = Object.assign(new Error(String(cause), { cause }), { code })
  return new SqlError.SqlError({ reason: SqlError.classifySqliteError(error) })
}

const connectionOf = (database: DatabaseSync): SqlConnection.Connection => {
  const run = (text: string, parameters: ReadonlyArray<unknown>) =>
    Effect.try({
      try: () => database.prepare(text).all(...parameters as ReadonlyArray<SQLInputValue>),
      catch: failed
    })
  const values = () => Effect.die("no test asks for rows of values")
  return {
    execute: run,
    executeRaw: run,
    executeUnprepared: run,
    executeStream: () => Stream.die("no test asks for a stream"),
    executeValues: values,
    executeValuesUnprepared: values
  }
}

const make = (filename: string) =>
  Effect.gen(function*() {
    const database = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(filename, { timeout: 5000 })),
      (database) => Effect.sync(() => database.close())
    )
    database.exec("PRAGMA journal_mode = WAL")
    const connection = connectionOf(database)
    const turn = yield* Semaphore.make(1)
    const acquirer = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        yield* restore(turn.take(1))
        yield* Scope.addFinalizer(scope, turn.release(1))
        return connection
      })
    )
    return yield* SqlClient.make({
      acquirer,
      transactionAcquirer: acquirer,
      compiler: Statement.makeCompilerSqlite(),
      driver: "node:sqlite",
      spanAttributes: []
    })
  })

export const clientOf = (filename: string): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(SqlClient.SqlClient, make(filename)).pipe(Layer.provide(Reactivity.layer))

export interface SqlDatabase {
  readonly client: Layer.Layer<SqlClient.SqlClient>
  readonly prefix: string
}

export const sqlite = Effect.map(sqliteFile, (filename): SqlDatabase => ({
  client: clientOf(filename),
  prefix: "http_cache_"
}))

export const layerSql = ({ client, prefix }: SqlDatabase, options: SqlCacheStorage.Options = {}) =>
  Layer.provideMerge(Layer.orDie(SqlCacheStorage.layer({ prefix, ...options })), client)

export const layerSqlite = (options: SqlCacheStorage.Options = {}) =>
  Layer.unwrap(Effect.map(sqlite, (database) => layerSql(database, options)))
