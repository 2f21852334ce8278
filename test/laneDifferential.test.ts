/**
 * The same random requests to one app on a server with a lane and on one without: each answer is the same, but for what
 * Node says of the time. LANE_EXCHANGES and LANE_SEED say how many, and which; `npm run check:lane` takes 200,000.
 */
import { HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { randomInt } from "node:crypto"
import * as Http from "node:http"
import { portOf, routes } from "./harness.js"
import { laneServer, usualServer } from "./lane.js"
import { Dice } from "./simulation.js"

const { LANE_EXCHANGES, LANE_SEED } = process.env
const exchanges = Number(LANE_EXCHANGES ?? 5000)

const lane = true

/** Routes of many kinds. What they answer changes with what is written to them. */
const appOf = () => {
  const values = new Map<string, number>()
  const pathOf = ({ url }: HttpServerRequest.HttpServerRequest) => new URL(url, "http://localhost").pathname
  const text = (headers: { readonly [name: string]: string } = {}, length = 10) =>
    Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
      const path = pathOf(request)
      return HttpServerResponse.text(`${path} ${values.get(path) ?? 0} `.padEnd(length, "x"), { headers })
    })
  const write = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    const path = pathOf(request)
    values.set(path, (values.get(path) ?? 0) + 1)
    return HttpServerResponse.empty({ status: 204 })
  })
  const spoken = Effect.map(
    HttpServerRequest.HttpServerRequest,
    ({ headers }) => HttpServerResponse.text(String(headers["accept-language"]))
  )
  return routes({
    "GET /usual/:id": text().pipe(withCache({ expiry: 10, lane, groups: () => ["usual"] })),
    "GET /short/:id": text({ "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT" }).pipe(
      withCache({ expiry: 2, staleIfError: 5, etag: "none", lane })
    ),
    "GET /large/:id": text({}, 65_536).pipe(withCache({ expiry: 30, etag: "weak", lane, clients: "revalidate" })),
    "GET /stated/:id": text({ "cache-control": "max-age=5, s-maxage=8", "etag": "\"own\"" }).pipe(withCache({ lane })),
    "GET /private/:id": text({ "cache-control": "private, max-age=5" }).pipe(withCache({ lane, expiry: 5 })),
    "GET /named/:id": spoken.pipe(withCache({ expiry: 10, lane, vary: ["Accept-Language"] })),
    "GET /read/:id": spoken.pipe(withCache({ expiry: 10, lane })),
    "GET /cookies/:id": text({ "set-cookie": "a=b" }).pipe(withCache({ expiry: 10, lane, cookies: "store" })),
    "GET /none/:id": Effect.succeed(HttpServerResponse.empty({ status: 404 })).pipe(
      withCache({ expiry: 10, lane, query: "none" })
    ),
    "GET /moved/:id": Effect.succeed(HttpServerResponse.redirect("/usual/1", { status: 301 })).pipe(
      withCache({ expiry: 10, lane, cacheStatus: { name: "b", detail: true, key: true } })
    ),
    "PATCH /:kind/:id": write.pipe(withCollect()),
    "POST /:kind/:id": write.pipe(withCollect({ groups: () => ["usual"], soft: true })),
    "* /*": Effect.succeed(HttpServerResponse.text("nothing here", { status: 404 }))
  })
}

const kinds = ["usual", "short", "large", "stated", "private", "named", "read", "cookies", "none", "moved"]

interface Sent {
  readonly method: string
  readonly path: string
  readonly headers: Http.OutgoingHttpHeaders
}

/** What clients send that asks for more, or for less, than a response. */
const fieldsOf = (dice: Dice, etags: ReadonlyArray<string>): Http.OutgoingHttpHeaders => {
  const tag = dice.one(["*", "\"junk\"", "W/\"own\"", ...etags.slice(-4)])
  const date = dice.one(["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:01:00 GMT", "never"])
  const all: ReadonlyArray<readonly [string, string]> = [
    ["if-none-match", tag],
    ["if-none-match", tag],
    ["if-modified-since", date],
    ["if-match", tag],
    ["if-unmodified-since", date],
    ["range", dice.one(["bytes=0-1", "bytes=-2", "bytes=99999999-", "lines=1-2"])],
    ["if-range", tag],
    ["authorization", "Basic eA=="],
    ["cache-control", dice.one(["no-cache", "max-age=0", "max-stale=9", "no-store", "only-if-cached", "min-fresh=5"])],
    ["pragma", "no-cache"],
    ["accept-language", dice.one(["fr", "de", "fr, de"])],
    ["accept-language", dice.one(["FR", "de;q=0.5"])],
    ["cookie", "a=b"],
    ["connection", dice.one(["keep-alive", "x-hop", "accept-language"])],
    ["host", dice.one(["A.example:80", "b.example:8080"])],
    ["content-length", "0"]
  ]
  return Object.fromEntries(dice.is(0.4) ? dice.some(all, 3) : [])
}

const agentOf = Effect.acquireRelease(
  Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: 1 })),
  (agent) => Effect.sync(() => agent.destroy())
)

/** All of an answer but the time by Node's clock. */
const exchange = (agent: Http.Agent, port: number, { headers, method, path }: Sent) =>
  new Promise<ReadonlyArray<unknown>>((resolve, reject) => {
    const all = { host: "a.example", ...headers }
    Http.request({ agent, host: "127.0.0.1", port, method, path, headers: all, setHost: false }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", reject)
      response.on("end", () => {
        const { rawHeaders, statusCode, statusMessage } = response
        const names = rawHeaders.filter((_, at) => at % 2 === 0)
        const fields = names.flatMap((name, at) => name === "Date" ? [] : [`${name}: ${rawHeaders[2 * at + 1]}`])
        resolve([statusCode, statusMessage, ...fields, Buffer.concat(chunks).toString()])
      })
    }).on("error", reject).end()
  })

const bounded = Layer.fresh(InMemoryCacheStorage.layerWith({ maxBytes: 200_000, maxVariants: 3 }))

it.scoped(`with a lane and without one ${exchanges} answers are the same`, () =>
  Effect.gen(function*() {
    const seed = Number(LANE_SEED ?? randomInt(2 ** 31))
    const dice = new Dice(seed)
    let byLane = 0
    const serving = (server: ReturnType<typeof usualServer>) =>
      Effect.gen(function*() {
        const context = yield* Layer.build(server)
        yield* Effect.provide(HttpServer.serveEffect(appOf()), context)
        const port = portOf(Context.get(context, HttpServer.HttpServer))
        const agent = yield* agentOf
        return {
          ask: (sent: Sent) => Effect.promise(() => exchange(agent, port, sent)),
          collect: Effect.provide(HttpCache.collectGroup("usual", { origin: "http://a.example" }), context)
        }
      })
    const servers = [yield* serving(laneServer(() => byLane++, bounded)), yield* serving(usualServer(bounded))]
    const etags: Array<string> = []
    for (let at = 0; at < exchanges; at++) {
      if (dice.is(0.02)) yield* TestClock.adjust(dice.one([1, 500, 1000, 3000, 9000]))
      if (dice.is(0.005)) yield* Effect.forEach(servers, ({ collect }) => collect)
      const query = dice.is(0.9) ? "" : dice.one(["?a=1", "?b"])
      const sent: Sent = {
        method: dice.is(0.9) ? "GET" : dice.one(["HEAD", "HEAD", "PATCH", "POST", "DELETE"]),
        path: dice.is(0.98)
          ? `/${dice.one(kinds)}/${dice.below(3)}${query}`
          : dice.one(["/", "//usual/1", "/usual/%31"]),
        headers: fieldsOf(dice, etags)
      }
      const [own, usual] = yield* Effect.forEach(servers, ({ ask }) => ask(sent))
      expect(own, `seed ${seed}, exchange ${at}: ${JSON.stringify(sent)}`).toEqual(usual)
      const tag = usual!.find((field) => String(field).startsWith("etag: "))
      if (tag !== undefined) etags.push(String(tag).slice("etag: ".length))
    }
    expect(byLane).toBeGreaterThan(exchanges / 5)
  }), 3_600_000)
