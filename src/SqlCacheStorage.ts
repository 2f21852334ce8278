/**
 * A storage in tables of SQLite or PostgreSQL, over a client of `@effect/sql`. Several processes may share it.
 *
 * @since 0.2.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CacheStorage } from "./CacheStorage.js"
import * as CollectableCacheStorage from "./CollectableCacheStorage.js"
import { Database } from "./sql/database.js"
import type { DialectName } from "./sql/dialect.js"
import * as Schema from "./sql/schema.js"
import { dialectFrom, type Settings, settingsOf } from "./sql/settings.js"
import { statements } from "./sql/statements.js"
import { SqlStorage } from "./sql/storage.js"

/**
 * Each has a default.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** What the names of all tables begin with. Processes that share it share what is stored. Default `"http_cache_"`. */
  readonly prefix?: string | undefined
  /**
   * What all items take together: content and fields. What was stored longest ago goes first. Of several processes, each may
   * exceed it by a sixteenth. Default 1 GiB.
   */
  readonly maxBytes?: number | undefined
  /** How many items, in the same way. Default: as many as `maxBytes` allows. */
  readonly maxItems?: number | undefined
  /** A larger item, with its fields, is not kept. Default 8 MiB. */
  readonly maxItemBytes?: number | undefined
  /** How many variants of one URI in one partition; the least recently stored goes first. Default 64. */
  readonly maxVariants?: number | undefined
  /**
   * For how many seconds at least a run of the handler is known; what took twice as long is not stored. It should cover the
   * `deadline` of routes and the time that their bodies take. Sweeps are this far apart. Default 120.
   */
  readonly maxFill?: number | undefined
  /** Whether the tables are created where there are none; `schema` has them for who creates them by hand. Default `true`. */
  readonly createTables?: boolean | undefined
}

/**
 * The statements that create the tables and their indexes where there are none.
 *
 * @example
 * ```ts
 * import { SqlCacheStorage } from "effect-http-cache/sql"
 *
 * const text = SqlCacheStorage.schema("pg", "http_cache_").join(";\n")
 * ```
 *
 * @since 0.2.0
 * @category schemas
 */
export const schema = (dialect: "sqlite" | "pg", prefix: string = settingsOf({}).prefix): ReadonlyArray<string> =>
  Schema.schema(dialectFrom("SqlCacheStorage.schema", dialect), settingsOf({ prefix }).prefix)

const none = () => undefined

const dialectOf = (sql: SqlClient.SqlClient): DialectName => {
  const name = sql.onDialect<DialectName | undefined, DialectName, undefined, undefined, undefined>({
    sqlite: () => "sqlite",
    pg: () => "pg",
    mysql: none,
    mssql: none,
    clickhouse: none
  })
  if (name === undefined) throw new TypeError("SqlCacheStorage: the client is neither of SQLite nor of PostgreSQL")
  return name
}

const makeWith = (
  settings: Settings
): Effect.Effect<CollectableCacheStorage.SharedService, SqlError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const dialect = dialectOf(sql)
    const database = yield* Database.make(sql, dialect)
    if (settings.createTables) yield* database.create(Schema.schema(dialect, settings.prefix))
    const storage = new SqlStorage(database, statements(dialect, settings.prefix, settings.maxFill), settings)
    yield* storage.start
    yield* storage.sweeper.sweep
    yield* Effect.forkScoped(storage.sweeper.sweepAlways)
    return storage
  })

/**
 * The storage as a service, to wrap it or to compose it with others. It is swept until the scope closes. Throws a `TypeError`
 * that says what is expected, when an option is unknown, or has a value that it can't have.
 *
 * @example
 * ```ts
 * import { SqlCacheStorage } from "effect-http-cache/sql"
 *
 * const storage = SqlCacheStorage.make({ prefix: "shop_cache_" })
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<CollectableCacheStorage.SharedService, SqlError, SqlClient.SqlClient | Scope.Scope> =>
  makeWith(settingsOf(options))

/**
 * The normal setup, over the client that the application has: routes can be cached and collected. A collect within a
 * transaction of that client is a part of it, and what is asked for within one is not stored. Throws as `make` does.
 *
 * @example
 * ```ts
 * import { SqliteClient } from "@effect/sql-sqlite-node"
 * import { Layer } from "effect"
 * import { SqlCacheStorage } from "effect-http-cache/sql"
 *
 * const storage = Layer.provide(
 *   SqlCacheStorage.layer({ maxBytes: 256 * 1024 * 1024 }),
 *   SqliteClient.layer({ filename: "http-cache.db" })
 * )
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<CacheStorage | CollectableCacheStorage.CollectableCacheStorage, SqlError, SqlClient.SqlClient> => {
  const settings = settingsOf(options)
  return CollectableCacheStorage.layer(makeWith(settings))
}
