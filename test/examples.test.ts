/** Every example runs. */
import { HttpLayerRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"
import { once } from "node:events"
import { createServer as createHttpServer, get, type IncomingHttpHeaders } from "node:http"
import { createServer } from "node:net"
import * as conditionalRequests from "../examples/conditional-requests.js"
import * as customStorage from "../examples/custom-storage.js"
import * as httpApi from "../examples/http-api.js"
import * as httpLayerRouter from "../examples/http-layer-router.js"
import "../examples/custom-storage.test.js"
import "../examples/testing.test.js"
import { appOfApi, appOfRouter, codeOfSignal, serve, TestServer } from "./harness.js"
import { endAll, freePort, started } from "./started.js"

afterAll(endAll)

const quickstart = (port: string) => started("examples/quickstart.ts", { ...process.env, PORT: port })

describe("quickstart", () => {
  it("serves, does what its curl lines say, and stops cleanly on SIGINT and SIGTERM", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const port = await freePort()
      const { child, exited, output, says } = quickstart(String(port))
      await says("/handler-runs")
      expect(output().match(/^ {2}curl .*$/gm)).toHaveLength(4)
      const ask = (path: string, init: RequestInit = {}) => fetch(`http://localhost:${port}${path}`, init)
      const said = (response: Response) => response.headers.get("cache-status")
      const miss = await ask("/users/1")
      expect([said(miss), await miss.text()]).toEqual([
        "effect-http-cache; fwd=uri-miss; stored",
        "{\"id\":\"1\",\"name\":\"Ada\",\"version\":1}"
      ])
      expect(said(await ask("/users/1"))).toMatch(/^effect-http-cache; hit; ttl=\d$/)
      expect((await ask("/users/1", { headers: { "if-none-match": "\"v1\"" } })).status).toBe(304)
      const patch = () =>
        ask("/users/1", { method: "PATCH", headers: { "if-match": "\"v1\"" }, body: "{\"name\":\"Grace\"}" })
      expect([(await patch()).status, (await patch()).status]).toEqual([200, 412])
      expect(await (await ask("/users/1")).json()).toEqual({ id: "1", name: "Grace", version: 2 })
      const missing = await ask("/users/9")
      expect([missing.status, await missing.json()]).toEqual([404, { error: "UserNotFound", id: "9" }])
      const greeting = async (language: string) =>
        (await ask("/greeting", { headers: { "accept-language": language } })).text()
      expect([await greeting("fr"), await greeting("de-AT"), await greeting("en")]).toEqual([
        "Bonjour\n",
        "Guten Tag\n",
        "Hello\n"
      ])
      expect((await ask("/me")).status).toBe(401)
      const me = await ask("/me", { headers: { authorization: "Bearer ada" } })
      expect([me.status, me.headers.get("cache-control")]).toEqual([200, "private"])
      expect(await (await ask("/handler-runs")).json())
        .toEqual({ "GET /users/:id": 3, "PATCH /users/:id": 1, "GET /greeting": 3, "GET /me": 2 })
      child.kill(signal)
      expect([signal, ...await exited]).toEqual([signal, codeOfSignal, null])
    }
  }, 60_000)

  it("ends with one clear line and a non-zero code for a PORT that is none, and for one that is taken", async () => {
    const notANumber = quickstart("abc")
    expect(await notANumber.exited).toEqual([1, null])
    expect(notANumber.output()).toBe("PORT: it must be a number from 0 to 65535\n")
    const tooLarge = quickstart("70000")
    expect(await tooLarge.exited).toEqual([1, null])
    expect(tooLarge.output()).toBe("PORT: it must be a number from 0 to 65535\n")
    const server = createServer().listen(0)
    await once(server, "listening")
    const { port } = server.address() as { port: number }
    const taken = quickstart(String(port))
    expect(await taken.exited).toEqual([1, null])
    expect(taken.output()).toMatch(
      /^Can't listen on port \d+: Error: listen EADDRINUSE: .*; try another, as in PORT=3001 npm start\n$/
    )
    server.close()
  }, 60_000)
})

describe("reverse proxy", () => {
  const proxy = (env: { readonly [name: string]: string }) => {
    const { ORIGIN: _, PORT: __, ...rest } = process.env
    return started("examples/reverse-proxy.ts", { ...rest, ...env })
  }

  it("names the variable that is missing or wrong, and says what there is", async () => {
    const without = proxy({})
    expect(await without.exited).toEqual([1, null])
    expect(without.output()).toMatch(/ORIGIN[\s\S]*COOKIES[\s\S]*TARGETS[\s\S]*STALE_IF_ERROR[\s\S]*STORAGE/)
    const help = started("examples/reverse-proxy.ts", process.env, "--help")
    expect(await help.exited).toEqual([0, null])
    expect(help.output()).toMatch(/ORIGIN[\s\S]*PORT[\s\S]*COOKIES[\s\S]*TARGETS[\s\S]*STALE_IF_ERROR[\s\S]*STORAGE/)
    const origins = ["http://127.0.0.1:1/path", "http://user@127.0.0.1:1"]
    for (const wrong of origins.map((origin) => proxy({ ORIGIN: origin }))) {
      expect(await wrong.exited).toEqual([1, null])
      expect(wrong.output()).toContain("ORIGIN")
      expect(wrong.output()).toContain("expected http:// or https://, a host, and no path")
    }
  }, 60_000)

  it("forwards, caches, passes interim responses on, and answers 502 where nobody is", async () => {
    let asked = 0
    const origin = createHttpServer((request, response) => {
      asked++
      response.writeEarlyHints({ link: "</style.css>; rel=preload" })
      response.writeHead(200, {
        "cache-control": "max-age=60",
        "x-via": request.headers["via"] ?? "",
        "x-forwarded": String(request.headers["forwarded"]),
        "trailer": "x-trailer"
      })
      response.addTrailers({ "x-trailer": "1" })
      response.end(`${request.method} ${request.url}`)
    }).listen(0, "127.0.0.1")
    await once(origin, "listening")
    const { port: originPort } = origin.address() as { port: number }
    const port = await freePort()
    const { child, exited, says } = proxy({ ORIGIN: `http://127.0.0.1:${originPort}`, PORT: String(port) })
    await says("Listening")
    const hints: Array<unknown> = []
    const ask = (path: string) =>
      new Promise<readonly [number | undefined, string, IncomingHttpHeaders]>((resolve, reject) =>
        get({ host: "127.0.0.1", port, path }, (response) => {
          let text = ""
          response.on("data", (chunk) => text += chunk)
          response.on("end", () => resolve([response.statusCode, text, response.headers]))
        }).on("information", ({ headers, statusCode }) => hints.push([statusCode, headers["link"]])).on("error", reject)
      )
    const [status, text, headers] = await ask("/a?b=%20c")
    expect([status, text, headers["x-via"]]).toEqual([200, "GET /a?b=%20c", "1.1 effect-http-cache"])
    expect(headers["x-forwarded"]).toMatch(/^for="127\.0\.0\.1";host="127\.0\.0\.1:\d+";proto=http$/)
    expect([headers["x-trailer"], headers["trailer"]]).toEqual([undefined, undefined])
    expect(hints).toEqual([[103, "</style.css>; rel=preload"]])
    expect((await ask("/a?b=%20c"))[2]["cache-status"]).toMatch(/^effect-http-cache; hit; ttl=/)
    expect(asked).toBe(1)
    origin.close()
    origin.closeAllConnections()
    await once(origin, "close")
    expect((await ask("/other"))[0]).toBe(502)
    expect((await ask("/a?b=%20c"))[0]).toBe(200)
    child.kill("SIGTERM")
    expect(await exited).toEqual([codeOfSignal, null])
  }, 60_000)
})

describe("a custom storage", () => {
  it.scoped("serves a cached route", () =>
    Effect.gen(function*() {
      const ask = yield* serve(Effect.succeed(HttpServerResponse.text("x")).pipe(withCache({ expiry: 10 })))
      yield* ask("/")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide([NodeHttpServer.layerTest, customStorage.layer])))
})

describe("conditional requests", () => {
  it.scoped("no update is lost, and who has the current version gets a 304", () =>
    Effect.gen(function*() {
      const ask = yield* serve(yield* appOfRouter(conditionalRequests.router))
      const first = yield* ask("/documents/1")
      expect([first.text, first.headers["etag"], first.headers["cache-control"]]).toEqual([
        "first",
        "\"1\"",
        "no-cache"
      ])
      const put = (text: string, headers: { readonly [name: string]: string }, id = 1) =>
        ask(`/documents/${id}`, { method: "PUT", body: text, headers: { ...headers, "content-length": text.length } })
      expect((yield* put("Ada's", { "if-match": "\"1\"" })).headers["etag"]).toBe("\"2\"")
      expect((yield* put("Alan's", { "if-match": "\"1\"" })).status).toBe(412)
      expect((yield* ask("/documents/1")).text).toBe("Ada's")
      expect((yield* ask("/documents/1", { headers: { "if-none-match": "\"2\"" } })).status).toBe(304)
      expect((yield* put("new", { "if-none-match": "*" }, 2)).status).toBe(201)
      expect((yield* put("new", { "if-none-match": "*" }, 2)).status).toBe(412)
      expect((yield* ask("/documents/3")).status).toBe(404)
    }).pipe(Effect.provide([TestServer, conditionalRequests.Documents.layer])))
})

describe("HttpLayerRouter", () => {
  it.scoped("caches a route, and the routes under its middleware", () =>
    Effect.gen(function*() {
      const ask = yield* serve(yield* HttpLayerRouter.toHttpEffect(httpLayerRouter.routes))
      const said: Array<string> = []
      for (const method of ["GET", "GET", "POST", "GET"]) said.push((yield* ask("/entries", { method })).cacheStatus)
      expect(said).toEqual(["fwd=uri-miss; stored", "hit; ttl=60", "fwd=method", "fwd=uri-miss; stored"])
      yield* ask("/fast")
      expect((yield* ask("/fast")).cacheStatus).toBe("hit; ttl=1")
    }).pipe(Effect.provide(TestServer)))
})

describe("HttpApi", () => {
  it.scoped("58: a wrong API key never gets a hit, for authentication is outside the cache", () =>
    Effect.gen(function*() {
      const ask = yield* serve(yield* appOfApi(httpApi.ApiLive))
      const as = (key: string, path: string) =>
        Effect.map(
          ask(path, { headers: { "x-api-key": key } }),
          ({ cacheStatus, status, text }) => [status, status === 200 ? text : "", cacheStatus.slice(0, 3)]
        )
      expect(yield* as("key-of-ada", "/prices")).toEqual([200, "{\"run\":1}", "fwd"])
      expect(yield* as("key-of-alan", "/prices")).toEqual([200, "{\"run\":1}", "hit"])
      expect(yield* as("wrong", "/prices")).toEqual([401, "", ""])
      expect(yield* as("key-of-ada", "/mine")).toEqual([200, "{\"name\":\"Ada\",\"run\":2}", "fwd"])
      expect(yield* as("key-of-alan", "/mine")).toEqual([200, "{\"name\":\"Alan\",\"run\":3}", "fwd"])
      expect(yield* as("key-of-ada", "/mine")).toEqual([200, "{\"name\":\"Ada\",\"run\":2}", "hit"])
      expect(yield* as("wrong", "/mine")).toEqual([401, "", ""])
    }).pipe(
      Effect.provide(InMemoryCacheStorage.layerCollectable),
      Effect.provide(NodeHttpServer.layerTest)
    ))
})
