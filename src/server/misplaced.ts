/** A cache around the sending instead of the app: what it sees has been sent, and can neither be kept nor told of. */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import { handOvers } from "./handOver.js"
import { sentMark } from "./platform.js"

export { isSent } from "./platform.js"

/** Copies an adapter's symbols to the shown request: a handler that sends what it answers needs them. */
export const carry = (request: HttpServerRequest, shown: HttpServerRequest): void => {
  for (const name of Object.getOwnPropertySymbols(request)) {
    if (name !== sentMark && name !== handOvers && !(name in shown)) {
      Reflect.set(shown, name, Reflect.get(request, name))
    }
  }
}

/** Handlers that send what they answer. */
const sending = new WeakSet<object>()

export const isSending = (handler: object): boolean => sending.has(handler)

/** A handler was found to send what it answers: that is told once. */
export const warn = (handler: object): Effect.Effect<void> => {
  if (sending.has(handler)) return Effect.void
  sending.add(handler)
  return Effect.logWarning(
    "effect-http-cache: a response had been sent before the cache saw it: nothing is cached there, and a collect comes after " +
      "the answer; the middleware of HttpServer.serve and toWebHandler is around the sending: put the cache around the app, " +
      "as in HttpServer.serve(router.pipe(HttpCache.middleware()))"
  )
}
