/** What changes on the page, as server-sent events. */
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { streamOf } from "../runtime/effect.js"
import type { Html } from "./html.js"

const pause = "2 seconds"
/** Then the browser asks again, and so does `authorize`. */
const mostTurns = 150
/** Nothing may have come, and the last minute is over. */
const turnsOfAMinute = 30

const encoder = new TextEncoder()

/** One event, in one line of data: JSON has no line breaks. */
const event = (parts: { readonly [id: string]: Html }): Uint8Array =>
  encoder.encode(
    `data: ${JSON.stringify(Object.fromEntries(Object.entries(parts).map(([id, { text }]) => [id, text])))}\n\n`
  )

/** Tells a proxy, or a server whose client has gone, that somebody is there. */
const nothing = encoder.encode(":\n\n")

/** `revision`: goes up with each change. `since`: that of the page. */
export const live = (
  revision: () => number,
  since: number,
  parts: Effect.Effect<{ readonly [id: string]: Html }>
): Stream.Stream<Uint8Array> => {
  let turn = 0
  let sent = since
  return streamOf(Effect.suspend(() => {
    if (turn === mostTurns) return Effect.succeed(undefined)
    const waited = turn++ === 0 ? Effect.void : Effect.interruptible(Effect.sleep(pause))
    return Effect.flatMap(waited, () => {
      const present = revision()
      if (present === sent && turn % turnsOfAMinute !== 0) return Effect.succeed(nothing)
      sent = present
      return Effect.map(parts, event)
    })
  }))
}
