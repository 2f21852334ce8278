/** Suites over SQLite and PostgreSQL. */
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { afterAll, beforeAll, describe } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { CollectableCacheStorage } from "effect-http-cache"
import type { SqlCacheStorage } from "effect-http-cache/sql"
import { postgresServer } from "./postgresServer.js"
import { isRun } from "./servers.js"
import { layerSql, type SqlDatabase, sqlite } from "./sqliteLayer.js"

export { layerSql, type SqlDatabase, sqliteFile } from "./sqliteLayer.js"

let prefixes = 0

/** A client of a server that is started for the tests. */
export const pgClient = (port: number, database = "postgres") =>
  Layer.orDie(PgClient.layer({ host: "127.0.0.1", port, username: "test", database, maxConnections: 5 }))

/** Many tests share one server. */
const pg = (port: number): SqlDatabase => ({ client: pgClient(port), prefix: `test_${++prefixes}_` })

/** Suites over both; that of PostgreSQL is left out where it is not installed, of which `servers.ts` tells. */
export const describePostgres = describe.runIf(isRun("postgres"))

/** One server for all tests of a suite. */
export const sharedPostgres = (): { readonly port: number } => {
  const scope = Effect.runSync(Scope.make())
  const shared = { port: 0 }
  beforeAll(async () => {
    shared.port = (await Effect.runPromise(Scope.extend(postgresServer, scope))).port
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return shared
}

/** The same suite over SQLite and over PostgreSQL, each test with a database that is empty. */
export const describeSql = (
  title: string,
  suite: (database: Effect.Effect<SqlDatabase, never, Scope.Scope>, name: "sqlite" | "pg") => void
): void => {
  describe(`${title} in SQLite`, () => suite(sqlite, "sqlite"))
  describePostgres(`${title} in PostgreSQL`, () => {
    const server = sharedPostgres()
    suite(Effect.sync(() => pg(server.port)), "pg")
  })
}

/** A storage and its client, of one process; they are closed with the scope. */
export const openSql = (database: SqlDatabase, options: SqlCacheStorage.Options = {}) =>
  Effect.map(Layer.build(Layer.fresh(layerSql(database, options))), (context) => ({
    storage: Context.get(context, CollectableCacheStorage.CollectableCacheStorage),
    sql: Context.get(context, SqlClient.SqlClient)
  }))
