/** Parts: of what is whole, of what is still coming, and what a part is completed with; over a real port. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Data, Deferred, Effect, Fiber, Stream, TestClock } from "effect"
import { CacheStorage, HttpCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { eventually, type Reply, serve, TestServer } from "./harness.js"

type Fields = { readonly [name: string]: string }
type Answering = (headers: Fields, run: number) => Effect.Effect<HttpServerResponse.HttpServerResponse, unknown>

const whole = "0123456789"
const fresh = { "cache-control": "max-age=60", "etag": "\"1\"" }
const bytes = (text: string) => new Uint8Array(Buffer.from(text))

/** An app that is asked over the wire, what its handler was asked for, and its storage. */
const origin = (answering: Answering, options: HttpCache.Options = {}) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    const asked: Array<string | undefined> = []
    const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      Effect.suspend(() => {
        asked.push(headers["range"])
        return answering(headers, asked.length)
      }))
    const app = handler.pipe(HttpCache.middleware({ unkeyed: "ignore", ...options }))
    const ask = yield* serve(Effect.catchAll(app, () => Effect.succeed(HttpServerResponse.empty({ status: 500 }))))
    return Object.assign(ask, { asked, storage, settled: eventually(() => activity(storage).flights === 0) })
  })

type Send = (body: string, headers: Fields, status: number) => HttpServerResponse.HttpServerResponse

/** The ways in which a body comes. */
const sends: ReadonlyArray<readonly [way: string, send: Send]> = [
  ["bytes", (body, headers, status) => HttpServerResponse.text(body, { headers, status })],
  [
    "a stream of known length",
    (body, headers, status) =>
      HttpServerResponse.stream(Stream.fromIterable(Array.from(body, bytes)), {
        headers,
        status,
        contentLength: body.length
      })
  ],
  [
    "a stream whose range says its length",
    (body, headers, status) =>
      HttpServerResponse.stream(Stream.make(bytes(body.slice(0, 3)), bytes(body.slice(3))), { headers, status })
  ]
]

const part = (send: Send, first: number, last: number, more: Fields = {}, of = whole) => {
  const headers = { ...fresh, ...more, "content-range": `bytes ${first}-${last}/${of.length}` }
  return Effect.succeed(send(of.slice(first, last + 1), headers, 206))
}

const shown = ({ cacheStatus, headers, status, text }: Reply) => [status, headers["content-range"], text, cacheStatus]

describe.each(sends)("a handler that answers with parts, as %s", (_, send) => {
  it.scoped.each(["\"1\"", "W/\"1\"", undefined])(
    "77: a full extent is stored as the whole, with the tag %s",
    (etag) =>
      Effect.gen(function*() {
        const headers = { "cache-control": "max-age=60", ...(etag === undefined ? {} : { etag }) }
        const ask = yield* origin(() =>
          Effect.succeed(send(whole, { ...headers, "content-range": "bytes 0-9/10" }, 206))
        )
        const first = yield* ask("/", { headers: { range: "bytes=0-" } })
        expect(shown(first).slice(0, 3)).toEqual([206, "bytes 0-9/10", whole])
        yield* ask.settled
        expect(shown(yield* ask("/"))).toEqual([200, undefined, whole, "hit; ttl=60"])
        expect(shown(yield* ask("/", { headers: { range: "bytes=4-5" } })))
          .toEqual([206, "bytes 4-5/10", "45", "hit; ttl=60"])
        expect(ask.asked).toHaveLength(1)
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("77: a full extent under expiry is fresh as a 200 is, and goes out as it came where it is not stored", () =>
    Effect.gen(function*() {
      const range = "bytes 0-9/10"
      const ask = yield* origin(
        (headers) => {
          const control = headers["x-control"]
          const own = control === undefined ? {} : { "cache-control": control }
          return Effect.succeed(send(whole, { ...own, "content-range": range }, 206))
        },
        { expiry: 10 }
      )
      expect((yield* ask("/", { headers: { range: "bytes=0-" } })).headers["cache-control"]).toBe("max-age=10")
      yield* ask.settled
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
      const refused = yield* ask("/refused", { headers: { "range": "bytes=0-", "x-control": "no-store" } })
      expect(shown(refused).slice(0, 3)).toEqual([206, range, whole])
      // It asked for no part.
      const unasked = yield* ask("/refused", { headers: { "x-control": "no-store" } })
      expect(shown(unasked).slice(0, 3)).toEqual([200, undefined, whole])
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each([[0, 3, "bytes=4-"], [6, 9, "bytes=0-5"]] as const)("77: a part of %s-%s is stored and completed", ([
    first,
    last,
    missing
  ]) =>
    Effect.gen(function*() {
      const ask = yield* origin((headers) => {
        if (headers["range"] === `bytes=${first}-${last}`) return part(send, first, last)
        if (headers["range"] !== missing) return part(send, 0, 0)
        return first === 0 ? part(send, 4, 9, { "x-a": "new" }) : part(send, 0, 5, { "x-a": "new" })
      })
      yield* ask("/", { headers: { range: `bytes=${first}-${last}` } })
      yield* ask.settled
      expect(shown(yield* ask("/", { headers: { range: `bytes=${first + 1}-${last - 1}` } })).slice(0, 3))
        .toEqual([206, `bytes ${first + 1}-${last - 1}/10`, whole.slice(first + 1, last)])
      const completed = yield* ask("/")
      expect(shown(completed).slice(0, 3)).toEqual([200, undefined, whole])
      expect([completed.headers["content-length"], completed.headers["x-a"]]).toEqual(["10", "new"])
      yield* ask.settled
      expect(shown(yield* ask("/"))).toEqual([200, undefined, whole, "hit; ttl=60"])
      expect(ask.asked).toHaveLength(2)
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, Answering]>([
    ["it is of another representation", () => part(send, 4, 9, { etag: "\"2\"" })],
    ["it does not meet", () => part(send, 5, 9)],
    ["it is of another size", () => part(send, 4, 10, {}, `${whole}a`)],
    ["it has another coding", () => part(send, 4, 9, { "content-encoding": "br" })],
    ["the resource has shrunk", () => Effect.succeed(send("", { "content-range": "bytes */3" }, 416))],
    ["it is refused", () => Effect.succeed(send("no", {}, 400))],
    ["the precondition fails", () => Effect.succeed(send("no", {}, 412))],
    ["it is broken by it", () => Effect.succeed(send("no", {}, 500))],
    ["it is not modified", () => Effect.succeed(send("", { etag: "\"1\"" }, 304))]
  ])("77: what a part is not completed with is asked for whole: %s", ([, answer]) =>
    Effect.gen(function*() {
      const ask = yield* origin((headers, run) => {
        if (run === 1) return part(send, 0, 3)
        return headers["range"] === undefined ? Effect.succeed(send("new", fresh, 200)) : answer(headers, run)
      })
      yield* ask("/", { headers: { range: "bytes=0-3" } })
      yield* ask.settled
      expect(shown(yield* ask("/")).slice(0, 3)).toEqual([200, undefined, "new"])
      yield* ask.settled
      expect([yield* Effect.map(ask("/"), ({ text }) => text), ask.asked]).toEqual(["new", [
        "bytes=0-3",
        "bytes=4-",
        undefined
      ]])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("77: the whole in place of what was missing is the whole", () =>
    Effect.gen(function*() {
      const ask = yield* origin((headers) =>
        headers["range"] === "bytes=0-3" ? part(send, 0, 3) : part(send, 0, 9, { etag: "\"2\"" })
      )
      yield* ask("/", { headers: { range: "bytes=0-3" } })
      yield* ask.settled
      expect(shown(yield* ask("/")).slice(0, 3)).toEqual([200, undefined, whole])
      yield* ask.settled
      const hit = yield* ask("/")
      expect([hit.text, hit.headers["etag"], hit.cacheStatus]).toEqual([whole, "\"2\"", "hit; ttl=60"])
    }).pipe(Effect.provide(TestServer)))
})

describe("a part of what is being stored", () => {
  /** Ten bytes, each of which is sent when its gate opens. */
  const gated = (known: boolean) =>
    Effect.gen(function*() {
      const gates = yield* Effect.forEach(whole, () => Deferred.make<void>())
      let runs = 0
      const body = Stream.fromIterable(whole).pipe(
        Stream.zipWithIndex,
        Stream.mapEffect(([text, index]) => Effect.as(Deferred.await(gates[index]!), bytes(text)))
      )
      const answer = Effect.sync(() => {
        runs++
        return HttpServerResponse.stream(body, {
          contentType: "audio/ogg",
          ...(known ? { contentLength: whole.length } : {})
        })
      })
      const open = (from: number, to: number) =>
        Effect.forEach(gates.slice(from, to + 1), (gate) => Deferred.succeed(gate, undefined))
      return { answer, open, runs: () => runs }
    })

  it.scoped("77: its first listener moves through it: 206 of a stream of known length, which is stored whole", () =>
    Effect.gen(function*() {
      const { answer, open, runs } = yield* gated(true)
      const ask = yield* origin(() => answer, { expiry: 60 })
      const first = yield* Effect.fork(ask("/", { headers: { range: "bytes=3-5" } }))
      yield* eventually(() => runs() === 1)
      yield* open(0, 5)
      // The rest has not come.
      const reply = yield* Fiber.join(first)
      expect(shown(reply)).toEqual([206, "bytes 3-5/10", "345", "fwd=uri-miss; fwd-status=200"])
      expect([reply.headers["content-length"], reply.headers["content-type"]]).toEqual(["3", "audio/ogg"])
      yield* open(6, 9)
      yield* ask.settled
      expect(shown(yield* ask("/"))).toEqual([200, undefined, whole, "hit; ttl=60"])
      expect(runs()).toBe(1)
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, () => HttpServerResponse.HttpServerResponse, number]>([
    ["bytes", () => HttpServerResponse.text(whole), 206],
    [
      "a stream of known length",
      () => HttpServerResponse.stream(Stream.make(bytes(whole)), { contentLength: whole.length }),
      206
    ],
    ["a stream of unknown length", () => HttpServerResponse.stream(Stream.make(bytes(whole))), 200]
  ])(
    "77: the first request asks for a part of %s, and the whole is stored",
    ([, answer, status]) =>
      Effect.gen(function*() {
        const ask = yield* origin(() => Effect.sync(answer), { expiry: 60 })
        const part = ["bytes 0-3/10", whole.slice(0, 4)]
        const first = yield* ask("/", { headers: { range: "bytes=0-3" } })
        expect(shown(first).slice(0, 3)).toEqual(status === 206 ? [206, ...part] : [200, undefined, whole])
        yield* ask.settled
        expect(shown(yield* ask("/", { headers: { range: "bytes=0-3" } }))).toEqual([206, ...part, "hit; ttl=60"])
        expect([(yield* ask("/")).text, ask.asked.length]).toEqual([whole, 1])
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("77: who comes while it is filled gets a part of that, also behind one who wants all", () =>
    Effect.gen(function*() {
      const { answer, open, runs } = yield* gated(true)
      const ask = yield* origin(() => answer, { expiry: 60 })
      const clients = yield* Effect.all(Array.from({ length: 3 }, () => ask.another))
      const all = yield* Effect.fork(ask("/"))
      yield* eventually(() => runs() === 1)
      yield* open(0, 1)
      const wanted = ["bytes=0-1", "bytes=4-", "bytes=-2"]
      const parts = yield* Effect.forEach(
        wanted,
        (range, index) => Effect.fork(clients[index]!("/", { headers: { range } }))
      )
      expect(shown(yield* Fiber.join(parts[0]!))).toEqual([
        206,
        "bytes 0-1/10",
        "01",
        "fwd=uri-miss; fwd-status=200; collapsed"
      ])
      yield* open(2, 9)
      expect(shown(yield* Fiber.join(parts[1]!)).slice(0, 3)).toEqual([206, "bytes 4-9/10", "456789"])
      expect(shown(yield* Fiber.join(parts[2]!)).slice(0, 3)).toEqual([206, "bytes 8-9/10", "89"])
      expect([(yield* Fiber.join(all)).text, runs()]).toEqual([whole, 1])
      yield* ask.settled
      expect(shown(yield* ask("/", { headers: { range: "bytes=10-" } })).slice(0, 2)).toEqual([416, "bytes */10"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, boolean, string, number, string | undefined]>([
    ["several", true, "bytes=0-0,5-6", 200, undefined],
    ["of another representation", true, "bytes=0-0", 200, undefined],
    ["of what has no known length", false, "bytes=0-0", 200, undefined],
    ["that it doesn't have", true, "bytes=10-", 416, "bytes */10"]
  ])("77: parts %s", ([what, known, range, status, contentRange]) =>
    Effect.gen(function*() {
      const { answer, open } = yield* gated(known)
      const ask = yield* origin(() => answer, { expiry: 60 })
      yield* open(0, 9)
      const headers = { range, ...(what.includes("another") ? { "if-range": "\"2\"" } : {}) }
      const reply = yield* ask("/", { headers })
      expect(shown(reply).slice(0, 3)).toEqual([status, contentRange, status === 200 ? whole : ""])
      yield* ask.settled
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=60")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("144: a 416 of what may be kept says nothing by which another cache keeps it", () =>
    Effect.gen(function*() {
      const fields = { ...fresh, "cdn-cache-control": "max-age=600", "expires": "Thu, 01 Jan 2099 00:00:00 GMT" }
      const ask = yield* origin(() => Effect.succeed(HttpServerResponse.text(whole, { headers: fields })))
      yield* ask("/")
      const reply = yield* ask("/", { headers: { range: "bytes=10-" } })
      expect([shown(reply), reply.headers.etag]).toEqual([[416, "bytes */10", "", "hit; ttl=60"], "\"1\""])
      const names = ["cache-control", "cdn-cache-control", "expires", "last-modified"]
      expect(names.filter((name) => name in reply.headers)).toEqual([])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("77: a part that was sent leaves nothing behind when the rest does not come", () =>
    Effect.gen(function*() {
      const { answer, open, runs } = yield* gated(true)
      const ask = yield* origin(() => answer, { expiry: 60, deadline: 5 })
      yield* open(0, 5)
      expect((yield* ask("/", { headers: { range: "bytes=3-5" } })).text).toBe("345")
      expect(activity(ask.storage).flights).toBe(1)
      yield* TestClock.adjust("5 seconds")
      yield* ask.settled
      yield* open(6, 9)
      expect([(yield* ask("/")).text, runs()]).toEqual([whole, 2])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("77: its first listener moves through it before the first part has come whole, in one run", () =>
    Effect.gen(function*() {
      const { answer, open, runs } = yield* gated(true)
      const ask = yield* origin(() => answer, { expiry: 60 })
      const other = yield* ask.another
      const first = yield* Effect.fork(ask("/", { headers: { range: "bytes=0-" } }))
      yield* eventually(() => runs() === 1)
      yield* open(0, 2)
      expect(shown(yield* other("/", { headers: { range: "bytes=1-2" } })))
        .toEqual([206, "bytes 1-2/10", "12", "fwd=uri-miss; fwd-status=200; collapsed"])
      yield* open(3, 9)
      expect([(yield* Fiber.join(first)).text, runs()]).toEqual([whole, 1])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("77: a handler that answers with parts itself is asked by each, and holds up nobody who wants the whole", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const ask = yield* origin((headers) => {
        const [, first, last] = /^bytes=(\d)-(\d)$/.exec(headers["range"] ?? "") ?? []
        if (first === undefined) return Effect.succeed(HttpServerResponse.text(whole))
        return Effect.zipRight(Deferred.await(gate), part(sends[0]![1], Number(first), Number(last)))
      }, { expiry: 60, cacheStatus: { detail: true } })
      const ranges = ["bytes=0-1", "bytes=2-3", "bytes=4-5"]
      const clients = yield* Effect.forEach(
        [...ranges, undefined],
        (range) =>
          Effect.flatMap(
            ask.another,
            (client) => Effect.fork(client("/", { headers: range === undefined ? {} : { range } }))
          )
      )
      yield* eventually(() => activity(ask.storage).waiters === 4)
      yield* Deferred.succeed(gate, undefined)
      const replies = yield* Effect.forEach(clients, Fiber.join)
      expect(replies.map(({ text }) => text)).toEqual(["01", "23", "45", whole])
      expect((yield* ask("/", { headers: { range: "bytes=8-8" } })).text).toBe("8")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("24: a part that nobody asked for is no whole for who waited for it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const ask = yield* origin((_, run) =>
        Effect.zipRight(Deferred.await(gate), part(sends[0]![1], run === 1 ? 0 : 4, 9))
      )
      const other = yield* ask.another
      const first = yield* Effect.fork(ask("/"))
      const second = yield* Effect.fork(other("/"))
      yield* eventually(() => activity(ask.storage).waiters === 2)
      yield* Deferred.succeed(gate, undefined)
      const replies = [yield* Fiber.join(first), yield* Fiber.join(second)]
      expect(replies.map(({ status, text }) => [status, text])).toEqual([[200, whole], [200, whole]])
    }).pipe(Effect.provide(TestServer)))
})

describe("the cache's own question", () => {
  class Refused extends Data.TaggedError("Refused") {}

  const refusing = (status: number): Answering => (headers, run) =>
    Effect.succeed(HttpServerResponse.text(`run ${run}`, {
      status: headers["if-none-match"] === undefined ? 200 : status,
      headers: { etag: "\"1\"" }
    }))

  it.scoped.each([400, 404, 412, 416, 428, 501])(
    "77: a %s to its conditions is not the client's: it is asked again",
    (status) =>
      Effect.gen(function*() {
        const ask = yield* origin(refusing(status), { expiry: 10 })
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        expect(shown(yield* ask("/"))).toEqual([200, undefined, "run 3", "fwd=stale; stored"])
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped.each([500, 502, 503, 504])(
    "77: a %s says nothing of the question and is forwarded",
    (status) =>
      Effect.gen(function*() {
        const ask = yield* origin(refusing(status), { expiry: 10 })
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        expect([(yield* ask("/")).status, ask.asked.length]).toEqual([status, 2])
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("77: a failure to complete a part is not the client's either", () =>
    Effect.gen(function*() {
      const ask = yield* origin((headers, run) => {
        if (run === 1) return part(sends[0]![1], 0, 3)
        return headers["range"] === undefined ? Effect.succeed(HttpServerResponse.text("whole")) : new Refused()
      })
      yield* ask("/", { headers: { range: "bytes=0-3" } })
      expect([(yield* ask("/")).text, ask.asked]).toEqual(["whole", ["bytes=0-3", "bytes=4-", undefined]])
    }).pipe(Effect.provide(TestServer)))
})
