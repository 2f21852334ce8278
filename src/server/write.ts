/** Writes a response to Node's server as the platform does: the same fields, in the same order. */
import * as Http from "node:http"
import * as Body from "../engine/body.js"
import type { Outgoing } from "../engine/origin.js"
import * as Fields from "../protocol/Fields.js"

/** A response as Node's server is given it. */
export interface Message {
  readonly status: number
  readonly fields: Fields.Fields
  readonly content: Uint8Array | undefined
  /** The head that a server has written, for the next answers; `undefined` until there is one that is the same for many clients. */
  head: Head | undefined
}

interface Head {
  readonly text: string
  readonly bytes: Uint8Array
  readonly statusMessage: string
  /** The server decides what a head has beside the fields. */
  readonly server: object | undefined
}

const messages = new WeakMap<Outgoing, Message>()

/** Makes the message once: many requests may be sent the same one. */
export const messageOf = (outgoing: Outgoing): Message => {
  let message = messages.get(outgoing)
  if (message === undefined) messages.set(outgoing, message = make(outgoing))
  return message
}

/** The fields that a client is sent. */
export const fieldsOf = ({ fields, own }: Outgoing, length: number | undefined): { [name: string]: string } => {
  const sent = Fields.merged(fields, own)
  if (length !== undefined && length >= 0) sent["content-length"] = String(length)
  return sent
}

const make = (outgoing: Outgoing): Message => {
  const { body, status } = outgoing
  const bytes = Body.isEmpty(body) ? undefined : Body.bytesOf(body)
  return {
    status,
    fields: fieldsOf(outgoing, bytes?.byteLength),
    // The same memory, without a copy.
    content: bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    head: undefined
  }
}

/** Writes it on whatever connection there is. */
export const write = (request: Http.IncomingMessage, response: Http.ServerResponse, message: Message): void => {
  if (!writeKept(request, response, message)) writeAnew(request, response, message)
}

/** What is around the cache may show it a HEAD as a GET. */
const contentFor = ({ method }: Http.IncomingMessage, { content }: Message): Uint8Array | undefined =>
  method === "HEAD" ? undefined : content

/** Has Node make the head. */
const writeAnew = (request: Http.IncomingMessage, response: Http.ServerResponse, message: Message): void => {
  response.writeHead(message.status, message.fields)
  response.end(contentFor(request, message))
}

/** Writes it where its head is the same for many clients, and keeps the head for the next one; `false`: it has written nothing. */
export const writeKept = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  message: Message
): boolean => {
  if (!isOfMany(request, response)) return false
  const { server } = response.socket as Served
  const { head } = message
  if (head !== undefined && head.server === server) {
    repeat(request, response, message, head)
  } else {
    writeAnew(request, response, message)
    message.head = headOf(response, message, server)
  }
  return true
}

/** A socket that is written to knows its server, though Node's types leave that out. */
interface Served {
  readonly server?: object
}

/** Whether somebody has put something around this one response, to add to it or to end it later. Its prototype has the methods of all. */
export const isWrapped = (response: Http.ServerResponse): boolean => {
  const { end, write, writeHead } = Object.getPrototypeOf(response) as Http.ServerResponse
  return response.writeHead !== writeHead || response.write !== write || response.end !== end
}

/**
 * Whether the head that Node writes is the same for many clients: HTTP/1.1 only, since Node writes each head of HTTP/2 anew; a
 * connection that is kept and can be written to; Node's own class of responses with nothing put around it, nothing set and
 * nothing written; and no earlier response pending on the connection. Nobody may listen for its end but Node itself, for `finish`.
 */
const isOfMany = ({ httpVersion, upgrade }: UpgradableMessage, response: Http.ServerResponse): boolean =>
  httpVersion === "1.1" && upgrade !== true && response.shouldKeepAlive && response.socket?.writable === true &&
  Object.getPrototypeOf(response) === Http.ServerResponse.prototype && !isWrapped(response) &&
  response.listenerCount("finish") === 1 && response.listenerCount("close") === 0 &&
  response.listenerCount("prefinish") === 0 &&
  !response.headersSent && response.writableCorked === 0 && response.getHeaderNames().length === 0 &&
  !hasOtherHead(response)

/** Node says so of who asks for another protocol; its types leave that out. */
interface UpgradableMessage extends Http.IncomingMessage {
  readonly upgrade?: boolean | null
}

/** What Node keeps of a response that makes its head another one; its types leave these out, and that there may be no message. */
interface OfHead {
  readonly statusMessage?: string
  /** It is the last that the server answers on the connection. */
  readonly maxRequestsOnConnectionReached?: boolean
  /** Somebody has taken `Connection` away. */
  readonly _removedConnection?: boolean
  /** The client waits for a `100`, and somebody may answer it without one. */
  readonly _expect_continue?: boolean
}

const hasOtherHead = (own: OfHead): boolean =>
  own.statusMessage !== undefined ||
  (own._removedConnection || own.maxRequestsOnConnectionReached || own._expect_continue) === true

/** What a head has beside its fields where it keeps the connection, and sets no maximum of requests. */
const keepsConnection = /^HTTP\/1\.1 \d+ [^\r]*\r\nConnection: keep-alive\r\n(?:Keep-Alive: timeout=\d+\r\n)?\r\n$/

/** A head is kept where it has the fields of the message and what `keepsConnection` says, and nothing else: the rest is of one response. */
const headOf = (response: Http.ServerResponse, { fields }: Message, server: object | undefined): Head | undefined => {
  // Node's types leave out `_header`, the text of the head. Where a version of Node has none, each head is made anew.
  const { _header: text } = response as { readonly _header?: unknown }
  let lines = ""
  for (const name in fields) lines += `${name}: ${fields[name]}\r\n`
  return typeof text === "string" && keepsConnection.test(text.replace(lines, ""))
    ? { text, bytes: Buffer.from(text, "latin1"), statusMessage: response.statusMessage, server }
    : undefined
}

/** What Node keeps of a message that it has written, and of one that nobody has read; its types leave these out. */
interface Written extends Http.ServerResponse {
  _header?: string
  _headerSent?: boolean
}
interface Read extends Http.IncomingMessage {
  _consuming?: boolean
}

/**
 * Leaves a request without content unread, unless somebody listens to it. Otherwise Node reads it to its end and closes it once it is
 * answered, in turns of their own; `optimizeEmptyRequests` leaves that out for all requests from Node 24.10 on.
 */
const leaveUnread = (request: Read): void => {
  const isEmpty = request.complete && request.readableLength === 0
  if (isEmpty && request.listenerCount("end") + request.listenerCount("close") === 0) request._consuming = true
}

/** Writes the kept head and the content to the socket, past `ServerResponse`. */
const repeat = (
  request: Http.IncomingMessage,
  response: Written,
  message: Message,
  head: Head
): void => {
  const { socket } = response
  const content = contentFor(request, message)
  // Node, and who is told of the response, read these.
  response.statusCode = message.status
  response.statusMessage = head.statusMessage
  response.finished = true
  response._header = head.text
  response._headerSent = true
  const finish = (error?: Error | null) => {
    if (error) return
    leaveUnread(request)
    response.emit("finish")
  }
  if (content === undefined) return void socket?.write(head.bytes, finish)
  socket?.cork()
  socket?.write(head.bytes)
  socket?.write(content, finish)
  socket?.uncork()
}
