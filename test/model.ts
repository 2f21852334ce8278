/**
 * Random interleavings of requests and collects, against a model that knows how old a value each client may still be
 * shown. A function of the seed: every storage call and every step of a handler waits until it is let go on, and who is
 * next is for the dice to say. The clock of every other world stands still.
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Cause, Context, Data, Effect, Exit, Layer, Scope, Stream } from "effect"
import type { Fiber } from "effect"
import {
  CacheError,
  type CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { setImmediate } from "node:timers/promises"
import { Dice, Hands } from "./simulation.js"
import { answering, type How } from "./waiting.js"
import { byClock, defectsIn, failuresIn, interrupt, isInterruption, quiet, Steps } from "./stepping.js"

export interface Plan {
  readonly seed: number
  /** What clients and the driver do; the steps in between are not counted. */
  readonly operations: number
  readonly storage: How
}

/** How often what must come about has. */
export type Tally = { [what: string]: number }

export class Found extends Error {}

const operationsPerWorld = 250
const most = 10
const paths = ["/a", "/b", "/c"]

type Written = readonly [path: string, value: number]

/** Of a resource: what is written by its group alone has a URI of its own for that. */
const pathOf = (request: HttpServerRequest.HttpServerRequest): string =>
  new URL(request.originalUrl).pathname.replace("/write", "")

const groupOf = (path: string): string => `of ${path}`

class Failure extends Data.TaggedError("Failure") {}

interface Running {
  readonly what: string
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

const world = ({ seed, storage: how }: Plan, number: number, count: number, tally: Tally): void => {
  const dice = new Dice(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b))
  const clock = new Hands()
  const clockMoves = number % 2 === 0
  const steps = new Steps()
  const waiting: Array<() => void> = []
  const running = new Set<Running>()
  const history: Array<string> = []
  const tell = (what: string) => {
    tally[what] = (tally[what] ?? 0) + 1
  }
  const found = (what: string): never => {
    throw new Found(`${what}\nseed ${seed}, world ${number}\n${history.slice(-60).join("\n")}`)
  }

  /** Until it is let go on; some steps follow at once. */
  const turn = Effect.suspend(() =>
    dice.is(0.3) ? Effect.void : Effect.async<void>((resume) => {
      const go = () => resume(Effect.void)
      waiting.push(go)
      return Effect.sync(() => {
        const at = waiting.indexOf(go)
        if (at >= 0) waiting.splice(at, 1)
      })
    })
  )

  // The storage

  let trouble = 0
  const stored = new Map<string, CacheStorage.Lookup>()
  const call = <A, E>(method: CacheError.CacheStorageError["method"], effect: Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      yield* turn
      const fails = trouble > 0 && trouble-- > 0
      const down = new CacheError.CacheStorageError({ storage: "model", method, key: "", cause: "trouble" })
      if (fails && dice.is(0.5)) return yield* down
      const answer = yield* Effect.exit(effect)
      yield* turn
      // What has failed may have been done.
      return yield* fails ? down : answer
    })
  const limits = dice.one([{}, { maxItems: 2 }, { maxBytes: 8 * 1024 }])
  const scope = Effect.runSync(Scope.make())
  const memory = Context.get(
    Effect.runSync(Layer.buildWithScope(InMemoryCacheStorage.layerWith(limits), scope)),
    CollectableCacheStorage.CollectableCacheStorage
  )
  const storage = answering(how, {
    get: (lookup) => call("get", Effect.suspend(() => memory.get(lookup))),
    begin: (lookup) => call("begin", Effect.suspend(() => memory.begin(lookup))),
    set: (item, fill) => {
      if (item !== undefined) stored.set(`${item.key} ${item.variant}`, fill.lookup)
      return Effect.tap(
        call("set", Effect.suspend(() => memory.set(item, fill))),
        (kept) => tell(kept === "kept" ? "kept" : "not kept")
      )
    },
    collect: (names, style) => call("collect", Effect.suspend(() => memory.collect(names, style))),
    holds: (names, fill) => call("holds", Effect.suspend(() => memory.holds(names, fill)))
  })
  const context = Effect.runSync(
    Layer.buildWithScope(CollectableCacheStorage.layer(Effect.succeed(storage)), scope)
  )

  // The resources

  const values = new Map(paths.map((path) => [path, 0]))
  /** No later request may be shown less: it was written before a collect that has been answered. */
  const floors = new Map(paths.map((path) => [path, 0]))
  const also = (path: string): ReadonlyArray<string> => path === "/a" ? ["/b"] : []
  /** Where the group of a response is named; `undefined`: what is collected are URIs. */
  const naming = dice.one([undefined, undefined, "route", "field", "first", "last"] as const)
  const soft = dice.one([false, false, true, "unless-error"] as const)
  const name = (where: typeof naming, path: string) => naming === where ? HttpCache.group(groupOf(path)) : Effect.void
  const fieldsOf = (path: string) => naming === "field" ? { "cache-groups": `"${groupOf(path)}"` } : {}
  const groups: HttpCache.Options["groups"] = naming === "route" ? (request) => [groupOf(pathOf(request))] : undefined

  /** A slow handler: much happens meanwhile. */
  const isSlow = dice.one([0, 0, 0, 0.8])
  const read = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const path = pathOf(request)
    yield* turn
    yield* name("first", path)
    const value = values.get(path)!
    history.push(`  handler: ${path} is ${value}`)
    yield* turn
    while (dice.is(isSlow)) yield* turn
    if (dice.is(0.1)) return yield* new Failure()
    const etag = `"${value}"`
    const headers = { etag, ...(dice.is(0.3) ? { vary: "x-a" } : {}), ...fieldsOf(path) }
    if (dice.is(0.7) && request.headers["if-none-match"]?.includes(etag) === true) {
      tell("validated")
      return HttpServerResponse.empty({ status: 304, headers })
    }
    yield* name("last", path)
    if (dice.is(0.7)) return HttpServerResponse.text(`value ${value}`, { headers })
    const chunks = Stream.make("value ", String(value), dice.is(0.1) ? "broken" : "").pipe(
      Stream.tap((text) => Effect.zipRight(turn, text === "broken" ? new Failure() : Effect.void)),
      Stream.encodeText
    )
    return HttpServerResponse.stream(chunks, { headers })
  })

  const write = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const path = pathOf(request)
    yield* turn
    if (dice.is(0.1)) return yield* new Failure()
    const written = [path, ...also(path)].map((each): Written => [each, values.get(each)! + 1])
    for (const [each, value] of written) values.set(each, value)
    history.push(`  handler: written ${written}`)
    yield* turn
    const headers = { "x-written": JSON.stringify(written) }
    if (request.method === "PATCH") return HttpServerResponse.empty({ headers })
    // Its answer is what a `GET` would have.
    yield* Effect.zipRight(name("first", path), name("last", path))
    const [, value] = written[0]!
    return HttpServerResponse.text(`value ${value}`, {
      headers: {
        ...headers,
        ...fieldsOf(path),
        "etag": `"${value}"`,
        "cache-control": "max-age=10",
        "content-location": path
      }
    })
  })

  const options: HttpCache.Options = {
    expiry: dice.one([0, 1, 1, 10]),
    staleWhileRevalidate: dice.one([0, 10, 10]),
    staleIfError: dice.one([0, 10]),
    vary: dice.one([[], ["x-a"]]),
    groups,
    deadline: dice.one([1, 60])
  }
  const cached = read.pipe(withCache({ ...options, name: "page" }))
  const written = (request: HttpServerRequest.HttpServerRequest) => [pathOf(request), ...also(pathOf(request))]
  const collecting = write.pipe(
    withCollect(
      naming === undefined
        ? { also: written, soft }
        : { groups: (request) => written(request).map(groupOf), soft }
    ),
    withCache({ name: "page", groups })
  )
  const defaults = { storageTimeout: dice.one([0.25, 3600, 3600, 3600]) }

  const send = (method: string, path: string, fields: Record<string, string>) => {
    const request = HttpServerRequest.fromWeb(
      new Request(`http://localhost${path}`, { method, headers: fields })
    )
    return (method === "PATCH" || method === "POST" ? collecting : cached).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, request),
      Effect.provideService(HttpCache.Defaults, defaults),
      Effect.provide(context)
    )
  }

  // The clients

  let clients = 0
  const start = (what: string, client: Effect.Effect<unknown, unknown>): void => {
    history.push(what)
    const fiber = Effect.runFork(
      Effect.scoped(client).pipe(byClock(clock), Effect.provide(quiet)),
      { scheduler: steps.scheduler }
    )
    const started = { what, fiber }
    running.add(started)
    fiber.addObserver((exit) => {
      running.delete(started)
      if (Exit.isSuccess(exit)) return
      history.push(`${what}: ${Cause.pretty(exit.cause).split("\n")[0]}`)
      tell(isInterruption(exit.cause) ? "aborted" : "failed")
      const isOwn = failuresIn(exit.cause).every((failure) => failure instanceof Failure)
      if (!isOwn || defectsIn(exit.cause).length > 0) found(`${what}: ${Cause.pretty(exit.cause)}`)
    })
  }

  const get = (): void => {
    const path = dice.one(paths)
    const least = floors.get(path)!
    const method = dice.is(0.1) ? "HEAD" : "GET"
    const what = `${++clients}: ${method} ${path}, at least ${least}`
    const fields: Record<string, string> = {
      ...(dice.is(0.5) ? { "x-a": "1" } : {}),
      ...(dice.is(0.1) ? { "cache-control": dice.one(["no-cache", "max-stale=100", "no-store"]) } : {}),
      ...(dice.is(0.2) ? { "if-none-match": `"${values.get(path)! - dice.below(3)}"` } : {})
    }
    start(
      what,
      Effect.gen(function*() {
        const { body, headers, status } = yield* send(method, path, fields)
        const shown = Number(/^"(\d+)"$/.exec(headers["etag"] ?? "")?.[1])
        const outcome = /effect-http-cache; (hit|fwd=[a-z-]+)(.*)/.exec(headers["cache-status"] ?? "")
        history.push(`${what}: ${status} ${shown} ${headers["cache-status"]}`)
        tell(outcome?.[1] ?? "untold")
        if (/collapsed(;|$)/.test(outcome?.[2] ?? "")) tell("collapsed")
        if (/ttl=-/.test(outcome?.[2] ?? "")) tell("stale")
        if (status >= 500) return
        const hides = soft === "unless-error" && headers["cache-status"]?.includes("fwd-status=5") === true
        if (hides) return tell("hidden softly")
        if (!(shown >= least)) found(`${what}: shown ${shown}`)
        if (method === "HEAD" || status === 304) return
        const text = body._tag === "Stream"
          ? yield* Stream.mkString(Stream.decodeText(body.stream)).pipe(
            Effect.orElseSucceed(() => undefined)
          )
          : body._tag === "Uint8Array"
          ? new TextDecoder().decode(body.body)
          : undefined
        if (text !== undefined && text !== `value ${shown}`) found(`${what}: "${text}" is not of ${shown}`)
      })
    )
  }

  const collect = (): void => {
    const path = dice.one(paths)
    const method = dice.one(["PATCH", "POST"])
    const what = `${++clients}: ${method} ${path}`
    start(
      what,
      Effect.map(
        send(method, naming !== undefined && method === "PATCH" ? `/write${path}` : path, {}),
        ({ headers }) => {
          const written = JSON.parse(headers["x-written"]!) as ReadonlyArray<Written>
          for (const [each, value] of written) floors.set(each, Math.max(floors.get(each)!, value))
          history.push(`${what}: ${written}`)
          tell(method === "POST" ? "posted" : "collected")
          if (naming !== undefined) tell(`by a group: ${naming}`)
          if (soft !== false) tell("softly")
        }
      )
    )
  }

  const evict = (): void => {
    for (const [place, lookup] of stored) {
      const fill = Effect.runSync(memory.begin(lookup))
      if (fill.item === undefined || dice.is(0.5)) continue
      Effect.runSync(memory.set(undefined, fill))
      history.push(`evict ${place}`)
      tell("evicted")
      return
    }
  }

  /** Until nobody can go on. */
  const settle = (): void => {
    for (let taken = 0; steps.areLeft; taken++) {
      steps.step()
      if (taken > 10_000) found("it goes round and round")
    }
  }

  const pass = (until: number): void => {
    while (clock.step(until)) settle()
    clock.now = until
  }

  const release = (): void => {
    if (waiting.length > 0) waiting.splice(dice.below(waiting.length), 1)[0]!()
  }

  const interruptOne = (): void => {
    const one = dice.one([...running, undefined])
    if (one !== undefined) interrupt(one.fiber)
  }

  for (let done = 0; done < count;) {
    const roll = dice.next()
    const isOperation = running.size < most && roll < 0.35
    if (isOperation) done++
    if (!isOperation) release()
    else if (roll < 0.27) get()
    else if (roll < 0.3) collect()
    else if (roll < 0.31) evict()
    else if (roll < 0.33 && clockMoves) pass(clock.now + dice.one([1, 300, 1000, 5000, 20_000]))
    else if (roll < 0.332 && clockMoves) trouble = 1 + dice.below(3)
    else if (roll < 0.34) interruptOne()
    settle()
  }

  // All that runs comes to an end, and leaves nothing.
  for (let steps = 0; running.size > 0 || waiting.length > 0; steps++) {
    release()
    settle()
    if (steps > 10_000) found(`${[...running].map(({ what }) => what).join(", ")}: it never ends`)
  }
  if (activity(storage).flights > 0 || activity(storage).waiters !== 0) found("a flight is left")
  Effect.runFork(byClock(clock)(Scope.close(scope, Exit.void)), { scheduler: steps.scheduler })
  settle()
}

/** Rejects with the first answer that is too old. */
export const model = async (plan: Plan): Promise<Tally> => {
  const tally: Tally = {}
  const { operations } = plan
  for (let done = 0, number = 0; done < operations; done += operationsPerWorld, number++) {
    world(plan, number, Math.min(operationsPerWorld, operations - done), tally)
    await setImmediate()
  }
  return tally
}
