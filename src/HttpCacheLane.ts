/**
 * A lane that answers hits before the server has seen the request.
 *
 * **It passes by everything that is around a route**: authentication, rate limits, logs, spans and whatever changes responses.
 * So a route must ask for it by name, with `lane: true`, and its response must be for everybody.
 *
 * @since 0.2.0
 */
import type * as Http from "node:http"
import type * as Net from "node:net"
import { Lane } from "./node/lane.js"
import { type Check, check, flag, unless } from "./runtime/givenValues.js"

/**
 * A request that the lane has answered.
 *
 * @since 0.2.0
 * @category models
 */
export interface Hit {
  readonly request: Http.IncomingMessage
  /** `200`, `304`, or what else is stored. */
  readonly status: number
  /** For how long it is fresh. Milliseconds. */
  readonly ttl: number
}

/**
 * What a lane is told beside its server.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** Called for each request that the lane has answered, once it is written; what it throws or rejects with is a warning. */
  readonly onHit?: ((hit: Hit) => void) | undefined
  /**
   * Whether each request that the lane has answered has a span, `http.server GET`, by the tracer of the route, with its path and
   * status and with what the cache did. Default `false`: a span takes longer than the answer.
   */
  readonly span?: boolean | undefined
}

const checks: { readonly [Option in keyof Options]-?: Check } = {
  onHit: unless((value) => typeof value === "function", "a function of the hit"),
  span: flag
}

/**
 * A server with a lane: what answers fresh hits and `304`s of the routes that say `lane: true`, by the same rules, storage and
 * `Cache-Status`, before the platform sees the request. Whatever it can't decide at once goes the usual way: another method than
 * `GET` and `HEAD`, content, `Range`, `Authorization`, a stale response, a storage that has to be waited for, a field that the
 * response varies by and that the route's `vary` does not name, `bypass` and `enabled`. It knows a method and a target once the
 * route has answered a hit for them. It is for `node:http`, `node:https`, and `node:http2` by its compatibility API. Throws a
 * `TypeError` when an option is wrong.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { InMemoryCacheStorage, withCache } from "effect-http-cache"
 * import { HttpCacheLane } from "effect-http-cache/node"
 * import { createServer } from "node:http"
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/news", HttpServerResponse.text("news").pipe(withCache({ expiry: 10, lane: true })))
 * )
 * const server = NodeHttpServer.layer(() => HttpCacheLane.createServer(createServer), { port: 3000 })
 * const main = Layer.launch(Layer.provide(HttpServer.serve(app), [server, InMemoryCacheStorage.layer]))
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const createServer = <Server extends Net.Server>(
  create: () => Server,
  options: Options = {}
): Server => {
  const { onHit, span = false } = check("HttpCacheLane.createServer", "option", options, checks)
  const server = create()
  const lane = new Lane(span)
  const emit = server.emit.bind(server) as (event: string, ...values: Array<unknown>) => boolean
  const isAnswered = (request: Http.IncomingMessage, response: Http.ServerResponse): boolean => {
    // Another listener may see or change each response.
    if (server.listenerCount("request") !== 1) return false
    const answered = lane.answer(request, response)
    if (answered === undefined) return false
    if (onHit !== undefined) tell(onHit, { request, ...answered })
    return true
  }
  server.emit = (event: string, ...values: Array<unknown>): boolean =>
    (event === "request" && isAnswered(...values as Parameters<typeof isAnswered>)) || emit(event, ...values)
  return server.on("removeListener", (event: string) => {
    if (event === "request") lane.forget()
  })
}

const tell = (onHit: (hit: Hit) => unknown, hit: Hit): void => {
  try {
    const told = onHit(hit)
    if (told instanceof Promise) told.catch(warn)
  } catch (error) {
    warn(error)
  }
}

const warn = (error: unknown): void =>
  process.emitWarning(error instanceof Error ? error : String(error), { code: "EFFECT_HTTP_CACHE_ON_HIT" })
