/**
 * Two nodes over one storage that both reach, asked by many connections while it is in trouble: each request is answered, none
 * later than by the bound, and after the recovery no answer is older than the last `PATCH` that was answered.
 */
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Logger, type Scope } from "effect"
import { type CacheStorage, type CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import * as Http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { portOf } from "../test/platform.js"

const connections = 200
const ids = 50
const zeros = Array.from({ length: ids }, () => 0)
/** Each of them asks so often, in milliseconds. */
const pause = 1000
/** Seconds. The circuit breaker tries Redis again ten seconds after it has given it up. */
const recovery = 13
const settled = 3
/** Where the storage has failed after the recovery too, since the machine is busy, there is another recovery. */
const attempts = 3
/** Milliseconds. It is higher than the default, so that a machine that is busy is not taken for a Redis that is away. */
const storageTimeout = 1000
/** A request makes at most five calls to the storage. */
const bound = 5 * storageTimeout + 250

/** What is true: the version of each item, of the handlers and of what was answered to a `PATCH`. */
interface Truth {
  readonly versions: Array<number>
  readonly answered: Array<number>
}

const routes = ({ versions }: Truth) =>
  HttpRouter.empty.pipe(
    HttpRouter.get(
      "/:id",
      Effect.flatMap(HttpRouter.params, ({ id }) => {
        const response = HttpServerResponse.text(String(versions[Number(id)]))
        return Effect.as(Effect.sleep(5), response)
      }).pipe(withCache({ expiry: 600 }))
    ),
    HttpRouter.patch(
      "/:id",
      Effect.map(HttpRouter.params, ({ id }) => HttpServerResponse.text(String(++versions[Number(id)]!))).pipe(
        withCollect()
      )
    )
  )

/** How often a call to the storage has failed, in all. */
let failures = 0
const counting = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ message }) => {
    if (String(message).startsWith("effect-http-cache")) failures++
  })
)

/** The layer of a node's storage, which may fail to be built. */
export type Storage = Layer.Layer<
  CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage,
  unknown
>

/** The port of a server with a storage of its own. */
const node = (truth: Truth, storage: Storage) =>
  Effect.gen(function*() {
    const server = NodeHttpServer.layer(() => Http.createServer({ keepAliveTimeout: 600_000 }), {
      host: "127.0.0.1",
      port: 0
    })
    const defaults = Layer.succeed(HttpCache.Defaults, {
      origin: "http://shop.example",
      storageTimeout: storageTimeout / 1000
    })
    const context = yield* Layer.build(Layer.fresh(Layer.mergeAll(server, storage, defaults)))
    return yield* Effect.provide(
      Effect.zipRight(HttpServer.serveEffect(routes(truth)), Effect.map(HttpServer.HttpServer, portOf)),
      context
    )
  })

/** What the clients have seen. */
class Seen {
  requests = 0
  hits = 0
  /** Answers older than a `PATCH` that was answered before they were asked for. */
  older = 0
  /** Milliseconds. */
  worst = 0
  worstAsked = ""
  readonly since = performance.now()
  /** Of calls to the storage. */
  failures = 0
  readonly failed: Array<string> = []
}

const exchange = (agent: Http.Agent, port: number, method: string, id: number) =>
  new Promise<{ readonly status: number; readonly text: string; readonly cacheStatus: string }>((resolve, reject) => {
    Http.request({ agent, port, method, path: `/${id}`, host: "127.0.0.1", timeout: 10_000 }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
      response.on("error", reject).on("end", () => {
        const cacheStatus = String(response.headers["cache-status"])
        resolve({ status: response.statusCode ?? 0, text, cacheStatus })
      })
    }).on("timeout", function(this: Http.ClientRequest) {
      this.destroy(new Error("no answer"))
    }).on("error", reject).end()
  })

const ask = async (agent: Http.Agent, port: number, { answered }: Truth, seen: Seen): Promise<void> => {
  const id = Math.floor(Math.random() * ids)
  const method = Math.random() < 0.1 ? "PATCH" : "GET"
  const atLeast = answered[id]!
  const since = performance.now()
  seen.requests++
  try {
    const { cacheStatus, status, text } = await exchange(agent, port, method, id)
    if (status !== 200) seen.failed.push(`${method} is answered ${status}`)
    else if (method === "PATCH") answered[id] = Math.max(answered[id]!, Number(text))
    else if (Number(text) < atLeast) seen.older++
    if (/; hit;/.test(cacheStatus)) seen.hits++
  } catch (error) {
    seen.failed.push(`${method}: ${String(error)}`)
  }
  const took = performance.now() - since
  if (took <= seen.worst) return
  seen.worst = took
  seen.worstAsked = `a ${method} after ${((since - seen.since) / 1000).toFixed(1)} s`
}

/** What the connections see, which ask each node while `during` runs. */
const load = async (ports: ReadonlyArray<number>, truth: Truth, during: Promise<unknown>): Promise<Seen> => {
  const seen = new Seen()
  const before = failures
  const end = new AbortController()
  const client = async (port: number) => {
    const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
    while (!end.signal.aborted) {
      await sleep(Math.random() * 2 * pause)
      await ask(agent, port, truth, seen)
    }
    agent.destroy()
  }
  const clients = Array.from({ length: connections }, (_, at) => client(ports[at % ports.length]!))
  await during.finally(() => end.abort())
  await Promise.all(clients)
  seen.failures = failures - before
  return seen
}

type Phases = ReadonlyArray<readonly [name: string, seen: Seen]>

const observed = (storages: ReadonlyArray<Storage>, trouble: () => Promise<void>) =>
  Effect.gen(function*() {
    const truth: Truth = { versions: [...zeros], answered: [...zeros] }
    const ports = yield* Effect.forEach(storages, (storage) => node(truth, storage))
    return yield* Effect.promise(async (): Promise<Phases> => {
      const phases: Array<Phases[number]> = []
      phases.push(["trouble", await load(ports, truth, trouble())])
      for (let attempt = 1; attempt <= attempts; attempt++) {
        phases.push(["recovery", await load(ports, truth, sleep(recovery * 1000))])
        const after = await load(ports, truth, sleep(settled * 1000))
        phases.push(["after", after])
        if (after.failures === 0) break
      }
      return phases
    })
  }).pipe(Effect.scoped, Effect.provide(counting))

const problemsOf = (name: string, phases: Phases): ReadonlyArray<string> => {
  const problems: Array<string> = []
  for (const [phase, { failed, failures, hits, older, requests, worst, worstAsked }] of phases) {
    console.log(
      `${name}, ${phase}: ${requests} requests, ${failed.length} failures, worst delay ${worst.toFixed(0)} ms, of ` +
        `${worstAsked}; ${hits} hits, ${older} answers older than the last answered PATCH, ${failures} warnings`
    )
    problems.push(...new Set(failed))
    if (worst > bound) problems.push(`a request took ${worst.toFixed(0)} ms, more than ${bound}`)
    if (hits === 0) problems.push(`nothing was served from the storage in ${phase}`)
  }
  const after = phases.at(-1)![1]
  if (after.failures > 0) problems.push("the storage does not answer in time after the recovery either")
  if (after.older > 0) problems.push(`after the recovery ${after.older} answers were too old`)
  if (phases[0]![1].failures === 0) problems.push("no node has noticed the trouble")
  return problems
}

/** What the server of the storages goes through, and the storages of the nodes. */
export interface Trial {
  readonly storages: ReadonlyArray<Storage>
  readonly trouble: () => Promise<void>
}

/** Tells what was seen; the exit code is 1 where that is not as it should be. */
export const tryOut = async (name: string, trial: Effect.Effect<Trial, never, Scope.Scope>): Promise<void> => {
  const watched = Effect.flatMap(trial, ({ storages, trouble }) => observed(storages, trouble))
  const problems = problemsOf(name, await Effect.runPromise(Effect.scoped(Effect.orDie(watched))))
  for (const problem of problems) console.error(`${name}: ${problem}`)
  if (problems.length > 0) process.exitCode = 1
}
