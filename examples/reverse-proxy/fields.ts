/** The fields of the messages that are forwarded. */
import { Headers, type HttpServerRequest } from "@effect/platform"
import { Option } from "effect"

/** `Expect` is met by Node's server, which asks for the content itself. `Transfer-Encoding` stays with the content. */
const hopByHop = [
  "connection",
  "expect",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade"
]
/** Nobody can take these away: they say where the message goes and where it ends. */
const framing = new Set(["content-length", "host", "transfer-encoding"])

/** RFC 9110 §7.6.1 */
export const isEndToEnd = (connection: string | undefined): (name: string) => boolean => {
  const nominated = (connection ?? "").split(",").map((name) => name.trim().toLowerCase())
  const removed = new Set([...hopByHop, ...nominated.filter((name) => !framing.has(name))])
  return (name) => !removed.has(name.toLowerCase())
}

export const endToEnd = (headers: Headers.Headers): Headers.Headers => {
  const stays = isEndToEnd(headers["connection"])
  return Headers.fromInput(Object.entries(headers).filter(([name]) => stays(name)))
}

/** A message in another coding than this can't be read (RFC 9112 §6.1). */
export const isReadable = (transferEncoding: string | undefined): boolean =>
  transferEncoding === undefined || transferEncoding.toLowerCase() === "chunked"

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`

/** A quoted text that does not end would take in what is added to it. */
const isClosed = (list: string | undefined): list is string =>
  list !== undefined && /^(?:[^"\\]|"(?:[^"\\]|\\.)*")*$/.test(list)

/** What the proxy adds to a request: where it comes from (RFC 9110 §7.6.3, RFC 7239 §4). */
export const provenance = (
  { headers, remoteAddress }: HttpServerRequest.HttpServerRequest,
  version: string
): { readonly via: string; readonly forwarded: string } => {
  const address = Option.getOrElse(remoteAddress, () => "unknown").replace(/^::ffff:(?=\d+\.)/, "")
  const client = quoted(address.includes(":") ? `[${address}]` : address)
  const host = headers["host"] === undefined || headers["host"] === "" ? "" : `;host=${quoted(headers["host"])}`
  const own = `for=${client}${host};proto=http`
  return {
    via: [headers["via"], `${version} effect-http-cache`].filter(Boolean).join(", "),
    forwarded: isClosed(headers["forwarded"]) ? `${headers["forwarded"]}, ${own}` : own
  }
}
