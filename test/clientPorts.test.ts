/** A cache around the clients of the platform, over a port: what `fetch` decodes and hides, and what Node's client does not. */
import { FetchHttpClient, HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { HttpClientCache, InMemoryCacheStorage } from "effect-http-cache"
import { once } from "node:events"
import * as Http from "node:http"
import { brotliCompressSync, gunzipSync, gzipSync } from "node:zlib"
import { said } from "./client.js"
import { freePort } from "./freePort.js"
import { troubleOf } from "./platform.js"

const text = "content ".repeat(100)

/** Listens until the scope closes, and counts what it is asked. */
const listening = (answer: Http.RequestListener) =>
  Effect.gen(function*() {
    const asked: Array<Http.IncomingMessage> = []
    const server = Http.createServer((request, response) => {
      asked.push(request)
      answer(request, response)
    })
    const port = yield* Effect.promise(freePort)
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(port, "127.0.0.1"), "listening")),
      () =>
        Effect.promise(() =>
          new Promise((resolve) => {
            server.close(resolve)
            server.closeAllConnections()
          })
        )
    )
    return { asked, url: (path: string) => `http://127.0.0.1:${port}${path}` }
  })

const fetching = FetchHttpClient.layer
const clients = { fetching, node: NodeHttpClient.layer, undici: NodeHttpClient.layerUndici }
const names = Object.keys(clients) as ReadonlyArray<keyof typeof clients>

const layerOf = (client: Layer.Layer<HttpClient.HttpClient>) =>
  HttpClientCache.layer({ staleIfError: "1 hour" }).pipe(Layer.provide([client, InMemoryCacheStorage.layerCollectable]))

/** With a tag for each coding, as an origin should. */
const coding: Http.RequestListener = (request, response) => {
  const accepted = request.headers["accept-encoding"] ?? ""
  const [name, body] = request.url === "/br"
    ? ["br", brotliCompressSync(text)]
    : /gzip/.test(accepted)
    ? ["gzip", gzipSync(text)]
    : [undefined, Buffer.from(text)]
  const etag = `"${name ?? "identity"}"`
  const isCurrent = request.headers["if-none-match"] === etag
  response.writeHead(isCurrent ? 304 : 200, {
    "cache-control": request.url === "/stale" ? "max-age=0" : "max-age=60",
    "vary": "Accept-Encoding",
    "content-type": "text/plain",
    etag,
    ...(name === undefined ? {} : { "content-encoding": name }),
    ...(isCurrent ? {} : { "content-length": String(body.byteLength) })
  })
  response.end(isCurrent || request.method === "HEAD" ? undefined : body)
}

describe("content that fetch decodes", () => {
  it.scopedLive.each(["/gzip", "/br", "/stale"])(
    "is stored decoded, without the fields of the coding: %s",
    (path) =>
      Effect.gen(function*() {
        const { asked, url } = yield* listening(coding)
        const words = path === "/stale"
          ? ["fwd=uri-miss", "fwd=stale; fwd-status=304; stored", "fwd=stale; fwd-status=304; stored"]
          : ["fwd=uri-miss", "hit; ttl=60", "hit; ttl=60"]
        for (const word of words) {
          const response = yield* HttpClient.get(url(path))
          expect([yield* response.text, yield* response.text]).toEqual([text, text])
          expect(said(response).replace(/ttl=5\d/, "ttl=60")).toBe(word)
          expect(response.headers["content-encoding"]).toBeUndefined()
          expect([undefined, String(text.length)]).toContain(response.headers["content-length"])
          expect(response.headers["vary"]).toBe("Accept-Encoding")
        }
        const head = yield* HttpClient.head(url(path))
        expect(head.headers["content-encoding"]).toBeUndefined()
        expect(yield* (yield* HttpClient.get(url(path))).text).toBe(text)
        expect(asked.length).toBe(path === "/stale" ? 5 : 1)
      }).pipe(Effect.provide(layerOf(fetching)))
  )

  it.scopedLive("that Node's client does not: the coding selects the copy", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* listening(coding)
      const as = (accepted: string) =>
        HttpClient.execute(
          HttpClientRequest.get(url("/gzip")).pipe(HttpClientRequest.setHeader("accept-encoding", accepted))
        )
      for (const _ of ["a miss", "a hit"]) {
        const plain = yield* HttpClient.get(url("/gzip"))
        expect([yield* plain.text, plain.headers["content-encoding"]]).toEqual([text, undefined])
        const coded = yield* as("gzip")
        expect(coded.headers["content-encoding"]).toBe("gzip")
        expect(gunzipSync(Buffer.from(yield* coded.arrayBuffer)).toString()).toBe(text)
        const other = yield* as("deflate")
        expect(yield* other.text).toBe(text)
      }
      expect(asked.length).toBe(3)
    }).pipe(Effect.provide(layerOf(clients.node))))
})

describe("a redirection that fetch follows", () => {
  it.scopedLive("is not stored: its answer is another URI's", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* listening(({ url: path }, response) => {
        if (path === "/from") response.writeHead(302, { location: `/to${asked.length}` })
        else response.writeHead(200, { "cache-control": "max-age=60" })
        response.end(path)
      })
      const first = yield* HttpClient.get(url("/from"))
      expect([first.status, yield* first.text]).toEqual([200, "/to1"])
      const second = yield* HttpClient.get(url("/from"))
      expect(yield* second.text).toBe("/to3")
      expect(yield* Effect.flatMap(HttpClient.get(url("/to1")), ({ text }) => text)).toBe("/to1")
    }).pipe(Effect.provide(layerOf(fetching))))

  it.scopedLive("195: has changed what it leads to", () =>
    Effect.gen(function*() {
      const { url } = yield* listening(({ method, url: path }, response) => {
        const isMoved = method === "PUT" && path === "/items"
        response.writeHead(isMoved ? 308 : 200, {
          "cache-control": "max-age=60",
          ...isMoved && { location: "/items/" }
        })
        response.end(path)
      })
      const asked = Effect.tap(HttpClient.get(url("/items/")), ({ text }) => text)
      yield* asked
      expect((yield* HttpClient.put(url("/items"))).status).toBe(200)
      expect(said(yield* asked)).toBe("fwd=uri-miss")
    }).pipe(Effect.provide(layerOf(fetching))))

  it.scopedLive("nor one that is followed beneath the cache; of one that is followed around it each answer is", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* listening(({ url: path }, response) => {
        response.writeHead(path === "/from" ? 302 : 200, { "cache-control": "max-age=60", location: "/to" })
        response.end(path)
      })
      const client = yield* HttpClient.HttpClient
      const beneath = yield* HttpClientCache.transform(HttpClient.followRedirects(client))
      const from = HttpClientRequest.get(url("/from"))
      for (const _ of [1, 2]) expect(yield* Effect.flatMap(beneath.execute(from), ({ text }) => text)).toBe("/to")
      expect(asked.length).toBe(4)
      const around = HttpClient.followRedirects(yield* HttpClientCache.transform(client))
      for (const _ of [1, 2]) {
        expect(yield* Effect.flatMap(around.get(url("/from")), ({ text }) => text)).toBe("/to")
      }
      expect(asked.length).toBe(6)
    }).pipe(Effect.provide([clients.node, InMemoryCacheStorage.layerCollectable])))
})

describe.each(names)("over a port, by %s", (name) => {
  it.scopedLive("a response is stored, forgotten, and stands in for one that does not come", () =>
    Effect.gen(function*() {
      let isDown = false
      const { asked, url } = yield* listening(({ method, socket, url: path }, response) => {
        if (isDown) return void socket.destroy()
        response.writeHead(method === "PUT" ? 204 : 200, {
          "cache-control": path === "/stale" ? "max-age=0" : "max-age=60",
          "set-cookie": ["a=1", "b=2"]
        })
        response.end(method === "PUT" ? undefined : text)
      })
      const asking = (path: string) =>
        Effect.flatMap(HttpClient.get(url(path)), (response) => Effect.as(response.text, response))
      const began = yield* Clock.currentTimeMillis
      expect(Object.keys((yield* asking("/a")).cookies.cookies)).toEqual(["a", "b"])
      const [, ttl] = /^hit; ttl=(\d+)$/.exec(`${said(yield* asking("/a"))}`) ?? []
      const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
      expect(Number(ttl)).toBeLessThanOrEqual(60)
      // `Date` is in whole seconds, so that the response may seem to be one second old when it comes.
      expect(Number(ttl)).toBeGreaterThanOrEqual(Math.floor(59 - seconds))
      expect((yield* HttpClient.put(url("/a"))).status).toBe(204)
      expect(said(yield* asking("/a"))).toBe("fwd=uri-miss")
      expect((yield* HttpClient.head(url("/b"))).status).toBe(200)
      yield* asking("/stale")
      isDown = true
      expect(said(yield* asking("/stale"))).toBe("fwd=stale; fwd-status=502")
      expect(troubleOf(yield* Effect.flip(asking("/c")))).toBe("Transport")
      expect(new Set(asked.map(({ method, url }) => `${method} ${url}`)).size).toBe(5)
    }).pipe(Effect.provide(layerOf(clients[name]))))

  it.scopedLive("a hundred that ask at one time are answered by one", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* listening((_, response) => {
        setImmediate(() => response.writeHead(200, { "cache-control": "max-age=60" }).end(text))
      })
      const asking = Effect.flatMap(HttpClient.get(url("/a")), ({ text }) => text)
      const all = yield* Effect.all(Array.from({ length: 100 }, () => asking), { concurrency: "unbounded" })
      expect(new Set(all)).toEqual(new Set([text]))
      expect(asked.length).toBe(1)
    }).pipe(Effect.provide(layerOf(clients[name]))))

  it.scopedLive("who leaves ends the request", () =>
    Effect.gen(function*() {
      const [came, left] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const { url } = yield* listening((request) => {
        request.socket.on("close", () => Effect.runFork(Deferred.succeed(left, undefined)))
        Effect.runFork(Deferred.succeed(came, undefined))
      })
      const asking = yield* Effect.fork(HttpClient.get(url("/a")))
      yield* Deferred.await(came)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(left)
    }).pipe(Effect.provide(layerOf(clients[name]))))

  it.scopedLive("a body that breaks off is stored by nobody", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* listening((request, response) => {
        response.writeHead(200, { "cache-control": "max-age=60", "content-length": "1000" })
        response.write("begun")
        setImmediate(() => request.socket.destroy())
      })
      for (const _ of [1, 2]) {
        const response = yield* HttpClient.get(url("/a"))
        expect(troubleOf(yield* Effect.flip(Stream.runDrain(response.stream)))).toBe("Decode 200")
      }
      expect(asked.length).toBe(2)
    }).pipe(Effect.provide(layerOf(clients[name]))))
})
