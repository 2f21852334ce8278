/**
 * Sends answers on Node as soon as they are there. Effect 3 waits for each until its client has taken it, in a fiber that goes
 * on in another turn, or never, where the client has left.
 */
import * as Cookies from "@effect/platform/Cookies"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Http from "node:http"
import { type Caller, withFiber } from "../runtime/effect.js"
import { type PreResponseHandler, preResponseHandlerOf, setPreResponseHandler, waitsForClient } from "./platform.js"
import { messageIn } from "./response.js"
import { isWrapped, writeKept } from "./write.js"

/** A longer content is waited for, so that not too much of it is in the process. Bytes. */
const longest = 1024 * 1024

/** A request of the platform on Node has the response that belongs to it. */
const responseOf = (request: object): Http.ServerResponse | undefined =>
  (request as { readonly resolvedResponse?: Http.ServerResponse }).resolvedResponse

/** Sends what is answered in the end, unless somebody else changes that yet. */
const sending: PreResponseHandler = (request, response) =>
  withFiber((_, __, fiber) => {
    const own = preResponseHandlerOf(fiber) === sending ? responseOf(request) : undefined
    if (own !== undefined && !own.writableEnded) send(own, response)
    return Exit.succeed(response)
  })

const send = (own: Http.ServerResponse, response: HttpServerResponse): void => {
  const { body, cookies, headers, status } = response
  const content = body._tag === "Uint8Array" ? body.body : undefined
  if (isWrapped(own) || (content !== undefined && content.byteLength >= longest)) return
  const message = messageIn(response)
  if (message !== undefined && writeKept(own.req, own, message)) return
  if (content === undefined || own.req.method === "HEAD" || !Cookies.isEmpty(cookies)) return
  own.writeHead(status, headers)
  own.end(content)
}

/**
 * Whether Node's server sends the answer and waits for the client, and the present fiber is the request's own: what a fiber
 * beneath it sets would also reach the fibers that it is joined with. The platform listens to `close` once the request's fiber
 * has first waited for something, and no other fiber begins before.
 */
export const isSentByNode = (request: HttpServerRequest): boolean =>
  waitsForClient && responseOf(request)?.listenerCount("close") === 0

/** Has the response of the fiber's request sent at once, unless somebody changes it in the end. */
export const sendAtOnce = (fiber: Caller, response: HttpServerResponse): Effect.Effect<HttpServerResponse> => {
  const { body: { _tag } } = response
  return (_tag === "Uint8Array" || _tag === "Empty") && preResponseHandlerOf(fiber) === undefined
    ? Effect.as(setPreResponseHandler(fiber, sending), response)
    : Exit.succeed(response)
}
