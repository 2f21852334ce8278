/** The cache between the way in and the way to the origin. */
import { HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpCache } from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { createServer } from "node:http"
import { connect, forwardTo, maxBodyBytes } from "./forward.js"
import { receive } from "./receive.js"

export interface Options extends Pick<HttpCache.Options, "cookies" | "targets" | "staleIfError" | "lane"> {
  readonly origin: URL
  readonly port: number
}

/** Listens on the port; the server is there for who wants to know where. */
export const layer = ({ origin, port, ...options }: Options) => {
  const server = HttpCacheLane.createServer(createServer)
  // A target in authority-form (RFC 9112 §3.2.3).
  server.on(
    "connect",
    (_, socket) =>
      socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
  )
  const served = Effect.gen(function*() {
    // With no `expiry`, so that what the origin's fields say is done.
    const cache = HttpCache.middleware({ ...options, maxBodyBytes })
    yield* HttpServer.serveEffect(receive(cache(forwardTo(yield* connect(origin)))))
    // Where nobody listens for upgrades, Node takes such a request for an ordinary one; and it tells who asks to go on.
    server.removeAllListeners("upgrade").removeAllListeners("checkContinue")
  })
  return Layer.scopedDiscard(served).pipe(
    HttpServer.withLogAddress,
    Layer.provideMerge(NodeHttpServer.layer(() => server, { port }))
  )
}
