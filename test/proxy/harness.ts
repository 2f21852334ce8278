/** The reverse proxy between raw sockets: what is on the wire at both of its ends. */
import { HttpServer } from "@effect/platform"
import { Context, Effect, Layer, type Scope } from "effect"
import { InMemoryCacheStorage } from "effect-http-cache"
import { once } from "node:events"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { layer, type Options } from "../../examples/reverse-proxy/proxy.js"
import { logged, portOf, send } from "../harness.js"

export { send }

/** A message whose content is `text`. */
export const message = (head: string, text = ""): string =>
  `${head.replaceAll("\n", "\r\n")}\r\nContent-Length: ${Buffer.byteLength(text, "latin1")}\r\n\r\n${text}`

export interface Origin {
  readonly port: number
  /** What it was sent, a text per connection; bytes are characters. */
  readonly received: Array<string>
  readonly sockets: ReadonlySet<Socket>
}

/** The request that has come whole, for an origin that answers one on each connection. */
const isWhole = (text: string): boolean => {
  const end = text.indexOf("\r\n\r\n")
  if (end === -1) return false
  const head = text.slice(0, end)
  if (/\r\ntransfer-encoding: chunked/i.test(head)) return text.endsWith("\r\n0\r\n\r\n")
  return text.length - end - 4 >= Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
}

/** An origin that does what it is told with a socket as soon as `isDue`: when the request is whole, if nothing else is said. */
export const originOf = (
  answer: string | ((socket: Socket, request: string) => void),
  isDue: (received: string) => boolean = isWhole
): Effect.Effect<Origin, never, Scope.Scope> =>
  Effect.gen(function*() {
    const received: Array<string> = []
    const sockets = new Set<Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        createServer((socket) => {
          const index = received.push("") - 1
          sockets.add(socket)
          let isAnswered = false
          socket.on("error", () => {}).on("close", () => sockets.delete(socket)).on("data", (chunk) => {
            received[index] += chunk.toString("latin1")
            if (isAnswered || !isDue(received[index]!)) return
            isAnswered = true
            if (typeof answer === "string") socket.end(answer, "latin1")
            else answer(socket, received[index]!)
          })
        }).listen(0, "127.0.0.1")
      ),
      (server) =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          server.close()
        })
    )
    yield* Effect.promise(() => once(server, "listening"))
    return { port: (server.address() as AddressInfo).port, received, sockets }
  })

/** The proxy in front of it; answers its port. */
export const proxied = (
  { port }: { readonly port: number },
  options: Omit<Options, "origin" | "port"> = {}
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function*() {
    const served = layer({ ...options, origin: new URL(`http://127.0.0.1:${port}`), port: 0 })
    const quiet = Layer.provide(served, [InMemoryCacheStorage.layerCollectable, logged([])])
    return portOf(Context.get(yield* Effect.orDie(Layer.build(quiet)), HttpServer.HttpServer))
  })

/** Sends a request without content; `head` has its first line, and fields. */
export const ask = (port: number, head: string, localAddress?: string): Effect.Effect<string> =>
  send(port, `${head.replaceAll("\n", "\r\n")}\r\nConnection: close\r\n\r\n`, localAddress)

export const statusOf = (response: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(response)?.[1])

/** The values of a field, a line each. */
export const linesOf = (received: string, name: string): ReadonlyArray<string> =>
  received.slice(0, received.indexOf("\r\n\r\n")).split("\r\n").slice(1)
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).replace(/^[ \t]+/, ""))

/** The first line of what an origin was sent. */
export const requestLine = (received: string | undefined): string | undefined => received?.split("\r\n", 1)[0]
