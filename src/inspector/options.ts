/** What an inspector is made with, and the check of it. */
import * as Effect from "effect/Effect"
import { type Check, check, unless } from "../runtime/givenValues.js"

/** The options, as they are when they have been checked. */
export interface Checked<R> {
  readonly path: string
  /** `undefined`: everybody may. */
  readonly authorize: Effect.Effect<boolean, unknown, R> | undefined
}

interface Given<R> {
  readonly path: string
  readonly authorize?: Effect.Effect<boolean, unknown, R> | undefined
  readonly unguarded?: true | undefined
}

const isPath = (value: unknown): boolean => typeof value === "string" && /^(?:\/[\w\-.~]+)+$/.test(value)

const checks: { readonly [Name in keyof Given<never>]-?: Check } = {
  path: unless(
    isPath,
    "a path such as \"/inspector\", of letters, digits, \"-\", \"_\", \".\" and \"~\", without a slash at its end"
  ),
  authorize: unless(Effect.isEffect, "an Effect of whether the request may look and collect"),
  unguarded: unless((value) => value === true, "true, or left out")
}

/** Throws a `TypeError` that says what is expected. */
export const checked = <R>(where: string, options: Given<R>): Checked<R> => {
  const { authorize, path, unguarded } = check(where, "option", options, checks)
  if (path === undefined) throw new TypeError(`${where}: there is no path; it must be ${checks.path(path)}`)
  if (authorize === undefined && unguarded === undefined) {
    throw new TypeError(
      `${where}: there is no authorize, so that everybody could look and collect; give authorize, an Effect of whether ` +
        "the request may, or unguarded: true where nobody else can reach the server"
    )
  }
  if (authorize !== undefined && unguarded !== undefined) {
    throw new TypeError(`${where}: authorize and unguarded are both given; give one of them`)
  }
  return { path, authorize }
}
