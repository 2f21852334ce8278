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
import { isOfMany, write } from "./write.js"

/** A longer content is waited for, so that not too much of it is in the process. Bytes. */
const longest = 1024 * 1024

/** What is Node's own in a request of the platform, where that is on Node. */
interface OfNode {
  readonly source: Http.IncomingMessage
  readonly resolvedResponse: Http.ServerResponse
}

const isOnNode = (request: object): request is OfNode => (request as Partial<OfNode>).resolvedResponse !== undefined

/** Sends what is answered in the end, unless somebody else changes that yet. */
const sending: PreResponseHandler = (request, response) =>
  withFiber((_, __, fiber) => {
    if (isOnNode(request) && preResponseHandlerOf(fiber) === sending) send(request, response)
    return Exit.succeed(response)
  })

const send = ({ resolvedResponse: own, source }: OfNode, response: HttpServerResponse): void => {
  if (own.writableEnded) return
  const message = messageIn(response)
  if (message !== undefined && isOfMany(source, own)) return write(source, own, message)
  const { body, cookies, headers, status } = response
  if (!waitsForClient || body._tag !== "Uint8Array" || body.body.byteLength >= longest) return
  if (source.method === "HEAD" || !Cookies.isEmpty(cookies)) return
  own.writeHead(status, headers)
  own.end(body.body)
}

/** Has the response sent at once, where Node's server is to send it and nobody changes it in the end. */
export const sendAtOnce = (
  fiber: Caller,
  request: HttpServerRequest,
  response: HttpServerResponse
): Effect.Effect<HttpServerResponse> => {
  const { body: { _tag } } = response
  return (_tag === "Uint8Array" || _tag === "Empty") && isOnNode(request) && preResponseHandlerOf(fiber) === undefined
    ? Effect.as(setPreResponseHandler(fiber, sending), response)
    : Exit.succeed(response)
}
