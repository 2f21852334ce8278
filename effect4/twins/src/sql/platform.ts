/** The twin of `src/sql/platform.ts` for Effect 4. */
import * as Context from "effect/Context"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { serviceIn } from "../runtime/effect.js"

export const isBusy = ({ reason }: SqlError): boolean => reason._tag === "LockTimeoutError"

/** Each client keeps its transactions in a place of its own. */
export const transactionIn = (
  { transactionService }: SqlClient,
  _: Connection,
  context: Context.Context<never>
): "none" | "own" | "another" => serviceIn(context, transactionService) === undefined ? "none" : "own"

export const outsideOf = ({ transactionService }: SqlClient, context: Context.Context<never>): Context.Context<never> =>
  Context.omit(transactionService)(context)
