/** Who may look and collect. */
import * as Effect from "effect/Effect"
import * as Fields from "../protocol/Fields.js"
import { catchCause } from "../runtime/effect.js"

/** What can't be told is refused. */
export const isAllowed = <R>(
  authorize: Effect.Effect<boolean, unknown, R> | undefined
): Effect.Effect<boolean, never, R> =>
  authorize === undefined
    ? Effect.succeed(true)
    : catchCause(
      Effect.map(authorize, (isAllowed) => isAllowed === true),
      (cause) => Effect.as(Effect.logWarning("effect-http-cache: authorize of the inspector has failed", cause), false)
    )

const hostOf = (url: string): string | undefined => URL.canParse(url) ? new URL(url).host : undefined

/**
 * Whether a form was sent by a page of the inspector's own origin: browsers say so in `Sec-Fetch-Site`, and where a connection
 * is not secure in `Origin` only. A request with neither is refused.
 */
export const isSameOrigin = (headers: Fields.Fields): boolean => {
  const site = Fields.get(headers, "sec-fetch-site")
  if (site !== undefined) return site === "same-origin"
  const origin = Fields.get(headers, "origin")
  const host = Fields.get(headers, "host") ?? Fields.get(headers, ":authority")
  if (origin === undefined || host === undefined) return false
  const from = hostOf(origin)
  // A proxy in front may have taken the encryption away: the scheme is the page's own.
  return from !== undefined && from === hostOf(`${origin.slice(0, origin.indexOf(":"))}://${host}`)
}

/** Whether a browser says that a page of another site has the request made. A program, and a person who types, have no site. */
export const isFromElsewhere = (headers: Fields.Fields): boolean => {
  const site = Fields.get(headers, "sec-fetch-site")
  return site !== undefined && site !== "same-origin" && site !== "none"
}
