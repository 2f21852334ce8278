/**
 * Random exchanges through the door, and an oracle that knows of each answer who may see it. A function of the seed.
 *
 * The clock stands still until all who run wait, and goes to the next sleep then, so that a request which never ends is
 * seen after a number of turns.
 */
import { Cookies, Headers, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Cause, Context, Effect, Exit, Fiber, Layer, ManagedRuntime, Scope, Stream } from "effect"
import { CacheError, CollectableCacheStorage, HttpCache, InMemoryCacheStorage } from "effect-http-cache"
import type { CacheStorage } from "effect-http-cache"
import { setImmediate } from "node:timers/promises"
import { annotated, type Options, optionsOf, paths, type Planned, planned, type Sent, sent } from "./fuzz/exchanges.js"
import { indexField, inLane, laneServer, onWire, sendable } from "./fuzz/lane.js"
import { bodyOf, Defect, Failure, type Reply, requestOf } from "./fuzz/messages.js"
import {
  type Answer,
  freshFor,
  isAboutStored,
  isPrivate,
  isWrite,
  leak,
  members,
  partitionOf,
  rulesOf,
  selectsOf,
  targetOf
} from "./fuzz/oracle.js"
import { Dice, Hands } from "./simulation.js"
import { byClock, bySeed, defectsIn, failuresIn, interrupt, quiet } from "./stepping.js"

export interface Plan {
  readonly seed: number
  readonly exchanges: number
  /** Of one storage. */
  readonly exchangesPerWorld?: number
  /** Stands between the cache and the storage, or the client: to see that what is broken is found. */
  readonly storage?: (service: CollectableCacheStorage.Service) => CollectableCacheStorage.Service
  readonly reply?: (response: HttpServerResponse.HttpServerResponse) => HttpServerResponse.HttpServerResponse
  /** Whether the routes are asked by a server with a lane, and let it answer where they may. */
  readonly lane?: boolean
  readonly onWorld?: (done: number) => void
}

/** How often what is worth a look has come about: a run that never hits finds nothing. */
export type Tally = { [what: string]: number }

export class Found extends Error {}

const limits = { maxBytes: 48 * 1024, maxItemBytes: 6 * 1024, maxItems: 12, maxVariants: 4 }

/** Turns of the event loop in which nothing happens before the clock goes on, and before it is a hang. */
const turns = 3
const endless = 3000
const longest = 3_600_000

/** What the handler is given, looked at without reading it. */
const given = Symbol("given")
const fieldsGiven: PropertyDescriptor = {
  configurable: true,
  get(this: HttpServerRequest.HttpServerRequest) {
    return this.headers
  }
}
const showGiven = (request: HttpServerRequest.HttpServerRequest): void =>
  void Object.defineProperty(Object.getPrototypeOf(request), given, fieldsGiven)

const world = async (plan: Plan, number: number, count: number, tally: Tally): Promise<void> => {
  const dice = new Dice(Math.imul(plan.seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b))
  const clock = new Hands()
  const answers: Array<Answer> = []
  const tags: Array<string> = []
  const lookups = new Map<string, CacheStorage.Lookup>()
  const isInLane = plan.lane === true
  const byLane = new Set<number>()
  /** The run of each write, and the least run that may be shown of what was written. */
  const writes = new WeakMap<Sent, number>()
  const least = new Map<string, number>()
  let trouble = 0
  const tell = (what: string) => {
    tally[what] = (tally[what] ?? 0) + 1
  }

  const storage = Effect.map(Layer.build(InMemoryCacheStorage.layerWith(limits)), (context) => {
    const inner = Context.get(context, CollectableCacheStorage.CollectableCacheStorage)
    const service = plan.storage === undefined ? inner : plan.storage(inner)
    // What is answered at once stays so.
    const spied = <A, E>(evaluate: () => Effect.Effect<A, E>): Effect.Effect<A, E | CacheError.CacheStorageError> => {
      if (trouble === 0) return evaluate()
      trouble--
      return Effect.fail(
        new CacheError.CacheStorageError({ storage: "fuzz", method: "get", key: "", cause: "trouble" })
      )
    }
    return CollectableCacheStorage.CollectableCacheStorage.of({
      get: (lookup) => spied(() => service.get(lookup)),
      begin: (lookup) => spied(() => service.begin(lookup)),
      set: (item, fill) => {
        if (item !== undefined) {
          lookups.delete(item.id)
          lookups.set(item.id, fill.lookup)
          if (lookups.size > 200) lookups.delete(lookups.keys().next().value!)
        }
        return spied(() => service.set(item, fill))
      },
      collect: (names, style, own) => spied(() => service.collect(names, style, own)),
      holds: (names, fill) => spied(() => service.holds(names, fill))
    })
  })
  const runtime = ManagedRuntime.make(Layer.merge(
    CollectableCacheStorage.layer(storage),
    quiet
  ))

  const routes = new Map(paths.map((path) => {
    const options = isInLane ? inLane(optionsOf(dice), path) : optionsOf(dice)
    const collects = !dice.is(0.5)
    const around = collects ? HttpCache.middleware(options) : HttpCache.withCache(options)
    return [path, { options, around, collects }]
  }))

  // Node's server sends a text as it is, and a web server a `Response`.
  const raw = (text: string) => isInLane ? text : new Response(text)
  const answering = (options: Options, by: Sent, plan: Planned) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const present = (request as unknown as { readonly [given]: Headers.Headers })[given]
      if (plan.delay > 0) yield* Effect.sleep(plan.delay)
      if (plan.outcome === "fails") return yield* Effect.fail(new Failure())
      if (plan.outcome === "dies") return yield* Effect.die(new Defect())
      for (const name of plan.reads) {
        if (name === "all") JSON.stringify({ ...request.headers })
        else if (name === "remote") String(request.remoteAddress)
        else if (name === "cookies") JSON.stringify(request.cookies)
        else if (name === "url") String(request.url + request.originalUrl + request.method)
        else String(request.headers[name])
      }
      if (plan.says === "refuse") yield* HttpCache.noStore
      if (plan.says === "annotate") yield* HttpCache.annotate({ expiry: annotated })

      const reads = new Set(plan.reads)
      const run = answers.length
      const mark = `run-${run}-`
      answers.push({
        run,
        by,
        status: plan.status,
        partition: partitionOf(options, by),
        rules: rulesOf(options, by.method, plan, present, reads),
        selects: selectsOf(options, by, answers, plan, present, reads),
        fields: plan.fields,
        madeAt: clock.now
      })
      if (isWrite(by)) writes.set(by, run)
      tell("runs")
      const { etag, ...others } = plan.fields
      const headers = Headers.fromInput({
        ...others,
        ...(etag === undefined ? {} : { etag: etag === "mine" ? `"${mark}"` : etag }),
        "x-made-for": `${mark}${by.identity}`
      })
      const text = `${mark}${by.identity} `.padEnd(plan.bytes, ".")
      const response = bodyOf(plan, text, headers, raw)
      return plan.cookie ? HttpServerResponse.unsafeSetCookie(response, "sid", `${mark}${by.identity}`) : response
    })

  const found = (what: string, { path, ...to }: Sent, more: object): never => {
    const { options } = routes.get(path)!
    throw new Found(
      `${what}\n${JSON.stringify({ seed: plan.seed, world: number, path, options, to, ...more }, shown, 2)}`
    )
  }

  /** What was stored for the target is forgotten for all who ask from now on. */
  const written = (by: Sent, { status }: Reply): void => {
    const run = writes.get(by)
    if (run === undefined || !routes.get(by.path)!.collects || status < 200 || status > 299) return
    tell("written")
    least.set(targetOf(by), run)
  }

  const inspectAge = (to: Sent, sentAt: number, run: number, reply: object): void => {
    const { options } = routes.get(to.path)!
    const answer = answers[run]!
    if (run < (least.get(targetOf(to)) ?? 0)) found("what was collected", to, { reply, answer })
    // A 304 or HEAD makes what is stored fresh again, for as long as that said.
    if (answers.slice(run).some((later) => later.by.path === to.path && isAboutStored(later))) return
    const limit = freshFor(options, answer)
    if (limit === undefined) return
    tell("fresh")
    // The times of HTTP are whole seconds.
    if (sentAt - answer.madeAt > limit + 1000) found("a stale answer that is said to be fresh", to, { reply, answer })
  }

  const inspect = (to: Sent, { cookies, headers, isBroken, status, text }: Reply, sentAt: number): void => {
    const { options } = routes.get(to.path)!
    const reply = { status, headers, text: text.slice(0, 200) }
    if (isBroken) tell("broken streams")
    if (byLane.delete(to.index)) {
      tell("answered by the lane")
      if (isBroken) found("an answer by the lane that breaks", to, { reply })
    }
    if (headers["etag"] !== undefined) tags[to.index % 4] = headers["etag"].slice(0, 80)
    const status9211 = /effect-http-cache; ?(hit|fwd=[a-z-]+)[^,]*$/.exec(headers["cache-status"] ?? "")?.[1] ??
      "untold"
    tell(status9211)
    if (/[\r\n\0]/.test(Object.values(headers).join(""))) found("a line break in a field", to, { reply })
    const seen = `${text} ${JSON.stringify(headers)} ${cookies.join()}`
    for (const [, run] of seen.matchAll(/run-(\d+)-/g)) {
      const answer = answers[Number(run)]!
      const why = leak(options, answer, to)
      if (why !== undefined) found(`a leak: ${why}`, to, { reply, answer })
      if (answer.by !== to) tell("shared")
    }
    const made = /^run-(\d+)-/.exec(headers["x-made-for"] ?? "")?.[1]
    const isFresh = status9211 === "hit" && !/ttl=-[^,]*$/.test(headers["cache-status"]!)
    if (made !== undefined && isFresh) inspectAge(to, sentAt, Number(made), { reply })
    if (made === undefined || options.expiry === undefined) return
    if (!["GET", "HEAD", "QUERY"].includes(to.method) || ["fwd=bypass", "fwd=method"].includes(status9211)) return
    const { rules: all, ...answer } = answers[Number(made)]!
    // A Vary that can't be read as a list of names is `*` to whoever reads it; where there is a partition, who may share
    // it is the handler's or the route's to say.
    const isRead = members(answer.fields["vary"]).every((name) => /^[\w!#$%&'+.^`|~-]*$/.test(name))
    const saysShared = ({ fields }: Pick<Answer, "fields">) => /public|s-maxage/i.test(String(fields["cache-control"]))
    const isShared = answer.partition !== "" && saysShared(answer)
    // So may what a later 304 or HEAD freshened.
    if (answers.some((later) => later.by.path === to.path && isAboutStored(later) && saysShared(later))) return
    const rules = all.filter((rule) => rule !== "vary" || (isRead && !isShared))
    if (rules.length === 0) return
    tell("private")
    if (!isPrivate(headers["cache-control"])) found("a private answer that may be shared", to, { reply, rules, answer })
  }

  const answered = (to: Sent, plan_: Planned) => {
    const { around, options } = routes.get(to.path)!
    return Effect.gen(function*() {
      showGiven(yield* HttpServerRequest.HttpServerRequest)
      const response = yield* around(answering(options, to, plan_))
      return plan.reply === undefined ? response : plan.reply(response)
    })
  }

  const send = (to: Sent, plan_: Planned) =>
    Effect.scoped(Effect.gen(function*() {
      const { body, cookies, headers, status } = yield* answered(to, plan_)
      // A stream may break, whoever's it is; what came of it counts.
      const chunks: Array<string> = []
      let isBroken = false
      const chunk = (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes).toString("latin1"))
      if (body._tag === "Uint8Array") chunk(body.body)
      if (body._tag === "Stream" && to.method !== "HEAD") {
        const stream = to.readsAll ? body.stream : Stream.take(body.stream, 1)
        const read = Stream.runForEach(stream, (bytes) => Effect.sync(() => chunk(bytes)))
        yield* Effect.catchAll(read, () => Effect.sync(() => isBroken = true))
      }
      return { status, headers, cookies: Cookies.toSetCookieHeaders(cookies), text: chunks.join(""), isBroken }
    })).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(requestOf(to))),
      byClock(clock),
      bySeed(to.index)
    )

  /** By the index of those who ask a server with a lane. */
  const asked = new Map<number, { readonly to: Sent; readonly plan: Planned; cause?: Cause.Cause<unknown> }>()
  const scope = Effect.runSync(Scope.make())
  const ofServer = Effect.gen(function*() {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const one = asked.get(Number(headers[indexField]))!
    return yield* answered(one.to, one.plan).pipe(
      bySeed(one.to.index),
      Effect.onError((cause) => Effect.sync(() => one.cause = cause))
    )
  })
  const server = !isInLane ? undefined : await runtime.runPromise(
    laneServer(ofServer, (index) => byLane.add(index)).pipe(byClock(clock), Scope.extend(scope))
  )
  const sendTo = (ask: NonNullable<typeof server>, to: Sent, plan: Planned) =>
    Effect.suspend(() => {
      const one: { to: Sent; plan: Planned; cause?: Cause.Cause<unknown> } = { to, plan }
      asked.set(to.index, one)
      return Effect.exit(ask(to)).pipe(
        Effect.flatMap((exit) => one.cause === undefined ? exit : Effect.failCause(one.cause)),
        Effect.ensuring(Effect.sync(() => asked.delete(to.index)))
      )
    })

  const bounds = async (last: Sent): Promise<void> => {
    const held = new Map<string, { readonly bytes: number; readonly place: string }>()
    for (const lookup of lookups.values()) {
      const service = await runtime.runPromise(CollectableCacheStorage.CollectableCacheStorage)
      const exit = await runtime.runPromiseExit(byClock(clock)(service.get(lookup)))
      if (Exit.isFailure(exit)) continue
      const { body, id, key, partition } = exit.value
      held.set(id, { bytes: body.byteLength, place: JSON.stringify([key, partition]) })
    }
    const items = [...held.values()]
    const variants = new Map<string, number>()
    for (const { place } of items) variants.set(place, (variants.get(place) ?? 0) + 1)
    const is = {
      maxItems: items.length,
      maxBytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
      maxItemBytes: Math.max(0, ...items.map(({ bytes }) => bytes)),
      maxVariants: Math.max(0, ...variants.values())
    }
    tally["most held"] = Math.max(tally["most held"] ?? 0, is.maxItems)
    for (const name of ["maxItems", "maxBytes", "maxItemBytes", "maxVariants"] as const) {
      if (is[name] > limits[name]) found(`a bound that does not hold: ${name}`, last, is)
    }
  }

  try {
    for (let index = 0; index < count;) {
      const size = Math.min(count - index, dice.is(0.5) ? 1 : 1 + dice.below(6))
      const first = sent(dice, index, tags)
      // Who comes at once asks for the same, mostly.
      const batch = Array.from({ length: size }, (_, at) => {
        const other = at === 0 ? first : sent(dice, index + at, tags)
        const asked = dice.is(0.7) ? { ...other, path: first.path, query: first.query } : other
        const answer = planned(dice)
        const to = isInLane ? onWire(asked) : asked
        // Node's server does not answer where it can't write a response.
        const plan = isInLane ? { ...answer, fields: sendable(answer.fields) } : answer
        return {
          to,
          plan,
          fiber: runtime.runFork(server === undefined ? send(to, plan) : sendTo(server, to, plan)),
          isEnded: false
        }
      })
      index += size
      for (const ask of batch) {
        ask.fiber.addObserver(() => {
          ask.isEnded = true
        })
      }
      if (dice.is(0.02)) trouble = 1 + dice.below(3)
      const since = clock.now
      let idle = 0
      let isAborted = false
      for (;;) {
        if (batch.every(({ isEnded }) => isEnded)) break
        await setImmediate()
        if (++idle < turns) continue
        if (!isAborted) {
          isAborted = true
          for (const { fiber, to } of batch) if (to.isAborted) interrupt(fiber)
        }
        if (clock.now - since < longest && clock.step()) idle = 0
        const hangs = batch.find(({ isEnded }) => !isEnded)
        if (idle > endless && hangs !== undefined) {
          found("a request that never ends", hangs.to, { batch: batch.map(({ plan, to }) => ({ plan, to })) })
        }
      }
      const ended: Array<() => void> = []
      for (const { fiber, plan, to } of batch) {
        const exit = await Effect.runPromise(Fiber.await(fiber))
        if (Exit.isSuccess(exit)) {
          inspect(to, exit.value, since)
          ended.push(() => written(to, exit.value))
          continue
        }
        const failures = failuresIn(exit.cause)
        const defects = defectsIn(exit.cause)
        const isOwn = to.isAborted ||
          (failures.length + defects.length > 0 && failures.every((failure) => failure instanceof Failure) &&
            defects.every((defect) => defect instanceof Defect) && plan.outcome !== "answers")
        tell(to.isAborted ? "aborted" : "failed")
        if (!isOwn) found("a failure that is not the handler's", to, { plan, cause: Cause.pretty(exit.cause) })
      }
      for (const end of ended) end()
      if (dice.is(0.25)) {
        const until = clock.now + dice.one([10, 1000, 10_000, 40_000, 120_000])
        while (clock.step(until)) await setImmediate()
        clock.now = until
      }
      if (index === count || dice.is(0.01)) {
        trouble = 0
        await bounds(first)
      }
    }
    for (let step = 0; step < 1000 && clock.step(clock.now + longest); step++) await setImmediate()
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await runtime.dispose()
  }
}

const shown = (_: string, value: unknown): unknown => Effect.isEffect(value) ? "by x-user" : value

/** Rejects with the first exchange that went wrong. */
export const fuzz = async (plan: Plan): Promise<Tally> => {
  const { exchanges, exchangesPerWorld = 500 } = plan
  const tally: Tally = {}
  for (let done = 0, number = 0; done < exchanges; done += exchangesPerWorld, number++) {
    await world(plan, number, Math.min(exchangesPerWorld, exchanges - done), tally)
    plan.onWorld?.(Math.min(done + exchangesPerWorld, exchanges))
  }
  return tally
}
