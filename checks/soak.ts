/**
 * Two minutes of mixed load on a real port: the heap stays level, and no fiber and no flight is left behind.
 * `npm run soak -- --seconds 120 --svg soak.svg`
 */
import { HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Option, Schedule, Stream } from "effect"
import { CacheStorage, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { type App, logged, portOf, routes } from "../test/harness.js"
import { countedFibers } from "../test/steps.js"
import { mean, slope, used } from "./heap.js"
import { draw, type Sample } from "./soakChart.js"

const { values: flags } = parseArgs({
  options: { seconds: { type: "string", default: "120" }, svg: { type: "string", default: "soak.svg" } }
})
const seconds = Number(flags.seconds)
if (!(seconds >= 24)) throw new TypeError(`--seconds is ${flags.seconds}; it must be a number, 24 or more`)

const workers = 18
/** Exchanges, of all workers together; one takes at most three requests. */
const ratePerSecond = 1000
/** The first part of the run, in which code is compiled and the storage is filled. */
const warmUp = Math.max(12, Math.ceil(seconds / 4))
/** Bytes per second; of a short run the noise is a larger part. */
const maxHeapSlope = 20 * 1024 * Math.max(1, 120 / seconds)
/** Bytes, from the first quarter of the samples to the last. */
const maxHeapGrowth = 2 * 1024 * 1024
/** Per second; what is left behind for good is seen when the load has ended. */
const maxFiberSlope = 0.5 * Math.max(1, 120 / seconds)
/** Milliseconds that the server has to come to rest. */
const patience = 10_000

const limits = { maxBytes: 1024 * 1024, maxItemBytes: 64 * 1024, maxItems: 200, maxVariants: 4 }

const random = (below: number): number => Math.floor(Math.random() * below)
const pick = <A>(list: ReadonlyArray<A>): A => list[random(list.length)]!
const text = (size: number): string => "soak".repeat(size / 4)

// The server

/** What outer middleware holds for each request. */
let open = 0
const held = <E, R>(app: App<E, R>) =>
  Effect.zipRight(Effect.acquireRelease(Effect.sync(() => open++), () => Effect.sync(() => open--)), app)

const answer = (body: string, delay: number) => Effect.delay(Effect.succeed(HttpServerResponse.text(body)), delay)

const chunks = (count: number, size: number, pause: number) =>
  Stream.repeatEffect(Effect.succeed(new TextEncoder().encode(text(size)))).pipe(
    Stream.take(count),
    Stream.tap(() => pause === 0 ? Effect.void : Effect.sleep(pause))
  )

const failures = [
  Effect.fail(new Error("no database")),
  Effect.die("a defect"),
  Effect.interrupt,
  Effect.succeed(HttpServerResponse.text("own", { status: 500 }))
]

const failingIn = (part: number, handler: App): App<Error> =>
  Effect.suspend(() => Math.random() < part ? pick<App<Error>>(failures) : handler)

const greeting = Effect.flatMap(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => answer(`${headers["accept-language"]} ${text(4096)}`, 2)
)

const broken = Effect.succeed(
  HttpServerResponse.stream(Stream.concat(chunks(2, 1024, 1), Stream.fail(new Error("no database"))))
)

const collect = Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())

const app = routes({
  "GET /items/:id": greeting.pipe(withCache({ expiry: 60 })),
  "PATCH /items/:id": collect,
  "GET /slow/:id": answer(text(1024), 30).pipe(withCache({ expiry: 1 })),
  "PATCH /slow/:id": collect,
  "GET /streams/:id": Effect.sync(() => HttpServerResponse.stream(chunks(8, 4096, 2))).pipe(withCache({ expiry: 1 })),
  "GET /large/:id": Effect.sync(() => HttpServerResponse.stream(chunks(16, 16_384, 0))).pipe(
    withCache({ expiry: 1, maxBodyBytes: 64 * 1024 })
  ),
  "GET /broken/:id": broken.pipe(withCache({ expiry: 1 })),
  "GET /stale/:id": failingIn(0.1, answer(text(1024), 5)).pipe(withCache({ expiry: 1, staleWhileRevalidate: 30 })),
  "GET /flaky/:id": failingIn(0.5, answer(text(1024), 5)).pipe(withCache({ expiry: 1, staleIfError: 30 })),
  "GET /failing/:id": failingIn(1, answer("", 0)).pipe(withCache({ expiry: 1 })),
  "GET /hanging/:id": Effect.never.pipe(withCache({ expiry: 1, deadline: 0.2 }))
}).pipe(held)

// The clients

/** What must have happened, with how often it has. */
const seen = {
  "hits": 0,
  "stale hits": 0,
  "misses": 0,
  "collapsed": 0,
  "not modified": 0,
  "stale instead of an error": 0,
  "failures": 0,
  "late": 0,
  "broken bodies": 0,
  "collects": 0,
  "aborts before the body": 0,
  "aborts during the body": 0,
  "aborts of the leader": 0
}
const unexpected = new Set<string>()
let requests = 0

interface Ask {
  readonly method?: string
  readonly headers?: Http.OutgoingHttpHeaders
  /** When the client leaves: so many milliseconds after the request, or when it has the first bytes of the body. */
  readonly leaves?: number | "during"
  readonly mayBreak?: boolean
}

type End =
  | { readonly _tag: "Whole"; readonly status: number; readonly headers: Http.IncomingHttpHeaders }
  | { readonly _tag: "Left" }
  | { readonly _tag: "Broken"; readonly error: Error }

/** Settles when the connection is free, or closed. */
const exchange = (agent: Http.Agent, port: number, path: string, { headers = {}, leaves, method = "GET" }: Ask) =>
  new Promise<End>((resolve) => {
    requests++
    let hasLeft = false
    const leave = () => {
      hasLeft = true
      request.destroy()
    }
    const onError = (error: Error) => resolve(hasLeft ? { _tag: "Left" } : { _tag: "Broken", error })
    const request = Http.request(
      { agent, host: "127.0.0.1", port, path, method, headers, timeout: 10_000 },
      (reply) => {
        reply.on("data", () => leaves === "during" && leave())
        reply.on("error", onError)
        reply.on("end", () => resolve({ _tag: "Whole", status: reply.statusCode ?? 0, headers: reply.headers }))
      }
    )
    request.on("timeout", () => request.destroy(new Error("no answer")))
    request.on("error", onError)
    request.on("close", () => clearTimeout(timer))
    request.end()
    const timer = typeof leaves === "number" ? setTimeout(leave, leaves) : undefined
  })

const note = (status: number, cacheStatus: string): void => {
  if (status === 304) seen["not modified"]++
  if (/; hit; ttl=-/.test(cacheStatus)) seen["stale hits"]++
  else if (/; hit;/.test(cacheStatus)) seen.hits++
  else if (/; collapsed(;|$)/.test(cacheStatus)) seen.collapsed++
  else if (/; fwd-status=5/.test(cacheStatus) && status === 200) seen["stale instead of an error"]++
  else if (/; fwd=(uri-miss|vary-miss|stale)/.test(cacheStatus) && status === 200) seen.misses++
}

type Get = (path: string, statuses: ReadonlyArray<number>, ask?: Ask) => Promise<End>

const client = (agent: Http.Agent, port: number): Get => async (path, statuses, ask = {}) => {
  const end = await exchange(agent, port, path, ask)
  const what = `${ask.method ?? "GET"} ${path.replace(/\d+$/, "")}`
  if (end._tag === "Left") seen[ask.leaves === "during" ? "aborts during the body" : "aborts before the body"]++
  if (end._tag === "Broken") {
    seen["broken bodies"]++
    if (ask.mayBreak !== true) unexpected.add(`${what} broke: ${end.error.message}`)
  }
  if (end._tag === "Whole") {
    if (!statuses.includes(end.status)) unexpected.add(`${what} answered ${end.status}`)
    if (end.status === 504) seen.late++
    else if (end.status >= 500) seen.failures++
    else if (ask.method === "PATCH") seen.collects++
    note(end.status, String(end.headers["cache-status"] ?? ""))
  }
  return end
}

const languages = ["en", "de"]
const inLanguage = () => ({ "accept-language": pick(languages) })

/** Two ask for what is cold; the first leaves, and the second must have it. */
const leaderLeaves = async (get: Get, another: Get, number: number): Promise<void> => {
  const path = `/slow/${100 + number}`
  await get(path, [204], { method: "PATCH" })
  const leader = get(path, [200], { leaves: 15 })
  await sleep(5)
  const [left, stayed] = await Promise.all([leader, another(path, [200])])
  const cacheStatus = stayed._tag === "Whole" ? String(stayed.headers["cache-status"]) : ""
  if (left._tag === "Left" && cacheStatus.endsWith("collapsed")) seen["aborts of the leader"]++
}

const conditional = async (get: Get): Promise<void> => {
  const path = `/items/${random(10)}`
  const headers = inLanguage()
  const first = await get(path, [200], { headers })
  if (first._tag !== "Whole") return
  await get(path, [200, 304], { headers: { ...headers, "if-none-match": String(first.headers.etag) } })
}

type Action = (get: Get, another: Get, number: number) => Promise<unknown>

/** With how often each is chosen. The keys are few, so that all that is remembered of them is so after the warm-up. */
const actions: ReadonlyArray<readonly [weight: number, action: Action]> = [
  [30, (get) => get(`/items/${random(10)}`, [200], { headers: inLanguage() })],
  [10, (get) => get(`/items/${random(200)}`, [200], { headers: inLanguage() })],
  [5, (get) => get(`/items/${random(10)}`, [200], { headers: inLanguage(), method: "HEAD" })],
  [5, (get) => conditional(get)],
  [3, (get) => get(`/items/${random(20)}`, [204], { method: "PATCH" })],
  [12, (get) => get(`/slow/${random(3)}`, [200])],
  [2, (get) => get(`/slow/${random(20)}`, [200], { leaves: random(25) })],
  [2, leaderLeaves],
  [8, (get) => get(`/streams/${random(20)}`, [200])],
  [1, (get) => get(`/streams/${random(20)}`, [200], { leaves: "during" })],
  [2, (get) => get(`/large/${random(5)}`, [200])],
  [1, (get) => get(`/large/${random(5)}`, [200], { leaves: "during" })],
  [1, (get) => get(`/broken/${random(5)}`, [], { mayBreak: true })],
  [10, (get) => get(`/stale/${random(10)}`, [200, 500, 503])],
  [8, (get) => get(`/flaky/${random(10)}`, [200, 500, 503])],
  [3, (get) => get(`/failing/${random(5)}`, [500, 503])],
  [1, (get) => get(`/hanging/${random(5)}`, [504])],
  [1, (get) => get(`/hanging/${random(5)}`, [504], { leaves: random(50) })]
]
const lots = actions.flatMap(([weight, action]) => Array.from({ length: weight }, () => action))

/** Fills the storage, so that its own growth is not taken for a leak. */
const prefill = async (port: number): Promise<void> => {
  const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
  for (let id = 0; id < 200; id++) {
    for (const language of languages) {
      await exchange(agent, port, `/items/${id}`, { headers: { "accept-language": language } })
    }
  }
  agent.destroy()
}

const work = async (port: number, number: number, isOver: () => boolean): Promise<void> => {
  const agents = [0, 1].map(() => new Http.Agent({ keepAlive: true, maxSockets: 1 }))
  const [get, another] = agents.map((agent) => client(agent, port))
  const pause = 1000 * workers / ratePerSecond
  for (let next = performance.now() + random(pause); !isOver(); next = Math.max(next + pause, performance.now())) {
    await sleep(Math.max(0, next - performance.now()))
    await pick(lots)(get!, another!, number)
  }
  for (const agent of agents) agent.destroy()
}

// What is measured

/** Each second the heap, and the fibers at the quietest of ten moments. */
const measure = async (countFibers: () => number): Promise<ReadonlyArray<Sample>> => {
  const samples: Array<Sample> = []
  const start = performance.now()
  for (let second = 1; second <= seconds; second++) {
    let fibers = Infinity
    for (let moment = 1; moment <= 10; moment++) {
      await sleep(Math.max(0, start + (second - 1 + moment / 10) * 1000 - performance.now()))
      fibers = Math.min(fibers, countFibers())
    }
    samples.push({ at: second, heap: used(), fibers })
  }
  return samples
}

/** What requests hold that are under way comes and goes: of each three samples the one with the smallest heap. */
const quietest = (samples: ReadonlyArray<Sample>): ReadonlyArray<Sample> =>
  Array.from(
    { length: Math.floor(samples.length / 3) },
    (_, index) => samples.slice(3 * index, 3 * index + 3).reduce((a, b) => b.heap < a.heap ? b : a)
  )

// The run

/** Of the limits that are reached, and of the errors that are made and that something stale hides. */
const expectedWarnings = ["effect-http-cache: the limit on size is reached", "effect-http-cache: the handler of "]

const warnings = new Set<string>()
const quiet = logged({
  push: ({ message }) => {
    if (message.startsWith("effect-http-cache") && !expectedWarnings.some((said) => message.startsWith(said))) {
      warnings.add(message)
    }
    return 0
  }
})

const soak = Effect.gen(function*() {
  const storage = yield* CacheStorage.CacheStorage
  const fibers = yield* countedFibers
  yield* fibers.of(HttpServer.serveEffect(app))
  const port = portOf(yield* HttpServer.HttpServer)
  const idle = fibers.running()

  yield* Effect.promise(() => prefill(port))
  let isOver = false
  const load = Promise.all(Array.from({ length: workers }, (_, number) => work(port, number, () => isOver)))
  const samples = yield* Effect.promise(() => Promise.race([measure(fibers.running), load.then(() => [])]))
  isOver = true
  yield* Effect.promise(() => load)

  const left = () => ({ fibers: fibers.running() - idle, flights: activity(storage).flights, requests: open })
  const isAtRest = Effect.sync(() => Object.values(left()).every((count) => count === 0))
  yield* Effect.repeat(isAtRest, { until: (is) => is, schedule: Schedule.spaced(50) }).pipe(
    Effect.timeoutOption(patience),
    Effect.map(Option.isSome)
  )
  return { samples, left: left() }
}).pipe(
  Effect.scoped,
  Effect.provide(
    Layer.mergeAll(
      // A connection that the server closes while it is idle would look like one that it breaks.
      NodeHttpServer.layer(() => Http.createServer({ keepAliveTimeout: 600_000 }), { host: "127.0.0.1", port: 0 }),
      InMemoryCacheStorage.layerWith(limits),
      quiet
    )
  )
)

const { left, samples } = await Effect.runPromise(soak)
writeFileSync(flags.svg, draw({ samples, seconds, warmUp }))

const steady = samples.filter(({ at }) => at > warmUp)
const heaps = quietest(steady)
const quarter = Math.ceil(heaps.length / 4)
const heapSlope = slope(heaps, ({ heap }) => heap)
const heapGrowth = mean(heaps.slice(-quarter).map(({ heap }) => heap)) -
  mean(heaps.slice(0, quarter).map(({ heap }) => heap))
const fiberSlope = slope(steady, ({ fibers }) => fibers)
const kibibytes = (bytes: number): string => (bytes / 1024).toFixed(1)

const problems = [
  ...(heapSlope > maxHeapSlope ? [`the heap grows by ${kibibytes(heapSlope)} KiB a second`] : []),
  ...(heapGrowth > maxHeapGrowth ? [`the heap has grown by ${kibibytes(heapGrowth)} KiB`] : []),
  ...(Math.abs(fiberSlope) > maxFiberSlope ? [`the fibers change by ${fiberSlope.toFixed(2)} a second`] : []),
  ...Object.entries(left).flatMap(([what, count]) => count === 0 ? [] : [`${count} ${what} are left at the end`]),
  ...Object.entries(seen).flatMap(([what, count]) => count === 0 ? [`there were no ${what}`] : []),
  ...unexpected,
  ...warnings
]
const counts = Object.entries(seen).map(([what, count]) => `${count} ${what}`).join(", ")
console.log(
  `${requests} requests in ${seconds} s (${counts}): heap ${kibibytes(mean(heaps.map(({ heap }) => heap)))} KiB, ` +
    `${kibibytes(heapSlope)} KiB/s, grown by ${kibibytes(heapGrowth)} KiB; fibers ${
      mean(steady.map(({ fibers }) => fibers)).toFixed(1)
    }, ${fiberSlope.toFixed(3)} /s; left: ${left.fibers} fibers, ${left.flights} flights, ${left.requests} requests`
)
for (const problem of problems) console.error(`soak: ${problem}`)
if (problems.length > 0) process.exitCode = 1
