/**
 * A caching reverse proxy: `ORIGIN=http://127.0.0.1:8000 PORT=8080 npx tsx --max-semi-space-size=4 examples/reverse-proxy.ts`
 *
 * The flag keeps down what downloads leave to be collected.
 *
 * `HttpCache.middleware()` with no `expiry`, around a handler that forwards: what the origin's fields say is done.
 */
import {
  Headers,
  HttpBody,
  HttpClient,
  HttpClientRequest,
  type HttpClientResponse,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpClient, NodeHttpServer, NodeHttpServerRequest, NodeRuntime } from "@effect/platform-node"
import { Config, ConfigError, Console, Effect, Layer } from "effect"
import { HttpCache, InMemoryCacheStorage } from "effect-http-cache"
import { createServer, type ServerResponse } from "node:http"

const help = `
  ORIGIN          where to forward to, such as http://127.0.0.1:8000
  PORT            where to listen; 8080 if unset
  COOKIES         a response that sets cookies: refuse (to store it), strip, or store; refuse if unset
  TARGETS         targeted fields to obey, with commas between; CDN-Cache-Control if unset
  STALE_IF_ERROR  how long a stale response stands in for a broken origin, such as "1 hour"; "1 day" if unset
`

const settings = Config.all({
  origin: Config.url("ORIGIN").pipe(
    Config.validate({
      message: "expected http:// or https://, a host, and no path",
      validation: ({ pathname, protocol }) => /^https?:$/.test(protocol) && pathname === "/"
    })
  ),
  port: Config.port("PORT").pipe(Config.withDefault(8080)),
  cookies: Config.literal("refuse", "strip", "store")("COOKIES").pipe(Config.withDefault("refuse" as const)),
  targets: Config.array(Config.string(), "TARGETS").pipe(Config.withDefault(["CDN-Cache-Control"])),
  staleIfError: Config.duration("STALE_IF_ERROR").pipe(Config.withDefault("1 day" as const))
})

const maxBodyBytes = 4 * 1024 * 1024
const patience = "60 seconds"

const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
]

/** RFC 9110 §7.6.1 */
const endToEnd = (headers: Headers.Headers): Headers.Headers =>
  Headers.remove(headers, [...hopByHop, ...(headers["connection"] ?? "").split(",").map((name) => name.trim())])

/** RFC 9110 §7.6.3, RFC 7239 §4 */
const requestHeaders = ({ headers, remoteAddress }: HttpServerRequest.HttpServerRequest): Headers.Headers => {
  const add = (name: string, value: string) => [headers[name], value].filter((part) => part !== undefined).join(", ")
  const address = (remoteAddress._tag === "Some" ? remoteAddress.value : "unknown").replace(/^::ffff:(?=\d+\.)/, "")
  const client = address.includes(":") ? `[${address}]` : address
  return Headers.setAll(Headers.remove(endToEnd(headers), ["host", "content-length"]), {
    via: add("via", "1.1 effect-http-cache"),
    forwarded: add("forwarded", `for="${client}";host="${headers["host"] ?? ""}";proto=http`)
  })
}

/** Interim responses go on as they come (RFC 9110 §15.2). */
const passInterim = (response: ServerResponse) =>
({ headers, statusCode }: {
  readonly statusCode: number
  readonly headers: Record<string, string | Array<string>>
}) => {
  if (response.headersSent) return
  if (statusCode === 102) response.writeProcessing()
  if (statusCode === 103 && headers["link"] !== undefined) {
    response.writeEarlyHints({ ...headers, link: headers["link"] })
  }
}

/** As it comes: what ends whole within the limit is stored. What a `POST` answers for later requests is read first. */
const responseBody = (request: HttpServerRequest.HttpServerRequest, response: HttpClientResponse.HttpClientResponse) =>
  Effect.gen(function*() {
    if (request.method === "HEAD" || response.status === 204 || response.status === 304) return HttpBody.empty
    const { "content-length": length, "content-location": location, "content-type": contentType } = response.headers
    if (request.method === "POST" && location !== undefined && Number(length) <= maxBodyBytes) {
      return HttpBody.raw(new Uint8Array(yield* response.arrayBuffer), { contentType })
    }
    return HttpBody.stream(response.stream, contentType ?? "", length === undefined ? undefined : Number(length))
  })

const forwardTo = (origin: URL) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const client = HttpClient.withTracerPropagation(yield* HttpClient.HttpClient, false)
    const headers = requestHeaders(request)
    const path = request.originalUrl.replace(/^[a-z]+:\/\/[^/]*/i, "")
    const length = request.headers["content-length"]
    const hasBody = length !== undefined || request.headers["transfer-encoding"] !== undefined
    const forwarded = HttpClientRequest.make(request.method)(`${origin.origin}${path}`, {
      body: hasBody
        ? HttpBody.stream(request.stream, headers["content-type"], length === undefined ? undefined : Number(length))
        : HttpBody.empty,
      headers
    })
    const response = yield* client.execute(forwarded).pipe(
      Effect.provideService(NodeHttpClient.UndiciRequestOptions, {
        path: "",
        method: request.method,
        onInfo: passInterim(NodeHttpServerRequest.toServerResponse(request))
      }),
      Effect.timeoutFail({ duration: patience, onTimeout: () => "slow" as const })
    )
    const fields = Headers.remove(endToEnd(response.headers), "set-cookie")
    const answer = HttpServerResponse.empty({ status: response.status, headers: fields, cookies: response.cookies })
    const body = yield* responseBody(request, response)
    return body._tag === "Empty" ? answer : HttpServerResponse.setBody(answer, body)
  }).pipe(
    Effect.catchAll((error) => Effect.succeed(HttpServerResponse.empty({ status: error === "slow" ? 504 : 502 })))
  )

const server = Effect.flatMap(settings, ({ origin, port, ...options }) => {
  const app = forwardTo(origin).pipe(HttpCache.middleware({ ...options, maxBodyBytes }))
  return HttpServer.serve(app).pipe(
    HttpServer.withLogAddress,
    Layer.provide([
      InMemoryCacheStorage.layerCollectable,
      NodeHttpClient.layerUndici,
      NodeHttpServer.layer(createServer, { port })
    ]),
    Layer.launch
  )
})

const main = server.pipe(
  Effect.catchAll((error) =>
    Effect.zipRight(
      Console.error(ConfigError.isConfigError(error) ? `${String(error)}\n${help}` : String(error.cause)),
      Effect.sync(() => process.exitCode = 1)
    )
  )
)

NodeRuntime.runMain(process.argv.includes("--help") ? Console.log(help) : main)
