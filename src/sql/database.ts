/** How the storage uses the client: within a transaction that is open, or on its own. */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { serviceIn } from "../runtime/effect.js"
import { IsDelivery } from "../runtime/undeliveredCollects.js"
import type { DialectName } from "./dialect.js"
import { isBusy, outsideOf, transactionIn } from "./platform.js"

/** How long SQLite waits for another process, and all of this one with it. Milliseconds. */
const busyTimeout = 20
/** How often it is tried again, after a pause in which others go on. */
const maxRetries = 8

export interface Row {
  readonly [column: string]: unknown
}

/** By the time of the machine, as the database knows it, whatever clock the fiber has. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

const retrying = <A>(effect: Effect.Effect<A, SqlError>, retries = 0): Effect.Effect<A, SqlError> =>
  Effect.catchAll(effect, (error) =>
    isBusy(error) && retries < maxRetries
      ? Effect.zipRight(pause(2 ** retries * (0.5 + Math.random())), retrying(effect, retries + 1))
      : Effect.fail(error))

export class Database {
  readonly dialect: DialectName
  private readonly sql: SqlClient.SqlClient
  /** A connection of the client, to know its others by. */
  private readonly connection: Connection
  /** How long SQLite waits otherwise. Milliseconds. */
  private readonly usualTimeout: number

  private constructor(sql: SqlClient.SqlClient, dialect: DialectName, connection: Connection, usualTimeout: number) {
    this.sql = sql
    this.dialect = dialect
    this.connection = connection
    this.usualTimeout = usualTimeout
  }

  static readonly make = (client: SqlClient.SqlClient, dialect: DialectName): Effect.Effect<Database, SqlError> =>
    Effect.gen(function*() {
      const sql = client.withoutTransforms()
      const connection = yield* Effect.scoped(sql.reserve)
      const timeouts = dialect === "sqlite"
        ? yield* sql.unsafe<{ readonly timeout: number }>("PRAGMA busy_timeout")
        : []
      return new Database(sql, dialect, connection, timeouts[0]?.timeout ?? 0)
    })

  /** Two processes may start at once: one of them finds the tables of the other. */
  create(schema: ReadonlyArray<string>): Effect.Effect<void, SqlError> {
    const create = Effect.forEach(schema, (statement) => this.run(statement), { discard: true })
    return Effect.retry(this.write(create), { times: 3 })
  }

  run(text: string, parameters: ReadonlyArray<unknown> = []): Effect.Effect<ReadonlyArray<Row>, SqlError> {
    return this.sql.unsafe<Row>(text, parameters)
  }

  /**
   * As it is now. In SQLite, which has one connection, a transaction of another fiber may be open: then it shows what that has not
   * committed yet, and not what another process has committed since. It is for those who do without what is gone.
   */
  look(text: string, parameters: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Row>, SqlError> {
    return this.dialect === "sqlite"
      ? this.connection.execute(text, parameters, undefined)
      : this.read(this.run(text, parameters))
  }

  read<A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    return this.within(this.part(effect), effect)
  }

  /** All of it or nothing. */
  write<A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    const all = this.sql.withTransaction(this.soon(effect))
    return this.within(this.sql.withTransaction(effect), this.dialect === "sqlite" ? retrying(all) : all)
  }

  /** The same of one statement, which a database does or not by itself. */
  writeOne<A>(statement: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    const outside = this.dialect === "sqlite" ? this.write(statement) : statement
    return this.within(this.part(statement), outside)
  }

  /**
   * One statement as a part of the open transaction. SQLite needs no savepoint for it: it undoes a statement that fails, and where
   * the transaction has ended meanwhile, a savepoint would begin another one, which nobody ends.
   */
  private part<A>(statement: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    return this.dialect === "sqlite" ? statement : this.sql.withTransaction(statement)
  }

  /** Does `instead` within a transaction of this client, which may be rolled back, or may have ended before the caller. */
  unlessWithin<A, E>(effect: Effect.Effect<A, E>, instead: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.contextWithEffect((context: Context.Context<never>) =>
      transactionIn(this.sql, this.connection, context) === "own" ? instead : effect
    )
  }

  /**
   * In a transaction of this client that the caller has open, it is a part of that one; should it fail, that one can go on.
   * It is not cut off then, since PostgreSQL would give up the whole transaction. A transaction of another client is left
   * alone, and so is one in which a collect of an earlier request is delivered.
   */
  private within<A>(
    inside: Effect.Effect<A, SqlError>,
    outside: Effect.Effect<A, SqlError>
  ): Effect.Effect<A, SqlError> {
    return Effect.contextWithEffect((context: Context.Context<never>) => {
      const transaction = transactionIn(this.sql, this.connection, context)
      if (transaction === "none") return outside
      return transaction === "own" && serviceIn(context, IsDelivery) !== true
        ? Effect.uninterruptible(inside)
        : Effect.mapInputContext(outside, (context: Context.Context<never>) => outsideOf(this.sql, context))
    })
  }

  /** The connection may be others' too: it waits as usual afterwards. */
  private soon<A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    if (this.dialect !== "sqlite") return effect
    const wait = (millis: number) => this.run(`PRAGMA busy_timeout = ${millis}`)
    return Effect.zipRight(wait(busyTimeout), Effect.ensuring(effect, Effect.ignore(wait(this.usualTimeout))))
  }
}
