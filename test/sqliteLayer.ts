/** Storages in SQLite, and over whatever database, for tests. */
import type { SqlClient } from "@effect/sql"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Effect, Layer } from "effect"
import { SqlCacheStorage } from "effect-http-cache/sql"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A file in a temporary folder that is removed with the scope. */
export const sqliteFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-http-cache-sqlite-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "cache.db")
)

/** A client of a file. */
export const clientOf = (filename: string): Layer.Layer<SqlClient.SqlClient> =>
  Layer.orDie(SqliteClient.layer({ filename }))

/** A database that processes connect to, each by a client of its own. */
export interface SqlDatabase {
  readonly client: Layer.Layer<SqlClient.SqlClient>
  readonly prefix: string
}

/** A file that no other test has. */
export const sqlite = Effect.map(sqliteFile, (filename): SqlDatabase => ({
  client: clientOf(filename),
  prefix: "http_cache_"
}))

/** A storage over a client of its own: one process, as far as the database can tell. */
export const layerSql = ({ client, prefix }: SqlDatabase, options: SqlCacheStorage.Options = {}) =>
  Layer.provideMerge(Layer.orDie(SqlCacheStorage.layer({ prefix, ...options })), client)

/** A storage that is empty. */
export const layerSqlite = (options: SqlCacheStorage.Options = {}) =>
  Layer.unwrapScoped(Effect.map(sqlite, (database) => layerSql(database, options)))
