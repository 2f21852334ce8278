/**
 * `Set-Cookie` lines as they came: all of them, in order, byte for byte.
 *
 * The platform's `Cookies` has one of a name and writes it anew. On the way through the cache each line is the encoded value
 * of a cookie of its own.
 */
import { Cookies, HttpServerResponse } from "@effect/platform"

export const fromLines = (lines: ReadonlyArray<string>): Cookies.Cookies =>
  Cookies.fromIterable(lines.map((line, index) => Cookies.unsafeMakeCookie(`line-${index}`, line)))

/** The lines in a response of the cache, as Node's server sends them. */
export const toLines = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { cookies, headers } = response
  const lines = [...Cookies.toSetCookieHeaders(cookies), ...[headers["set-cookie"] ?? []].flat()]
    .map((line) => decodeURIComponent(line.slice(line.indexOf("=") + 1)))
  if (lines.length === 0) return response
  const emptied = HttpServerResponse.replaceCookies(response, Cookies.empty)
  // Node takes a list for as many lines; the platform hands it on, and has no type for it.
  return HttpServerResponse.setHeader(emptied, "set-cookie", lines as unknown as string)
}
