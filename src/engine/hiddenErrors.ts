/** An error that nobody is answered with is told in the log: once for each run of the handler, with the cause, and counted. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as metrics from "../runtime/metrics.js"
import { closed, type RunResult } from "./fetch.js"
import type { Asked } from "./request.js"

/** What is done instead. */
const instead = {
  "stale-if-error": "what is stored stands in for it (staleIfError)",
  "refresh": "what is stored stays, and is refreshed later (staleWhileRevalidate)",
  "waiting": "who waited for it is answered without the cause"
} as const

interface Trouble {
  readonly what: string
  readonly cause?: Cause.Cause<unknown> | undefined
}

/** `undefined` where there was none: a body that is too large is no error of the handler, and a storage that closes is none either. */
const troubleOf = <Res, E>(fetched: RunResult<Res, E>): Trouble | undefined => {
  if (fetched === closed) return undefined
  const { status } = fetched
  if (fetched._tag === "Failed") {
    const { cause } = fetched
    return cause === undefined ? { what: "took longer than its deadline" } : { what: `failed with ${status}`, cause }
  }
  const own = fetched.handled.answer.status
  if (own >= 400) return { what: `answered ${own}` }
  const cause = fetched.shared?.failure
  return cause === undefined ? undefined : { what: "answered with a body that failed", cause }
}

const told = new WeakSet<object>()

export const tell = <Res, E>(
  by: keyof typeof instead,
  { key }: Pick<Asked, "key">,
  fetched: RunResult<Res, E>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const trouble = troubleOf(fetched)
    if (trouble === undefined) return Effect.void
    const { cause, what } = trouble
    metrics.errorsHidden(by)(1)
    if (told.has(fetched)) return Effect.void
    told.add(fetched)
    const line = `effect-http-cache: the handler of ${key} ${what}; ${instead[by]}`
    return cause === undefined ? Effect.logWarning(line) : Effect.logWarning(line, cause)
  })
