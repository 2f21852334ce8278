/** Writes a response as the platform's server does: the same fields, in the same order. */
import * as Http from "node:http"
import * as Body from "../engine/body.js"
import type { Outgoing } from "../engine/origin.js"
import { fieldsOf } from "../server/response.js"

/** A response as Node's server is given it. */
export interface Message {
  readonly status: number
  /** Names and values in turn. */
  readonly fields: Array<string>
  readonly content: Uint8Array | undefined
  /** The head as Node has written it, where it writes the same to whoever is answered with this on a connection that is kept. */
  head: Uint8Array | undefined
}

export const messageOf = (outgoing: Outgoing, isHead: boolean): Message => {
  const { body, status } = outgoing
  const bytes = Body.isEmpty(body) ? undefined : Body.bytesOf(body)
  const fields = Object.entries(fieldsOf(outgoing, bytes?.byteLength)).flat()
  return { status, fields, content: isHead || bytes === undefined ? undefined : bufferOf(bytes), head: undefined }
}

/** The same bytes, as Node's sockets have them. */
const bufferOf = ({ buffer, byteLength, byteOffset }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength)

export const write = (request: Http.IncomingMessage, response: Http.ServerResponse, message: Message): void => {
  const { content, fields, head, status } = message
  const isUsual = isOfMany(request, response)
  if (isUsual && head !== undefined) return repeat(response, message, head)
  response.writeHead(status, fields)
  if (isUsual) message.head = headOf(response)
  if (content === undefined) response.end()
  else response.end(content)
}

/**
 * Whether Node writes what it writes to many: a response of its own that nobody else has touched, whose turn on its connection
 * it is. The one listener is that of the server, for which a response is over once it says that it is finished.
 */
const isOfMany = ({ httpVersion }: Http.IncomingMessage, response: Http.ServerResponse): boolean =>
  httpVersion === "1.1" && response.shouldKeepAlive && response.socket !== null &&
  Object.getPrototypeOf(response) === Http.ServerResponse.prototype &&
  response.listenerCount("finish") === 1 && response.getHeaderNames().length === 0

/** The connection is kept, for as many requests as come. */
const isKept = /\r\nConnection: keep-alive\r\n(?:Keep-Alive: timeout=\d+\r\n)?\r\n$/
/** What Node writes for this one response: its time, or content whose end has to be told. */
const isOfOne = /\r\n(?:Date|Transfer-Encoding): /

const headOf = (response: Http.ServerResponse): Uint8Array | undefined => {
  // The types leave out the text of the head, by which `headersSent` is told. Where there is none, each head is made anew.
  const { _header: head } = response as { readonly _header?: unknown }
  return typeof head === "string" && isKept.test(head) && !isOfOne.test(head) ? Buffer.from(head, "latin1") : undefined
}

/** Writes what Node has written before, without its way there. */
const repeat = (response: Http.ServerResponse, { content, status }: Message, head: Uint8Array): void => {
  const { socket } = response
  // Who watches the server reads it.
  response.statusCode = status
  const finish = (error?: Error | null) => {
    if (error === undefined || error === null) response.emit("finish")
  }
  if (content === undefined) return void socket?.write(head, finish)
  socket?.cork()
  socket?.write(head)
  socket?.write(content, finish)
  socket?.uncork()
}
