/** The way in from the client, and out to it. */
import { Headers, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import type { IncomingMessage } from "node:http"
import * as Cookies from "./cookies.js"
import * as Fields from "./fields.js"
import * as Target from "./target.js"

const refuse = (status: 400 | 501) => Effect.succeed(HttpServerResponse.empty({ status }))

const credentials = ["authorization", "cookie", "proxy-authorization"]

/** RFC 9110 §9.3.8 */
const reflect = ({ httpVersion, rawHeaders, url }: IncomingMessage): HttpServerResponse.HttpServerResponse => {
  const lines = rawHeaders.flatMap((name, index) =>
    index % 2 === 1 || credentials.includes(name.toLowerCase()) ? [] : [`${name}: ${rawHeaders[index + 1]}`]
  )
  const message = [`TRACE ${url} HTTP/${httpVersion}`, ...lines, "", ""].join("\r\n")
  return HttpServerResponse.uint8Array(Buffer.from(message, "latin1"), { contentType: "message/http" })
}

const maxForwards = 255

/**
 * Refuses what it does not understand, and answers what is for the proxy itself. The cache and the origin are shown one and
 * the same request: its target parsed once, with the fields that are forwarded.
 */
export const receive = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const method: string = request.method
    const message = NodeHttpServerRequest.toIncomingMessage(request) as IncomingMessage
    const { host: hosts = [""], "max-forwards": limits = [] } = message.headersDistinct
    const target = hosts.length > 1 ? undefined : Target.parse(method, message.url ?? "", hosts[0]!)
    if (target === undefined) return yield* refuse(400)
    if (!Fields.isReadable(request.headers["transfer-encoding"])) return yield* refuse(501)

    // RFC 9110 §7.6.2
    const isLimited = (method === "OPTIONS" || method === "TRACE") && limits.length > 0
    if (isLimited && !/^\d+$/.test(limits.join())) return yield* refuse(400)
    const limit = isLimited ? Number(limits[0]) : undefined
    if (method === "TRACE" && limit === 0) return reflect(message)
    if (target.path === "*" || limit === 0) return HttpServerResponse.empty()

    const named = request.modify({ headers: Headers.set(Fields.endToEnd(request.headers), "host", target.host) })
    const headers = Headers.setAll(named.headers, {
      ...Fields.provenance(named, message.httpVersion),
      ...(limit === undefined ? {} : { "max-forwards": String(Math.min(limit - 1, maxForwards)) })
    })
    // What the platform takes for the original target.
    message.url = target.path
    message.headers.host = target.host
    const shown = request.modify({ url: target.path, headers })
    return Cookies.toLines(yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, shown))
  })
