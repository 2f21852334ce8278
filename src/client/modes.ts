/** What a request wants of the cache, by the words of Fetch. */
import type { RequestDirectives } from "../protocol/CacheControl.js"
import type * as Fields from "../protocol/Fields.js"
import { reference } from "../runtime/effect.js"

export type Mode = "default" | "no-store" | "reload" | "no-cache" | "only-if-cached"

interface Meaning {
  readonly asks: Partial<RequestDirectives>
  /** What the caches on the way are told, where the request tells them nothing itself. */
  readonly fields: Fields.Fields
}

const freshly: Fields.Fields = { "cache-control": "no-cache", "pragma": "no-cache" }

/** Fetch's steps of an HTTP-network-or-cache fetch. */
export const meanings: { readonly [Name in Mode]: Meaning } = {
  "default": { asks: {}, fields: {} },
  "no-store": { asks: { noStore: true }, fields: freshly },
  "reload": { asks: { noCache: true }, fields: freshly },
  "no-cache": { asks: { noCache: true }, fields: { "cache-control": "max-age=0" } },
  "only-if-cached": { asks: { onlyIfCached: true, maxStale: Infinity }, fields: {} }
}

/** That of the requests of an effect. */
export const CurrentMode = reference("effect-http-cache/HttpClientCache/Mode", (): Mode => "default")

/** Throws a `TypeError` where it is none. */
export const modeOf = (where: string, given: Mode): Mode => {
  if (Object.hasOwn(meanings, given)) return given
  const all = Object.keys(meanings).map((name) => JSON.stringify(name)).join(", ")
  throw new TypeError(`${where}: the mode is ${JSON.stringify(given)}; it must be one of ${all}`)
}
