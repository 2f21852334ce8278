/** A server with a lane, and a client of Node's that sends it requests by connections within the process. */
import { HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpCacheLane } from "effect-http-cache/node"
import * as Http from "node:http"
import { type Duplex, duplexPair } from "node:stream"
import type { App } from "../platform.js"
import { type Fields, type Options, paths, type Sent } from "./exchanges.js"
import type { Reply } from "./messages.js"

/** Keeps connections, on which what is written is read within the turn. */
class Connections extends Http.Agent {
  private readonly connect: (far: Duplex) => void
  constructor(connect: (far: Duplex) => void) {
    super({ keepAlive: true })
    this.connect = connect
  }
  override createConnection(): Duplex {
    const [near, far] = duplexPair()
    near.on("close", () => far.destroy())
    // What the server has written before arrives.
    far.on("close", () => setImmediate(() => near.destroy()))
    this.connect(Object.assign(far, { destroySoon: () => setImmediate(() => far.destroy()) }))
    // The methods of a socket by which an agent keeps it.
    const nothing = () => {}
    return Object.assign(near, { ref: nothing, setKeepAlive: nothing, setTimeout: nothing, unref: nothing })
  }
}

/** The field that says which exchange a request is of. */
export const indexField = "x-index"

/** Without what no message can have; how a message is framed is for its connection to say. */
export const sendable = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => {
      if (name === "content-length" || name === "transfer-encoding") return false
      try {
        Http.validateHeaderValue(name, value)
        return true
      } catch {
        return false
      }
    })
  )

/** The options of a route that asks for the lane where it may; the one that is asked most often always may. */
export const inLane = (options: Options, path: string): Options => {
  const { cacheControl, partition, ...others } = options
  const isShared = partition === undefined && cacheControl !== "private"
  return isShared ? { ...options, lane: true } : path === paths[0] ? { ...others, lane: true } : options
}

/** A request as it is on a connection, where content of no length is none. */
export const onWire = (to: Sent): Sent => ({
  ...to,
  fields: sendable(to.fields),
  content: to.content === "" ? undefined : to.content
})

/** Reads until there is no more, or until the first bytes where that is all that is wanted. */
const read = (response: Http.IncomingMessage, readsAll: boolean, end: (reply: Reply) => void): void => {
  const chunks: Array<Buffer> = []
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk)
    if (!readsAll) response.destroy()
  })
  response.on("error", () => {})
  response.on("close", () => {
    const { headers: { "set-cookie": cookies = [], ...headers }, statusCode: status = 0 } = response
    end({
      status,
      headers: headers as Reply["headers"],
      cookies,
      text: Buffer.concat(chunks).toString("latin1"),
      isBroken: readsAll && !response.complete
    })
  })
}

/** Sends a request. A connection that breaks before there is a response has answered with the status `0`. */
const ask = (agent: Http.Agent, to: Sent): Effect.Effect<Reply, Error> =>
  Effect.async((resume) => {
    const { content, fields, index, method, path, query, readsAll } = to
    const headers = { host: "localhost", ...fields, [indexField]: index }
    const request = Http.request({ agent, method, path: path + query, headers, setHost: false })
    const end = (reply: Reply) => resume(Effect.succeed(reply))
    request.on("response", (response) => read(response, readsAll, end))
    // A handler's own status below 200: Node writes that, and no response comes after it.
    request.on("information", ({ headers, statusCode: status }) => {
      end({ status, headers: headers as Reply["headers"], cookies: [], text: "", isBroken: false })
      request.destroy()
    })
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET") end({ status: 0, headers: {}, cookies: [], text: "", isBroken: true })
      else resume(Effect.fail(error))
    })
    request.end(content)
    return Effect.sync(() => request.destroy())
  })

/** The way to ask the app by a server with a lane, which is told of each request that the lane has answered. */
export const laneServer = <E, R>(app: App<E, R>, onHit: (index: number) => void) =>
  Effect.gen(function*() {
    const server = HttpCacheLane.createServer(() => new Http.Server(), {
      onHit: ({ request }) => onHit(Number(request.headers[indexField]))
    })
    // Nobody connects to the port.
    const context = yield* Layer.build(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port: 0 }))
    yield* Effect.provide(HttpServer.serveEffect(app), context)
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Connections((far) => server.emit("connection", far))),
      (agent) => Effect.sync(() => agent.destroy())
    )
    return (to: Sent) => ask(agent, to)
  })
