/**
 * What the models are made of: a world in which all goes on step by step, as the dice say, and a site whose answers tell how
 * old they are. A function of the seed.
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Cause, type Context, Data, Effect, Exit, type Scope, Stream } from "effect"
import type { Fiber } from "effect"
import { type CacheStorage, type CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import { setImmediate } from "node:timers/promises"
import type { Lane } from "./modelLane.js"
import { Dice, Hands } from "./simulation.js"
import { byClock, defectsIn, failuresIn, interrupt, isInterruption, quiet, Steps } from "./stepping.js"

/** How often what must come about has. */
export type Tally = { [what: string]: number }

export class Found extends Error {}

/** A handler's own. */
class Failure extends Data.TaggedError("Failure") {}

interface Running {
  readonly what: string
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

/** The clock stands still until it is moved, and nobody goes on in between. */
export class World {
  readonly dice: Dice
  readonly clock = new Hands()
  private readonly name: string
  private readonly tally: Tally
  private readonly steps = new Steps()
  private readonly waiting: Array<() => void> = []
  private readonly running = new Set<Running>()
  private readonly history: Array<string> = []
  private failure: Found | undefined

  constructor(seed: number, number: number, tally: Tally) {
    this.dice = new Dice(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b))
    this.name = `seed ${seed}, world ${number}`
    this.tally = tally
  }

  get clients(): number {
    return this.running.size
  }

  tell(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  note(line: string): void {
    this.history.push(line)
  }

  /** Also where what it throws is caught, the world does not go on. */
  found(what: string): never {
    throw this.failure ??= new Found(`${what}\n${this.name}\n${this.history.slice(-60).join("\n")}`)
  }

  /** Until it is let go on; some steps follow at once. */
  readonly turn = Effect.suspend(() =>
    this.dice.is(0.3) ? Effect.void : Effect.async<void>((resume) => {
      const go = () => resume(Effect.void)
      this.waiting.push(go)
      return Effect.sync(() => {
        const at = this.waiting.indexOf(go)
        if (at >= 0) this.waiting.splice(at, 1)
      })
    })
  )

  /**
   * Does it at once, or when it is let go on: what was sent arrives, also where nobody waits for the answer any more. Now and
   * then it is slow: much happens meanwhile.
   */
  later(go: () => void): void {
    if (this.dice.is(0.3)) return go()
    const lag = this.dice.is(0.1) ? 0.9 : 0
    const goOn = (): void => this.dice.is(lag) ? void this.waiting.push(goOn) : go()
    this.waiting.push(goOn)
  }

  /** Runs an effect by the clock and the steps of this world. */
  run<A, E>(effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> {
    return Effect.runFork(effect.pipe(byClock(this.clock), Effect.provide(quiet)), { scheduler: this.steps.scheduler })
  }

  start(what: string, client: Effect.Effect<unknown, unknown, Scope.Scope>): void {
    this.note(what)
    const fiber = this.run(Effect.scoped(client))
    const started = { what, fiber }
    this.running.add(started)
    fiber.addObserver((exit) => {
      this.running.delete(started)
      if (Exit.isSuccess(exit)) return
      this.note(`${what}: ${Cause.pretty(exit.cause).split("\n")[0]}`)
      this.tell(isInterruption(exit.cause) ? "aborted" : "failed")
      const isOwn = failuresIn(exit.cause).every((failure) => failure instanceof Failure)
      if (!isOwn || defectsIn(exit.cause).length > 0) this.found(`${what}: ${Cause.pretty(exit.cause)}`)
    })
  }

  /** Until nobody can go on. */
  settle(): void {
    for (let taken = 0; this.steps.areLeft; taken++) {
      this.steps.step()
      if (taken > 10_000) this.found("it goes round and round")
    }
    if (this.failure !== undefined) throw this.failure
  }

  /**
   * The storage's timers are fibers that the runtime's own scheduler runs: it has its turn each time that some go off. Where
   * all is quick, nobody waits while the time passes.
   */
  async pass(until: number, speed: "slow" | "quick" = "slow"): Promise<void> {
    while (this.clock.step(until)) {
      await setImmediate()
      this.settle()
      if (speed === "quick") this.drain()
    }
    this.clock.now = until
  }

  release(): void {
    if (this.waiting.length > 0) this.waiting.splice(this.dice.below(this.waiting.length), 1)[0]!()
  }

  /** Until nobody waits to be let go on. */
  drain(): void {
    for (let steps = 0; this.waiting.length > 0; steps++) {
      this.release()
      this.settle()
      if (steps > 10_000) this.found("it never ends")
    }
  }

  interruptOne(): void {
    const one = this.dice.one([...this.running, undefined])
    if (one !== undefined) interrupt(one.fiber)
  }

  /** All that runs comes to an end. */
  end(): void {
    for (let steps = 0; this.running.size > 0 || this.waiting.length > 0; steps++) {
      this.release()
      this.settle()
      if (steps > 10_000) this.found(`${[...this.running].map(({ what }) => what).join(", ")}: it never ends`)
    }
  }
}

export const paths = ["/a", "/b", "/c"]

export type Written = readonly [path: string, value: number]

/** Where clients ask. */
export interface Door {
  readonly name: string
  readonly context: Context.Context<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage>
  /** What is before the handlers. */
  readonly lane?: Lane | undefined
  /** Who asks for the path now may be shown no less. */
  readonly leastOf: (path: string) => number
  /** A collect of what was written is answered. */
  readonly collected: (written: ReadonlyArray<Written>) => void
}

/** Of a resource: what is written by its group alone has a URI of its own for that. */
const pathOf = (request: HttpServerRequest.HttpServerRequest): string =>
  new URL(request.originalUrl, "http://localhost").pathname.replace("/write", "")

const groupOf = (path: string): string => `of ${path}`

/**
 * Resources, each of which has a value that grows, the options of their routes, and what clients do with them. A response is fresh
 * for one of these numbers of seconds.
 */
export const siteOf = (world: World, expiries: ReadonlyArray<number>) => {
  const { dice, turn } = world
  const values = new Map(paths.map((path) => [path, 0]))
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
    world.note(`  handler: ${path} is ${value}`)
    yield* turn
    while (dice.is(isSlow)) yield* turn
    if (dice.is(0.1)) return yield* new Failure()
    const etag = `"${value}"`
    const headers = { etag, ...(dice.is(0.3) ? { vary: "x-a" } : {}), ...fieldsOf(path) }
    if (dice.is(0.7) && request.headers["if-none-match"]?.includes(etag) === true) {
      world.tell("validated")
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
    world.note(`  handler: written ${written}`)
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
    expiry: dice.one(expiries),
    staleWhileRevalidate: dice.one([0, 10, 10]),
    staleIfError: dice.one([0, 10]),
    vary: dice.one([[], ["x-a"]]),
    groups,
    deadline: dice.one([1, 60])
  }
  const cached = read.pipe(withCache({ ...options, name: "page", lane: true }))
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

  const send = ({ context, lane }: Door, method: string, path: string, fields: Record<string, string>) => {
    const { answer, request } = lane?.(method, path, fields) ??
      { request: HttpServerRequest.fromWeb(new Request(`http://localhost${path}`, { method, headers: fields })) }
    if (answer !== undefined) {
      world.note("  by the lane")
      world.tell("by the lane")
      return Effect.succeed(answer)
    }
    return (method === "PATCH" || method === "POST" ? collecting : cached).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, request),
      Effect.provideService(HttpCache.Defaults, defaults),
      Effect.provide(context)
    )
  }

  let clients = 0

  const get = (door: Door, path: string = dice.one(paths)): void => {
    const least = door.leastOf(path)
    const method = dice.is(0.1) ? "HEAD" : "GET"
    const what = `${++clients}: ${door.name}${method} ${path}, at least ${least}`
    const fields: Record<string, string> = {
      ...(dice.is(0.5) ? { "x-a": "1" } : {}),
      ...(dice.is(0.1) ? { "cache-control": dice.one(["no-cache", "max-stale=100", "no-store"]) } : {}),
      ...(dice.is(0.2) ? { "if-none-match": `"${values.get(path)! - dice.below(3)}"` } : {})
    }
    world.start(
      what,
      Effect.gen(function*() {
        const { body, headers, status } = yield* send(door, method, path, fields)
        const shown = Number(/^"(\d+)"$/.exec(headers["etag"] ?? "")?.[1])
        const outcome = /effect-http-cache; (hit|fwd=[a-z-]+)(.*)/.exec(headers["cache-status"] ?? "")
        world.note(`${what}: ${status} ${shown} ${headers["cache-status"]}`)
        world.tell(outcome?.[1] ?? "untold")
        if (/collapsed(;|$)/.test(outcome?.[2] ?? "")) world.tell("collapsed")
        if (/ttl=-/.test(outcome?.[2] ?? "")) world.tell("stale")
        if (status >= 500) return
        const hides = soft === "unless-error" && headers["cache-status"]?.includes("fwd-status=5") === true
        if (hides) return world.tell("hidden softly")
        if (!(shown >= least)) world.found(`${what}: shown ${shown}`)
        if (method === "HEAD" || status === 304) return
        const text = body._tag === "Stream"
          ? yield* Stream.mkString(Stream.decodeText(body.stream)).pipe(
            Effect.orElseSucceed(() => undefined)
          )
          : body._tag === "Uint8Array"
          ? new TextDecoder().decode(body.body)
          : undefined
        if (text !== undefined && text !== `value ${shown}`) world.found(`${what}: "${text}" is not of ${shown}`)
      })
    )
  }

  const collect = (door: Door): void => {
    const path = dice.one(paths)
    const method = dice.one(["PATCH", "POST"])
    const what = `${++clients}: ${door.name}${method} ${path}`
    world.start(
      what,
      Effect.map(
        send(door, method, naming !== undefined && method === "PATCH" ? `/write${path}` : path, {}),
        ({ headers }) => {
          const written = JSON.parse(headers["x-written"]!) as ReadonlyArray<Written>
          door.collected(written)
          world.note(`${what}: ${written}`)
          world.tell(method === "POST" ? "posted" : "collected")
          if (naming !== undefined) world.tell(`by a group: ${naming}`)
          if (soft !== false) world.tell("softly")
        }
      )
    )
  }

  return { values, get, collect }
}
