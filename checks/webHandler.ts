/** A cached app as a web handler, on whatever runs this: no server, and nothing of Node. */
import { HttpApp, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { HttpCache, InMemoryCacheStorage } from "effect-http-cache"

let runs = 0
const app = Effect.sync(() => HttpServerResponse.text(`run ${++runs}`)).pipe(HttpCache.middleware({ expiry: "1 hour" }))
const { dispose, handler } = HttpApp.toWebHandlerLayer(app, InMemoryCacheStorage.layerCollectable)

const expected = [
  ["GET", 200, "run 1", "effect-http-cache; fwd=uri-miss; stored"],
  ["GET", 200, "run 1", "effect-http-cache; hit"],
  ["HEAD", 200, "", "effect-http-cache; hit"],
  ["POST", 200, "run 2", "effect-http-cache; fwd=method"],
  ["GET", 200, "run 3", "effect-http-cache; fwd=uri-miss; stored"]
] as const
for (const [method, status, text, said] of expected) {
  const response = await handler(new Request("http://localhost/", { method }))
  const told = [response.status, await response.text(), response.headers.get("cache-status")?.replace(/; ttl=\d+$/, "")]
  if (told.join() !== [status, text, said].join()) throw new Error(`${method} is answered ${told.join()}`)
}
await dispose()
console.log("a web handler misses, hits and collects")
