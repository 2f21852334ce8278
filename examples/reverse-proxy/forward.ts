/** The way to the origin and back. Node's client sends the target as it is; one that takes a URL would normalise it. */
import { Headers, HttpBody, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest, NodeStream } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import type { Duplex } from "node:stream"
import { buffer } from "node:stream/consumers"
import * as Cookies from "./cookies.js"
import * as Fields from "./fields.js"
import * as Interim from "./interim.js"

/** Milliseconds without a word from the origin before its response begins. */
const patience = 60_000
/** Milliseconds; less than what servers commonly wait before they close an idle connection. */
const idle = 4000

/** The one origin, whatever a request says. */
export interface Origin {
  readonly url: URL
  readonly agent: Http.Agent
}

/** An origin may answer and close without reading all: what can't be written is no failure, for there is still to be read. */
const writingOn = (socket: Duplex): Duplex => {
  const { _write: write, _writev: writev } = socket
  socket._write = (chunk, encoding, done) => write.call(socket, chunk, encoding, () => done())
  socket._writev = (chunks, done) => writev?.call(socket, chunks, () => done())
  return socket
}

export const connect = (url: URL): Effect.Effect<Origin, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { Agent } = url.protocol === "https:" ? Https : Http
      const agent = new Agent({ keepAlive: true, timeout: idle })
      const createConnection = agent.createConnection.bind(agent)
      agent.createConnection = (options, callback) => {
        const socket = createConnection(options, callback)
        return socket && writingOn(socket)
      }
      return { url, agent }
    }),
    ({ agent }) => Effect.sync(() => agent.destroy())
  )

const hasContent = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined

/** Sends the request. The connection is closed with its scope, unless the response has been read by then. */
const send = ({ agent, url }: Origin, request: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function*() {
    const { headers } = request
    const method: string = request.method
    const message = NodeHttpServerRequest.toIncomingMessage(request)
    // The cache has read what a QUERY asks.
    const content = method === "QUERY" ? yield* NodeStream.toReadable(request.stream) : message
    const outgoing = yield* Effect.acquireRelease(
      Effect.sync(() =>
        (url.protocol === "https:" ? Https : Http).request(url, {
          agent,
          method,
          path: message.url,
          // What the cache asks for itself, in the background, comes from nobody.
          headers: { ...Fields.provenance(request, "1.1"), ...Headers.remove(headers, "host") },
          timeout: patience,
          joinDuplicateHeaders: true
        })
      ),
      (outgoing) => Effect.sync(() => outgoing.destroy())
    )
    outgoing.on("information", Interim.pass(NodeHttpServerRequest.toServerResponse(request) as Http.ServerResponse))
    if (!hasContent(request)) outgoing.end()
    else {
      outgoing.flushHeaders()
      content.on("error", () => outgoing.destroy()).pipe(outgoing)
      // What the origin did not want is still read, so that the client comes to read its answer.
      outgoing.once("close", () => content.resume())
    }
    return outgoing
  })

/** The connection, which had been used before, was closed. */
const idleClosed = "idle closed"
type Failure = 502 | 504 | typeof idleClosed

/** The head of the response. */
const answered = (outgoing: Http.ClientRequest): Effect.Effect<Http.IncomingMessage, Failure> =>
  Effect.async((resume) => {
    outgoing.on("error", () => {})
    outgoing.once("close", () => resume(Effect.fail(outgoing.reusedSocket ? idleClosed : 502)))
    outgoing.once("timeout", () => {
      resume(Effect.fail(504))
      outgoing.destroy()
    })
    outgoing.once("response", (response) => {
      outgoing.setTimeout(0)
      resume(Effect.succeed(response))
    })
  })

export const maxBodyBytes = 4 * 1024 * 1024

/** As it comes: what ends whole within the limit is stored. What a `POST` answers for later requests is read first. */
const contentOf = (method: string, response: Http.IncomingMessage): Effect.Effect<HttpBody.HttpBody, 502> => {
  if (method === "HEAD" || response.statusCode === 204 || response.statusCode === 304) {
    response.resume()
    return Effect.succeed(HttpBody.empty)
  }
  const { "content-length": length, "content-location": location, "content-type": contentType } = response.headers
  if (method === "POST" && location !== undefined && Number(length) <= maxBodyBytes) {
    const bytes = Effect.tryPromise({ try: () => buffer(response), catch: () => 502 as const })
    return Effect.map(bytes, (bytes) => HttpBody.raw(bytes, { contentType, contentLength: bytes.length }))
  }
  const stream = NodeStream.fromReadable(() => response, (error) => error)
  return Effect.succeed(HttpBody.stream(stream, contentType ?? "", length === undefined ? undefined : Number(length)))
}

/** RFC 9110 §9.2.2 */
const repeatable: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"])

export const forwardTo = (origin: Origin) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const isRepeatable = repeatable.has(request.method) && !hasContent(request)
    const response = yield* Effect.flatMap(send(origin, request), answered).pipe(
      Effect.retry({ while: (failure) => failure === idleClosed && isRepeatable })
    )
    const { "set-cookie": lines = [], "transfer-encoding": _, ...headers } = response.headers
    const answer = HttpServerResponse.empty({
      status: response.statusCode ?? 502,
      headers: Fields.endToEnd(Headers.fromInput(headers)),
      cookies: Cookies.fromLines(lines)
    })
    const content = yield* contentOf(request.method, response)
    return content._tag === "Empty" ? answer : HttpServerResponse.setBody(answer, content)
  }).pipe(Effect.catchAll((failure) =>
    Effect.succeed(HttpServerResponse.empty({ status: failure === idleClosed ? 502 : failure }))
  ))
