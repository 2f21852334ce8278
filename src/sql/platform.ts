/** What differs between the clients of SQL of Effect 3 and Effect 4 and is more than a name. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import { serviceIn } from "../runtime/effect.js"

/** Whether SQLite has waited for another process in vain. */
export const isBusy = ({ cause }: SqlError): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && String(cause.code).startsWith("SQLITE_BUSY")

/**
 * Whose transaction is open: all clients keep it in one place. `own` is a connection of this client, to know its others by: a client
 * of SQLite has one connection; one of PostgreSQL has a class of connections of its own.
 */
export const transactionIn = (
  _: SqlClient.SqlClient,
  own: Connection,
  context: Context.Context<never>
): "none" | "own" | "another" => {
  const [connection] = serviceIn(context, SqlClient.TransactionConnection) ?? []
  if (connection === undefined) return "none"
  const isAlike = own.constructor !== Object && connection.constructor === own.constructor
  return connection === own || isAlike ? "own" : "another"
}

/** The same, but outside of the transaction. */
export const outsideOf = (_: SqlClient.SqlClient, context: Context.Context<never>): Context.Context<never> =>
  // It needs not be there.
  Context.omit(SqlClient.TransactionConnection)(
    context as Context.Context<SqlClient.TransactionConnection>
  ) as Context.Context<never>
