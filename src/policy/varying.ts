/** Fields that select by what is made of their values: the module `CachePolicy` exports it. */
import * as Negotiation from "../protocol/Negotiation.js"
import * as checks from "./checks.js"

/**
 * A request field that selects the representation by what `as` makes of its value, `undefined` where it is absent. The handler
 * sees the field so too, absent where `as` answers `undefined`; clients are told the field's name.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { withCache } from "effect-http-cache"
 *
 * const device = (agent = "") => /Mobile/.test(agent) ? "mobile" : "desktop"
 * const home = HttpServerResponse.text("hello").pipe(
 *   withCache({ expiry: 10, vary: [{ field: "User-Agent", as: device }] })
 * )
 * ```
 *
 * @since 0.2.0
 * @category models
 */
export interface VaryField {
  readonly field: string
  /**
   * It gets the value in the one spelling that the cache gives it: of a list with one space after each comma, of `Accept` and
   * its kin in lower case and sorted by weight. Where it throws, or answers what is no value of a field, the request passes by.
   */
  readonly as: (value: string | undefined) => string | undefined
}

/**
 * For `vary`: `Accept-Language` as the one of these languages that the client prefers, in lower case (RFC 4647 §3.4, "lookup":
 * `de-CH` finds `de`, but `de` does not find `de-CH`). A weight of 0 refuses a language; the first one that is not refused is
 * the default. So there is one copy for each of them, however clients write the field. Throws a `TypeError` where one is no
 * language tag, or where there is none.
 *
 * @example
 * ```ts
 * import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { CachePolicy, withCache } from "effect-http-cache"
 *
 * const texts: { readonly [language: string]: string } = { en: "hello", de: "Hallo" }
 * const greeting = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
 *   HttpServerResponse.text(texts[headers["accept-language"] ?? "en"] ?? "hello")
 * ).pipe(withCache({ expiry: 60, vary: [CachePolicy.acceptLanguage(["en", "de"])] }))
 * ```
 *
 * @since 0.2.0
 * @category normalising
 */
export const acceptLanguage = (languages: ReadonlyArray<string>): VaryField => {
  checks.languages(languages)
  return { field: "accept-language", as: Negotiation.language(languages) }
}

/**
 * For `vary`: `Accept-Encoding` as the one of these content codings that the client prefers (RFC 9110 §12.5.3), the first of
 * those of one weight; `identity`, which is no coding, where it accepts none of them or sends no field. Throws a `TypeError`
 * where one is no coding, or where there is none.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { CachePolicy, withCache } from "effect-http-cache"
 *
 * const page = HttpServerResponse.text("hello").pipe(
 *   withCache({ expiry: 60, vary: [CachePolicy.acceptEncoding(["br", "gzip"])] })
 * )
 * ```
 *
 * @since 0.2.0
 * @category normalising
 */
export const acceptEncoding = (codings: ReadonlyArray<string>): VaryField => {
  checks.codings(codings)
  return { field: "accept-encoding", as: Negotiation.coding(codings) }
}
