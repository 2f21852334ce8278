/** A server with a lane that a model asks without a connection: a request comes, and is answered or let by, in one step. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { HttpCacheLane } from "effect-http-cache/node"
import { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { Writable } from "node:stream"
import { listenerOf } from "./platform.js"

/** Keeps what is written to it. */
class Wire extends Writable {
  text = ""
  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.text += chunk.toString("latin1")
    done()
  }
}

/** Throws an `Error` where the lane has not written all of it. */
const responseIn = (text: string): HttpServerResponse.HttpServerResponse => {
  const end = text.indexOf("\r\n\r\n")
  const [status = "", ...lines] = text.slice(0, end).split("\r\n")
  if (end < 0 || !status.startsWith("HTTP/1.1 ")) throw new Error(`no response: ${text}`)
  const headers = Object.fromEntries(lines.map((line) => {
    const colon = line.indexOf(": ")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)]
  }))
  return HttpServerResponse.text(text.slice(end + 4), { status: Number(status.split(" ")[1]), headers })
}

/** What has become of a request: the lane has answered it, or it has come to the handler. */
export type Arrived =
  | { readonly answer: HttpServerResponse.HttpServerResponse; readonly request?: undefined }
  | { readonly answer?: undefined; readonly request: HttpServerRequest.HttpServerRequest }

export type Lane = (method: string, path: string, fields: Record<string, string>) => Arrived

export const makeLane = (): Lane => {
  const letBy: Array<HttpServerRequest.HttpServerRequest> = []
  /** The model answers it, and not the server. */
  const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    letBy.push(request)
    return Effect.async<HttpServerResponse.HttpServerResponse>(() => {})
  })
  const server = HttpCacheLane.createServer(() => new Server()).on("request", listenerOf(handler))
  return (method, url, fields) => {
    const wire = new Wire()
    // Of a socket, Node asks here no more than a stream has.
    const socket = wire as unknown as Socket
    const message = Object.assign(new IncomingMessage(socket), {
      method,
      url,
      httpVersion: "1.1",
      httpVersionMajor: 1,
      httpVersionMinor: 1,
      headers: { host: "localhost", ...fields }
    })
    const response = new ServerResponse(message)
    response.assignSocket(socket)
    // Node's server has this one listener: with it the lane writes again the head that Node has written before.
    response.on("finish", () => {})
    server.emit("request", message, response)
    const request = letBy.pop()
    return request === undefined ? { answer: responseIn(wire.text) } : { request }
  }
}
